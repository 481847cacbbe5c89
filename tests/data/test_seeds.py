"""A seed gives the data that published results were measured on, in every version.

Whoever changes one of these on purpose writes so in CHANGELOG.md, and measures again.
"""

import zlib

import numpy as np
import pytest

from minitransformer.data import (
    EnglishFrench,
    FreshBatches,
    PairBatches,
    SortingTask,
    SpanCorruption,
    TextBatches,
    ToyTask,
    evaluation_batches,
    joeynmt_reversal,
    sentinels,
    split_by_source,
)
from minitransformer.data.tasks.written import addition, dates

PAIRS = [([4 + i % 7] * (1 + i % 5), [5 + i % 11] * (1 + i % 9)) for i in range(300)]
TEXT_PAIRS = [(f"source {i % 90}", f"target {i}") for i in range(100)]


def arrays(batches, steps=range(12)):
    found = (batches.batch(step) for step in steps)
    return [array.tolist() for batch in found for array in (*batch.inputs, batch.targets)]


def english_french(draw):
    rng, task = np.random.default_rng(8), EnglishFrench()
    examples = draw(task, rng)
    swapped = [
        swap(e, rng) for e in examples[:30] if e.pronoun for swap in (task.swap_antecedent, task.swap_distractor)
    ]
    return [(e.english_text, e.french_text, e.pronoun, e.antecedent, e.distractor) for e in examples + swapped]


DATA = {
    "pairs in buckets": lambda: arrays(PairBatches(PAIRS, 7, seed=3)),
    "pairs in windows": lambda: arrays(PairBatches(PAIRS, 1, seed=3), range(0, 900, 7)),
    "pairs in any order": lambda: arrays(PairBatches(PAIRS, 7, seed=3, bucket=False), range(40, 60)),
    "fresh pairs": lambda: arrays(FreshBatches(ToyTask("sort").sample, 7, seed=3)),
    "to evaluate": lambda: [indices.tolist() for indices, _ in evaluation_batches(PAIRS, 7)],
    "running text": lambda: arrays(TextBatches(range(100), 9, 7, seed=3)),
    "sorted digits": lambda: arrays(SortingTask(seed=3)),
    "corrupted spans": lambda: SpanCorruption(range(200), 40, sentinels(999))(np.random.default_rng(3), 20),
    "copied symbols": lambda: [
        ToyTask("copy").sample(np.random.default_rng(3), 40, split) for split in ("train", "test")
    ],
    "sums": lambda: addition(3, 2, (50, 20, 10)),
    "dates": lambda: dates(3, (50, 20, 10)),
    "Joey NMT's reversal": lambda: [joeynmt_reversal(50, 20, 10).training, joeynmt_reversal(50, 20, 10).test],
    "a split": lambda: split_by_source(TEXT_PAIRS, (0.7, 0.2, 0.1), seed=3),
    "hard pronouns": lambda: english_french(lambda task, rng: task.sample_hard(rng, 60)),
    "easy pronouns": lambda: english_french(lambda task, rng: task.sample_easy(rng, 60, split="train")),
}
CHECKSUMS = {
    "pairs in buckets": 1432003211,
    "pairs in windows": 1803676602,
    "pairs in any order": 438520225,
    "fresh pairs": 1666946680,
    "to evaluate": 3602608446,
    "running text": 2435279359,
    "sorted digits": 412370224,
    "corrupted spans": 3727290754,
    "copied symbols": 476134467,
    "sums": 2894631129,
    "dates": 1725488513,
    "Joey NMT's reversal": 2330027790,
    "a split": 219676018,
    "hard pronouns": 3615218190,
    "easy pronouns": 3575444335,
}


@pytest.mark.parametrize("name", DATA)
def test_a_seed_gives_the_data_that_published_results_were_measured_on(name):
    assert zlib.crc32(repr(DATA[name]()).encode()) == CHECKSUMS[name]
