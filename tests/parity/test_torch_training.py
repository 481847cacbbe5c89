"""The same gradients move the same weights as in PyTorch, and ten training steps of a whole Transformer end alike."""

import numpy as np
import pytest

from minitransformer.data import Batch
from minitransformer.layers import CrossEntropy
from minitransformer.models import PreNormTransformer, Transformer, TransformerConfig
from minitransformer.training import SGD, Adam, AdamW, Trainer, clip_by_global_norm

from .wiring import Theirs, agree, compare_models, init, randomize, tensor, torch, value

RATES = [0.01 * step for step in range(1, 11)]  # a schedule: another rate at every step
OPTIMIZERS = {
    "SGD": (SGD, torch.optim.SGD, {}, {}),
    "SGD with momentum": (SGD, torch.optim.SGD, {"momentum": 0.9}, {"momentum": 0.9}),
    "Adam": (Adam, torch.optim.Adam, {}, {}),
    "Adam of 2017": (
        Adam,
        torch.optim.Adam,
        {"beta1": 0.9, "beta2": 0.98, "eps": 1e-9},
        {"betas": (0.9, 0.98), "eps": 1e-9},
    ),
    "AdamW": (AdamW, torch.optim.AdamW, {}, {}),
    "AdamW that decays much": (
        AdamW,
        torch.optim.AdamW,
        {"weight_decay": 0.3, "beta1": 0.8, "eps": 0.1},
        {"weight_decay": 0.3, "betas": (0.8, 0.999), "eps": 0.1},
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_on_the_same_gradients(name):
    ours_class, theirs_class, ours_settings, their_settings = OPTIMIZERS[name]
    rng = np.random.default_rng(0)
    w = rng.standard_normal(31)
    their_w = torch.nn.Parameter(tensor(w))
    ours, theirs = ours_class(**ours_settings), theirs_class([their_w], **their_settings)
    for step, rate in enumerate(RATES, start=1):
        g = rng.standard_normal(31) * 10.0 ** rng.integers(-4, 2, 31)  # large and tiny ones
        ours.step(w, g, rate)
        theirs.param_groups[0]["lr"] = rate
        their_w.grad = tensor(g)
        theirs.step()
        agree(w, their_w, f"weights after step {step}", tolerance=1e-12)


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping(max_norm):
    g = np.random.default_rng(0).standard_normal(31)
    parts = [torch.nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (7, 24)]
    parts[0].grad, parts[1].grad = tensor(g[:7]), tensor(g[7:])
    their_norm = torch.nn.utils.clip_grad_norm_(parts, max_norm)
    norm = clip_by_global_norm(g, max_norm)
    agree(np.asarray(norm), their_norm, "norm", tolerance=1e-14)
    # PyTorch adds 1e-6 to the norm that it divides by
    agree(g, np.concatenate([part.grad.numpy() for part in parts]), "gradient", tolerance=1e-6)


class Batches:
    """A batch for every step, sentences of different lengths."""

    def __init__(self, V):
        self.V = V

    def batch(self, step):
        rng = np.random.default_rng([9, step])
        source, target = rng.integers(1, self.V, (5, 7)), rng.integers(1, self.V, (5, 6))
        source[0, 3:], source[2, 1:], target[1, 4:], target[2, 2:] = 0, 0, 0, 0
        return Batch((source, target[:, :-1]), target[:, 1:])


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # a fast path of PyTorch's that pre-norm does not have
@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
def test_ten_training_steps_of_the_whole_transformer(norm_first):
    V, clip, smoothing = 13, 0.5, 0.1
    config = TransformerConfig(V, None, 6, 2, 10, 2, 2, dropout=0.0)
    model = (PreNormTransformer if norm_first else Transformer)(config, init())
    randomize(model)  # biases of order one: Adam makes steps even of a key's gradient, which is rounding around zero
    theirs, data = Theirs(model, norm_first), Batches(V)
    their_optimizer = torch.optim.Adam(theirs.parameters(), betas=(0.9, 0.98), eps=1e-6)
    trainer = Trainer(model, Adam(0.9, 0.98, 1e-6), lambda step: RATES[step - 1], CrossEntropy(0, smoothing), clip)
    history = trainer.fit(data, 10)

    for step, rate in enumerate(RATES):
        batch = data.batch(step)
        their_optimizer.zero_grad()
        loss = theirs.loss(theirs(*batch.inputs), batch.targets, smoothing)
        loss.backward()
        clip_as_ours(theirs, clip)
        their_optimizer.param_groups[0]["lr"] = rate
        their_optimizer.step()
        agree(np.asarray(history.steps[step]["loss"]), loss, f"loss of step {step + 1}")
    assert sum(record["gradient_norm"] > clip for record in history.steps) >= 5  # clipping was at work
    compare_models(model, theirs, value)


def clip_as_ours(theirs, max_norm):
    """clip_grad_norm_ divides by the norm + 1e-6: asked for a norm that is larger in proportion, it scales as we do."""
    norm = float(torch.nn.utils.get_total_norm([p.grad for p in theirs.parameters()]))
    if norm > max_norm:
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_norm * (norm + 1e-6) / norm)
