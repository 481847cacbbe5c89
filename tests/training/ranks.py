"""What the tests of data parallelism run under mpiexec: each function is one rank's part, and rank 0 prints its answer.

mpiexec -n 3 python tests/training/ranks.py gradients 7
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from mpi4py import MPI

from minitransformer.data import Batch
from minitransformer.models import PreNormTransformer, TransformerConfig
from minitransformer.training import AdamW
from minitransformer.training.parallel import Drift, ParallelTrainer, Ranks, Sharded

RANKS = Ranks(MPI.COMM_WORLD)


def new_trainer(ranks, dropout=0.0, optimizer=None, workers=1):
    config = TransformerConfig(
        11, 13, d_model=6, n_heads=2, d_ff=5, n_encoder_blocks=1, n_decoder_blocks=1, dropout=dropout
    )
    model = PreNormTransformer(config, np.random.default_rng(0))
    for parameter in model.parameters():
        parameter.value = parameter.value.astype(np.float64)
        parameter.grad = parameter.grad.astype(np.float64)
    return ParallelTrainer(model, optimizer or AdamW(), lambda step: 0.01, workers=workers, ranks=ranks)


def batch_of(n, step=0):
    """n sentences of unequal lengths, so that the ranks' shares have unequal numbers of tokens."""
    rng = np.random.default_rng([n, step])
    source, targets = rng.integers(4, 11, (n, 5)), rng.integers(4, 13, (n, 7))
    for row, length in enumerate(rng.integers(1, 8, n)):
        targets[row, length:] = 0
    target_in = np.concatenate([np.ones((n, 1), int), targets[:, :-1]], axis=1)
    return Batch((source, target_in), targets, 0)


def gradients(n, dropout=0.0):
    """Worst relative difference from one process, without dropout; with it, from as many workers as there are ranks."""
    n, dropout = int(n), float(dropout)
    several = new_trainer(RANKS, dropout)
    alone = new_trainer(None, dropout, workers=RANKS.size if dropout else 1)
    losses = [trainer.compute_gradient(batch_of(n)) for trainer in (several, alone)]
    difference = np.abs(several.grad - alone.grad).max() / np.abs(alone.grad).max()
    return {"loss": abs(losses[0] / losses[1] - 1), "gradient": float(difference)}


def weights(trainer, steps=5, n=7):
    for step in range(steps):
        trainer.train_step(batch_of(n, step))
    return trainer.value


def sharded():
    """Five steps with the moments in parts, against all of them everywhere; and going on from the whole state."""
    optimizer = Sharded(AdamW(), RANKS)
    parts, whole = new_trainer(RANKS, optimizer=optimizer), new_trainer(RANKS)
    same = bool((weights(parts) == weights(whole)).all())
    state = optimizer.state()
    states_same = all((state["moments"][name] == whole.optimizer.moments[name]).all() for name in optimizer.names)
    optimizer.restore(state)
    parts.train_step(batch_of(7, 5))
    whole.train_step(batch_of(7, 5))
    lengths = RANKS.communicator.allgather(len(optimizer.moments["m"]))
    return {
        "same": same,
        "states same": states_same,
        "goes on": bool((parts.value == whole.value).all()),
        "lengths": lengths,
        "weights": parts.value.size,
    }


def drift():
    """One bit of one weight of the last rank is another."""
    trainer = new_trainer(RANKS)

    class Same:
        def batch(self, step):
            return batch_of(7, step)

    trainer.fit(Same(), 3)
    if RANKS.rank == RANKS.size - 1:
        trainer.value.view(np.uint8)[100] ^= 1
    trainer.step = 100
    try:
        trainer.fit(Same(), 101)
    except Drift as error:
        return {"said": str(error), "by": RANKS.communicator.allgather(1)}
    return {"said": None}


def failing():
    """One rank raises while the others wait for it in an all-reduce."""
    if RANKS.rank == RANKS.size - 1:
        time.sleep(0.5)
        RANKS.abort(7)
    RANKS.total(1.0)
    return {}


if __name__ == "__main__":
    answer = globals()[sys.argv[1]](*sys.argv[2:])
    if RANKS.rank == 0:
        print(json.dumps(answer))
