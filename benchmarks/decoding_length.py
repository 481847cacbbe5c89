"""What the state of incremental decoding saves: time by length, with it and without it.

    python -m benchmarks.decoding_length

Greedy decoding of a batch, once with the keys and values kept and once by running the whole decoder over the whole
prefix for every token (the encoder's memory is computed once in both). Processor time, the better of the repeats;
weights are random, since they change nothing in the time, and eos never comes. One BLAS thread is fairest:
OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minitransformer.decoding import greedy
from minitransformer.layers import padding_mask
from minitransformer.models import GPT, GPTConfig, PreNormTransformer, TransformerConfig

START, NEVER, S = 1, -1, 20
V, D, H, F, BLOCKS = 4000, 128, 4, 512, 2  # those of `minitransformer train`


def translator() -> PreNormTransformer:
    return PreNormTransformer(TransformerConfig(V, V, D, H, F, BLOCKS, BLOCKS, 0.0), np.random.default_rng(0))


def language_model(length: int) -> GPT:
    return GPT(GPTConfig(V, length + 1, D, H, 2 * BLOCKS, F, dropout=0.0), np.random.default_rng(0))


def recomputed(model: Any, source: np.ndarray, length: int) -> list[list[int]]:
    """Greedy decoding without a state: of the logits of the whole prefix the last are looked at."""
    if isinstance(model, GPT):
        ids = source
        for _ in range(length):
            ids = np.concatenate([ids, model(ids)[:, -1:].argmax(axis=-1)], axis=1)
        return [row.tolist() for row in ids[:, source.shape[1] :]]
    memory, _ = model.encode(source)
    ids = np.full((len(source), 1), START)
    for _ in range(length):
        logits, _ = model.decode(ids, memory, padding_mask(source, model.pad))
        ids = np.concatenate([ids, logits[:, -1:].argmax(axis=-1)], axis=1)
    return [row.tolist() for row in ids[:, 1:]]


def seconds(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    best, result = np.inf, None
    for _ in range(repeats):
        began = time.process_time()
        result = work()
        best = min(best, time.process_time() - began)
    return best, result


def steps(model: Any, source: np.ndarray, length: int, repeats: int) -> np.ndarray:
    """Seconds of each step with the state, (length,)."""
    taken = np.full(length, np.inf)
    for _ in range(repeats):
        state, ids = model.start_decoding(source, None if isinstance(model, GPT) else START)
        for t in range(length):
            began = time.process_time()
            logits = model.next_logits(ids, state)
            ids = logits[:, -1:].argmax(axis=-1)
            taken[t] = min(taken[t], time.process_time() - began)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng, B, longest = np.random.default_rng(1), options.batch_size, 256
    rows: list[dict[str, Any]] = []
    for name, model, source, start in (
        ("encoder-decoder", translator(), rng.integers(4, V, (B, S)), START),
        ("GPT", language_model(longest), rng.integers(4, V, (B, 1)), None),
    ):
        print(f"{name}, {B} sentences\nlength  with state, s  recomputed, s  factor")
        for length in options.lengths:
            settings = {"start": start, "eos": NEVER, "max_new_tokens": length}
            fast, found = seconds(lambda: greedy(model, source, **settings), options.repeats)  # noqa: B023
            slow, wanted = seconds(lambda: recomputed(model, source, length), 1)  # noqa: B023
            same = np.mean([h.ids == ids for h, ids in zip(found, wanted)])
            print(f"{length:6d}  {fast:13.3f}  {slow:13.3f}  {slow / fast:6.1f}   same ids: {same:.0%}")
            rows.append({"model": name, "length": length, "with_state": fast, "recomputed": slow, "same": float(same)})
        parts = steps(model, source, longest, options.repeats).reshape(8, -1).mean(axis=1)
        print("ms a step, 32 positions together: " + "  ".join(f"{1000 * part:.2f}" for part in parts) + "\n")
        rows.append({"model": name, "ms_a_step": [1000 * float(part) for part in parts]})
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
