"""The fuzzer's targets hold on the inputs it starts from, and on some that chance makes of them."""

import os
import random

import pytest

from .readers import TARGETS, seeds

CASES = int(os.environ.get("MINITRANSFORMER_FUZZ", "300"))
WORDS = (
    b"\0",
    b"\n",
    b"\t",
    b"\r\n",
    b"\xff",
    b"PK\x03\x04",
    b"{}",
    b"[",
    b'"',
    b"-1",
    b"null",
    b"1e999",
    b"\xed\xa0\x80",
)


def changed(rng, data):
    """The same with a few bytes changed, cut out, repeated, or put in."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del data[place : place + rng.randint(1, 20)]
        elif kind == 2:
            data[place:place] = data[place : place + rng.randint(1, 20)]
        else:
            data[place:place] = rng.choice(WORDS)
    return bytes(data)


@pytest.mark.parametrize("target", TARGETS)
def test_every_reader_ends_in_a_result_or_a_documented_error(target):
    rng = random.Random(0)
    good = seeds(target)
    for data in [b"", *good]:
        TARGETS[target](data)
    for _ in range(CASES):
        TARGETS[target](changed(rng, rng.choice(good)))
