"""Schedules against values worked by hand."""

import pytest

from minitransformer.training import Constant, Noam, WarmupCosine


def test_constant_is_constant():
    assert {Constant(0.3)(step) for step in (1, 10, 1000)} == {0.3}


def test_noam_rises_linearly_peaks_at_the_warm_up_and_falls_with_the_root():
    noam = Noam(d_model=64, warmup=100)
    assert noam(1) == pytest.approx(64**-0.5 * 100**-1.5)  # 0.125 / 1000
    assert noam(50) == pytest.approx(0.125 * 50 / 1000)
    assert noam(100) == pytest.approx(0.0125)
    assert noam(400) == pytest.approx(0.00625)
    assert max(range(1, 1000), key=noam) == 100
    assert Noam(64, 100, factor=2.0)(100) == pytest.approx(0.025)


def test_cosine_warms_up_and_comes_down_to_its_final_rate():
    cosine = WarmupCosine(rate=1.0, steps=110, warmup=10, final=0.2)
    assert cosine(1) == pytest.approx(0.1)
    assert cosine(10) == pytest.approx(1.0)
    assert cosine(60) == pytest.approx(0.6)  # half way down
    assert cosine(110) == pytest.approx(0.2)
    assert cosine(500) == pytest.approx(0.2)


def test_cosine_without_warm_up_starts_at_its_rate_and_never_divides_by_zero():
    assert WarmupCosine(1.0, steps=10)(1) == pytest.approx(0.9755282581475768)  # (1 + cos(pi / 10)) / 2
    assert WarmupCosine(1.0, steps=5, warmup=5)(5) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(0.0), "rate=0.0"),
        (lambda: Constant(float("nan")), "rate=nan"),
        (lambda: Noam(64, warmup=0), "warmup=0"),
        (lambda: WarmupCosine(1.0, 10, warmup=11), "warmup=11: must be at least 0 and at most steps=10"),
        (lambda: WarmupCosine(1.0, 10, warmup=-1), "warmup=-1: must be at least 0"),
        (lambda: WarmupCosine(1.0, 10, final=2.0), "final=2.0"),
    ],
)
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_what_is_allowed():
    assert WarmupCosine(1.0, 10, warmup=0, final=0.0)(10) == 0.0
    assert WarmupCosine(1.0, 10, warmup=10, final=1.0)(3) == pytest.approx(0.3)
    assert WarmupCosine(1.0, 10, warmup=10)(11) == pytest.approx(0.0)
    assert WarmupCosine(1.0, 1)(1) == pytest.approx(0.0)
    assert Noam(1, 1)(4) == 0.5
    for value in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"rate={value}: must be a finite number above 0"):
            WarmupCosine(value, 10)
    with pytest.raises(ValueError, match=r"final=-0.1: must be at least 0 and at most rate=1"):
        WarmupCosine(1.0, 10, final=-0.1)
