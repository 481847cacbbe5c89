"""The measurements still run and still check what they measure; how fast anything was is asserted nowhere."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks is not installed

from benchmarks.measure import verify  # noqa: E402
from benchmarks.products import bare, flops, products_of, recording, replay  # noqa: E402
from benchmarks.ranks import mpiexec  # noqa: E402
from benchmarks.rounds import Turns, Watch, ratio  # noqa: E402
from benchmarks.sizes import SHORT, SIZES, new_batch, new_model  # noqa: E402
from benchmarks.text import SAME, verify_first  # noqa: E402

from ..extent import exhaustive  # noqa: E402

HAS_TORCH = importlib.util.find_spec("torch") is not None


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


@exhaustive
@pytest.mark.parametrize("sizes", ["S", "GR"])
def test_the_short_run_measures_every_contender(sizes):
    done = run("step", "--short", "--json", "--sizes", sizes, "--threads", "1,2")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["step"]
    assert set(found) == set(sizes)
    for by_threads in found.values():
        assert set(by_threads) == {"1", "2"}
        for threads, result in by_threads.items():
            assert {"ours", "products", "ours without mallopt"} <= set(result["contenders"])
            assert ("threads" in result["contenders"]) == (threads == "2")
            assert ("ranks" in result["contenders"]) == (threads == "2" and mpiexec() is not None)
            assert ("eager" in result["contenders"]) == HAS_TORCH
            assert all(row["milliseconds"] > 0 for row in result["contenders"].values())
            assert result["checks"]["ours"]["gradient_error"] < 1e-12


@exhaustive
def test_the_short_run_decodes_and_trains():
    done = run("decode", "reversal", "--short", "--sizes", "SG")
    assert done.returncode == 0, done.stderr
    assert "greedy decoding" in done.stdout
    assert "reversal" in done.stdout


@exhaustive
def test_the_short_run_trains_on_a_text_to_the_end():
    done = run("text", "--short", "--json", "--threads", "1", "--goal", "4.44")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["text"]
    assert found["steps"] == [2 * i for i in range(21)]
    sides = found["contenders"]
    assert set(sides) == {"ours", *(("eager", SAME) if HAS_TORCH else ())}
    for side in sides.values():
        assert len(side["losses"]) == len(side["seconds"]) == 21
        assert side["seconds"] == sorted(side["seconds"])
        assert side["losses"][-1] < side["losses"][0]
        assert side["reached"] == next((i for i, loss in enumerate(side["losses"]) if loss <= 4.44), None)
    if HAS_TORCH:  # the same weights, windows and rates: the same course, but for biases, that we decay too
        np.testing.assert_allclose(sides["ours"]["losses"], sides[SAME]["losses"], rtol=0, atol=2e-3)


def test_a_text_that_the_sides_measure_differently_is_noticed():
    verify_first({"ours": [4.0]})
    verify_first({"ours": [4.0], SAME: [4.00005]})
    with pytest.raises(RuntimeError, match=r"4\.000000 here and 4\.010000 there"):
        verify_first({"ours": [4.0], SAME: [4.01]})


def test_what_is_unknown_is_refused_in_one_line():
    done = run("steps")
    assert done.returncode == 2
    assert "'steps' is not one of step" in done.stderr
    assert "--text: there is no file /nowhere" in run("text", "--text", "/nowhere").stderr
    assert "--figures: there is no folder /nowhere" in run("text", "--figures", "/nowhere").stderr


def test_products_of_a_transformer_are_those_of_its_definition():
    s = SHORT["S"]
    B, T, D, F, V, N = s.batch, s.length, s.d_model, s.d_ff, s.vocab, s.n_blocks
    linear = N * (4 * D * D + 2 * D * F) + N * (8 * D * D + 2 * D * F) + D * V  # weights, each used once a token
    attention = 3 * N * 2 * T * D  # scores and contexts, of every token, in three attentions for every pair of blocks
    forward = 2 * B * T * (linear + attention)
    assert flops(products_of(s)) == 3 * forward  # backward has two products for each of forward's


def test_recording_changes_no_number_and_leaves_the_model_as_it_was():
    size = SHORT["G"]
    model, batch = new_model(size), new_batch(size)
    plain = model(*batch.inputs)
    with recording(model) as found:
        recorded = model(*batch.inputs)
    assert np.array_equal(bare(recorded), plain)
    assert all(type(p.value) is np.ndarray and type(p.grad) is np.ndarray for p in model.parameters())
    replay(found)


def test_another_loss_or_gradient_is_noticed():
    verify({"a": {"loss": 1.0}, "b": {"loss": 1.0, "gradient_error": 1e-12}})
    with pytest.raises(RuntimeError, match="the losses differ"):
        verify({"a": {"loss": 1.0}, "b": {"loss": 1.001}})
    with pytest.raises(RuntimeError, match=r"b: gradient_error is 0\.01"):
        verify({"a": {"loss": 1.0}, "b": {"loss": 1.0, "gradient_error": 0.01}})
    with pytest.raises(RuntimeError, match="gradient_error is nan"):
        verify({"b": {"loss": 1.0, "gradient_error": float("nan")}})


def test_ratios_are_taken_round_by_round():
    assert ratio(Turns([2.0, 20.0, 2.0]), Turns([1.0, 10.0, 1.0])) == 2.0


def test_what_others_used_is_said():
    assert "DISTURBED" in Watch(foreign=3.0, seconds=10.0).verdict()
    assert "quiet" in Watch(foreign=0.1, seconds=10.0).verdict()
    assert "not known" in Watch(known=False).verdict()


def test_every_size_says_what_it_is():
    assert all(f"{size.vocab:,} ids" in str(size) for size in SIZES.values())
