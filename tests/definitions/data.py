"""What batches, splits and vocabularies must do, by definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from minitransformer.data import CharacterVocabulary, FreshBatches, PairBatches, batches, pairs

from .registry import holds


@holds("the decoder reads the start and the target, and predicts the target and eos")
def teacher_forcing_is_by_hand() -> None:
    batch = batches.sequence_to_sequence_batch([([7, 8], [5]), ([9], [6, 4, 6])], pad=0, start=1, eos=2)
    wanted = {
        "source": [[7, 8, 2], [9, 2, 0]],
        "target_in": [[1, 5, 0, 0], [1, 6, 4, 6]],
        "targets": [[5, 2, 0, 0], [6, 4, 6, 2]],
    }
    for (name, rows), got in zip(wanted.items(), (*batch.inputs, batch.targets)):
        assert np.array_equal(got, rows), f"{name} is {got.tolist()}, by hand {rows}"
    assert batch.n_tokens == 6, f"n_tokens is {batch.n_tokens}, by hand 2 + 4"


@holds("every pair comes exactly once an epoch, whole, and in another order each epoch")
def epochs_hold_every_pair_once() -> None:
    known = [([4 + i], [20 + i] * (1 + i % 3)) for i in range(11)]
    for bucket in (True, False):
        orders = []
        one, other = (PairBatches(known, 4, seed=seed, bucket=bucket) for seed in (0, 1))
        for data, epoch in ((one, 0), (one, 1), (other, 0)):
            rows: list[Any] = []
            for step in range(3 * epoch, 3 * epoch + 3):  # 11 pairs, 4 at a time
                batch = data.batch(step)
                rows += [tuple(tuple(int(i) for i in a[a > 2]) for a in row) for row in zip(*batch.inputs)]
            assert sorted(rows) == sorted((tuple(a), tuple(b)) for a, b in known), f"epoch {epoch} holds {rows}"
            orders.append(rows)
        assert len({tuple(order) for order in orders}) == 3, "another epoch or another seed has the same order"


@holds("fresh batches differ from step to step, and a step's is the same whenever it is asked for")
def fresh_batches_are_fresh() -> None:
    def sample(rng: np.random.Generator, n: int) -> list[tuple[list[int], list[int]]]:
        return [([int(i)], [int(i)]) for i in rng.integers(3, 10**9, n)]

    data, steps = FreshBatches(sample, 3, seed=5), range(40)
    first = {step: data.batch(step).targets.tolist() for step in steps}
    numbers = {row[0] for rows in first.values() for row in rows}
    assert len(numbers) == 3 * len(steps), "examples come again"
    for step in (39, 0, 20, 3):
        assert data.batch(step).targets.tolist() == first[step], f"step {step} is another one the second time"
    other = FreshBatches(sample, 3, seed=6).batch(0).targets.tolist()
    assert other != first[0], "another seed gives the same batch"


@holds("no source sentence stands in two parts of a split, and no pair is lost")
def splits_are_by_source() -> None:
    known = [
        (f"sentence {i // 4}" if k % 2 else f"Sentence  {i // 4}", f"{i} {k}") for i in range(80) for k in range(2)
    ]
    parts = pairs.split_by_source(known, (0.5, 0.25, 0.25))
    assert sorted(pair for part in parts for pair in part) == sorted(known), "pairs were lost or doubled"
    sources = [{source.lower().split()[1] for source, _ in part} for part in parts]
    shared = [name for i, one in enumerate(sources) for other in sources[:i] for name in one & other]
    assert not shared, f"sentence {shared[0]} is in two parts"
    sizes = [len(part) for part in parts]
    assert all(abs(size - wanted) <= 8 for size, wanted in zip(sizes, (80, 40, 40))), f"sizes are {sizes}"


@holds("ids become the text that they were, every letter of it, up to the end of the sentence")
def decoding_gives_the_text_back() -> None:
    vocabulary = CharacterVocabulary.build(["<s>essences</s> "])
    for text in ("sense", "<s>", " s ", "essences"):
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == text, f"{text!r} became {vocabulary.decode(ids)!r}"
        marked = [vocabulary.bos, *ids, vocabulary.eos, *ids, vocabulary.pad]
        assert vocabulary.decode(marked) == text, f"with its marks {text!r} became {vocabulary.decode(marked)!r}"
    assert vocabulary.encode("z") == [vocabulary.unk], "an unknown letter is not <unk>"
