"""Each symptom gives its own sentence, and none gives another's."""

import dataclasses
import itertools

import numpy as np
import pytest

from minitransformer.layers import Cache, Layer, Parameter
from minitransformer.verify import check_directions, check_gradients
from minitransformer.verify.diagnosis import (
    WrongGradient,
    _constants,
    _ratios,
    _sizes,
    diagnose,
    missing_mean,
    some_rows,
    summed,
)
from minitransformer.verify.layer_under_test import LayerUnderTest

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3))
R = RNG.standard_normal((2, 3)) + 0.1  # what is wanted
CUBE = RNG.standard_normal((2, 2, 2))
GAIN = np.array([0.5, -2.0, 3.0])


class Scaled(Layer):
    """y = (gain x) W, with a size and a probability that have names."""

    def __init__(self):
        self.gain = Parameter(GAIN.copy())
        self.weight = Parameter(RNG.standard_normal((3, 5)))
        self.n_heads = 7
        self.p = 0.3

    def forward(self, x, rng=None):
        return (x * self.gain.value) @ self.weight.value, Cache(x=x)

    def backward(self, dy, cache):
        scaled = cache["x"] * self.gain.value
        self.weight.grad += scaled.T @ dy
        d_scaled = dy @ self.weight.value.T
        self.gain.grad += (d_scaled * cache["x"]).sum(axis=0)
        return d_scaled * self.gain.value


def said(mine, right=R, i=0, others=None, method="complex", upstream=None, layer=None, inputs=(X,)):
    """What is said of a gradient `mine` where `right` was wanted; `others` are the wanted gradients of all tensors."""
    tested = LayerUnderTest(layer or Scaled(), inputs)
    tested.upstream = RNG.standard_normal((2, 5)) if upstream is None else upstream
    wanted = [None] * len(tested.names) if others is None else list(others)
    wanted[i] = np.asarray(right)
    got = list(wanted)
    got[i] = np.asarray(mine)
    return diagnose(WrongGradient(tested, i, got, wanted, method), thorough=False)


CONSTANT = "got / wanted is {} in every entry, which is {}"


@pytest.mark.parametrize(
    ("ratio", "number", "form"),
    [
        (2.0, "2", "2"),
        (0.5, "0.5", "1/2"),
        (3.0, "3", "x.shape[1] (= 3)"),
        (-3.0, "-3", "-x.shape[1] (= 3)"),
        (1 / 3, "0.333333", "1/x.shape[1] (= 1/3)"),
        (3**0.5, "1.73205", "sqrt(x.shape[1]) (= sqrt(3))"),
        (3**-0.5, "0.57735", "1/sqrt(x.shape[1]) (= 1/sqrt(3))"),
        (5.0, "5", "output.shape[1] (= 5)"),
        (7.0, "7", "n_heads (= 7)"),
        (6.0, "6", "x.size (= 6)"),
        (0.3, "0.3", "p (= 0.3)"),
        (1 / 0.3, "3.33333", "1/p (= 1/0.3)"),
        (0.09, "0.09", "p^2 (= 0.3^2)"),
        (0.7, "0.7", "1 - p (= 1 - 0.3)"),
        (1 / 0.7, "1.42857", "1/(1 - p) (= 1/(1 - 0.3))"),
        (2 / 3, "0.666667", "(x.shape[1] - 1)/x.shape[1]"),
        (1.5, "1.5", "x.shape[1]/(x.shape[1] - 1)"),
        (3 / 5, "0.6", "x.shape[1]/output.shape[1] (= 3/5)"),
        (5 / 3, "1.66667", "output.shape[1]/x.shape[1] (= 5/3)"),
        (15.0, "15", "x.shape[1] * output.shape[1] (= 3 * 5)"),
        (1 / 15, "0.0666667", "1/(x.shape[1] * output.shape[1]) (= 1/(3 * 5))"),
        (4.0, "4", "4"),
        (0.25, "0.25", "1/4"),
    ],
)
def test_a_constant_factor_is_named_by_what_has_this_size(ratio, number, form):
    assert said(ratio * R) == CONSTANT.format(number, form)


def test_a_constant_factor_may_have_no_name_or_be_the_sign():
    assert said(1.234567 * R) == "got / wanted is 1.23457 in every entry: a constant factor"
    assert said(-R) == "the sign: got is -1 times wanted in every entry"


class Takes(Layer):
    """Ids and a number as inputs beside x."""

    def __init__(self):
        self.weight = Parameter(np.ones((4, 3)))

    def forward(self, x, ids, times=1.0):
        return x, Cache()


def test_sizes_and_constants_of_inputs_have_names():
    ids = np.array([[1, 2, 0, 3]])
    given = {"layer": Takes(), "inputs": (np.ones((2, 3)), ids, 11.0), "upstream": np.ones((2, 3))}
    assert said(4 * R, **given).endswith("which is ids.shape[1] (= 4)")
    assert said(11 * R, **given).endswith("which is times (= 11)")
    assert "nonzero" not in said(3 * R, **given)  # 3 is x.shape[1] first
    ids = np.array([[1, 2, 0, 3, 4, 0, 0, 4]])
    assert said(5 * R, **{**given, "inputs": (np.ones((2, 3)), ids, 1.0)}).endswith("nonzero ids of ids (= 5)")
    scalar = {**given, "upstream": np.float64(-0.123)}
    assert said(0.123 * R, **scalar).endswith("which is the upstream gradient (= 0.123)")
    flat = {"layer": Scaled(), "inputs": (np.ones((11, 13)),), "upstream": np.ones((2, 17, 19))}
    assert said(34 * R, **flat).endswith("which is all positions of the output (= 34)")
    deep = {"layer": Scaled(), "inputs": (np.ones((11, 13, 3)),), "upstream": np.ones((2, 5))}
    assert said(143 * R, **deep).endswith("which is all positions of x (= 143)")
    assert said(429 * R, **deep).endswith("which is x.size (= 429)")


@pytest.mark.parametrize(
    ("mine", "sentence"),
    [
        (R * (1 + 1e-10), "right to nine digits: rounding, or a very small term (an eps?) that is missing"),
        (R * 0, "backward returns zeros for it"),
        (
            R.T.reshape(R.shape),
            "a transpose: got equals wanted transposed to axes (1, 0) and then reshaped to its shape again",
        ),
        (np.roll(R, 1, axis=1), "shifted by one along axis 1"),
        (np.roll(R, -1, axis=1), "shifted by one along axis 1"),
        (R[:, ::-1], "the right numbers in the wrong order: a reshape where a transpose was meant?"),
        (
            R + np.array([[1.0], [2.0]]),
            "off by the same amount all along the last axis: a mean or a sum over it is missing",
        ),
        (R + np.array([1.0, 2.0, 4.0]), "off by the same amount all along axis 0: a mean or a sum over it is missing"),
        (np.repeat([[1.0], [3.0]], 3, axis=1), "got is the same number all along axis 1: summed or averaged over it?"),
        (R + [[0.0, 0.7, 0.0], [0.0, 0.9, 0.0]], "wrong only at index 1 of axis 1, right at the other 2"),
        (R + [[0.3, 0.7, 0.2], [0.0, 0.0, 0.0]], "wrong only at index 0 of axis 0, right at the other 1"),
        (R + [[0.3, 0.7, 0.2], [0.1, 0.0, 0.5]], "5 of 6 entries are wrong, in no pattern that is known here"),
        (R / GAIN, "a factor is missing: got times gain is what was wanted"),
        (R * GAIN, "a factor too many: wanted times gain is what backward got"),
    ],
)  # fmt: skip
def test_a_symptom_has_its_sentence(mine, sentence):
    assert said(mine) == sentence


def test_what_central_differences_cannot_tell_is_said_with_their_digits():
    nearly = R * (1 + 1e-6)
    assert said(nearly, method="central").startswith("right to four digits: rounding, or a curvature too large")
    assert said(nearly).startswith("got / wanted is 1 in every entry: a constant factor")


def test_a_parameter_that_gets_nothing_or_should_get_nothing():
    assert said(R * 0, i=2) == "backward never adds to its grad"
    assert said(R, R * 0) == "the output does not depend on it, so its gradient is zero"


def test_transposes_name_their_axes_where_there_are_several():
    square = CUBE[0] + np.array([[0.0, 3.0], [0.0, 0.0]])
    assert said(square.T, square) == "a transpose: got equals the transpose of wanted"
    assert said(CUBE.transpose(2, 0, 1), CUBE) == "a transpose: got equals the transpose of wanted, axes (2, 0, 1)"


def test_what_belongs_to_another_tensor_is_named():
    other = RNG.standard_normal((2, 3))
    others = [None, other, None]
    assert said(other, others=others) == "it equals the wanted gradient of gain: exchanged?"
    both = Two()
    given = {"layer": both, "inputs": (X, X + 1), "others": [None, other], "upstream": np.ones((2, 4))}
    assert said(R + other, **given) == "got has the gradient of y added to its own"
    assert said(R - other, **given) == "got has the gradient of y taken from its own"


class Two(Layer):
    def forward(self, x, y):
        return x + y, Cache()


def test_the_upstream_gradient_may_be_missing_or_there_twice():
    dy = RNG.standard_normal((2, 3))
    assert said(R - dy, upstream=dy).startswith("got lacks exactly the upstream gradient")
    assert said(R + dy, upstream=dy) == "got has the upstream gradient once too often"


def test_many_wrong_rows_are_cut_after_six():
    right = RNG.standard_normal((9, 2))
    mine = right.copy()
    mine[[0, 1, 2, 4, 5, 6, 8]] += RNG.standard_normal((7, 2))
    assert said(mine, right) == "wrong only at index 0, 1, 2, 4, 5, 6, ... of axis 0, right at the other 2"
    mine = right.copy()
    mine[[0, 1, 2, 4, 5, 6]] += RNG.standard_normal((6, 2))
    assert said(mine, right) == "wrong only at index 0, 1, 2, 4, 5, 6 of axis 0, right at the other 3"


def test_repeated_ids_are_named():
    ids = np.array([[1, 2, 1, 3]])
    given = {"layer": Takes(), "inputs": (np.ones((2, 3)), ids, 1.0), "upstream": np.ones((2, 3)), "i": 1}
    right = RNG.standard_normal((4, 3))
    mine = right.copy()
    mine[1] = [0.1, 0.2, 0.4]
    assert said(mine, right, **given).startswith("wrong only in rows whose id repeats in ids: assigned (G[ids] = dy)")
    mine[2] = [0.1, 0.2, 0.4]
    assert said(mine, right, **given) == "wrong only at index 1, 2 of axis 0, right at the other 2"


def test_a_wrong_gradient_is_a_record_that_does_not_change():
    tested = LayerUnderTest(Scaled(), [X])
    record = WrongGradient(tested, 0, [R], [R], "complex")
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.i = 1
    assert record.close(R, R * (1 + 5e-10))
    assert not record.close(R, R * (1 + 5e-9))
    assert not record.close(R, R[:, :2])
    central = dataclasses.replace(record, method="central")
    assert central.close(R, R * (1 + 5e-5))
    assert not central.close(R, R * (1 + 5e-4))


# ---- symptoms that need a layer to try


class Masked(Layer):
    """y = sum over what the mask lets through; backward forgets the mask."""

    def forward(self, x, mask):
        return np.where(mask, x, 0.0).sum(axis=-1), Cache(shape=x.shape)

    def backward(self, dy, cache):
        return np.broadcast_to(dy[..., None], cache["shape"]).copy()


class Gained(Layer):
    """y = x * gain * exp(sum x); backward leaves the gain out of the second term."""

    def __init__(self, shift=0.0):
        self.gain = Parameter(np.ones(3))
        self.shift = shift

    def forward(self, x, rng=None):
        e = np.exp(x.sum(axis=-1, keepdims=True))
        return x * (self.gain.value + self.shift) * e, Cache(x=x, e=e)

    def backward(self, dy, cache):
        x, e = cache["x"], cache["e"]
        self.gain.grad += (dy * x * e).sum(axis=0)
        return dy * (self.gain.value + self.shift) * e + (dy * x * e).sum(axis=-1, keepdims=True)


class Dropped(Layer):
    """y = (x m)^2 with a random mask m; backward takes x where x m belongs, and forgets m."""

    def forward(self, x, rng=None):
        m = np.ones(x.shape) if rng is None else rng.random(x.shape)
        return (x * m) ** 2, Cache(x=x, m=m)

    def backward(self, dy, cache):
        return 2 * dy * cache["x"] * cache["m"]


def test_a_gradient_that_is_right_under_other_conditions_says_which():
    mask = np.array([[True, False, True], [True, True, True]])
    assert (
        check_gradients(Masked(), X, mask).failures[0].diagnosis
        == "right without a mask: what may not be attended to takes part"
    )
    assert check_gradients(Gained(), X)["x"].diagnosis.startswith("right only while gain is all ones: a factor outside")
    assert check_gradients(Gained(1.0), X)["x"].diagnosis.startswith("right only while gain is all zeros: a factor")
    assert check_gradients(Dropped(), X)["x"].diagnosis.startswith("right without dropout: an array from before it")
    assert check_gradients(Dropped(), X, method="central")["x"].diagnosis.startswith("right without dropout")


class Unsafe(Layer):
    """y = |x|: right as a backward, and deaf to complex numbers."""

    def forward(self, x):
        return np.abs(x), Cache(s=np.sign(x))

    def backward(self, dy, cache):
        return dy * cache["s"]


def test_a_forward_that_is_deaf_to_complex_numbers_is_told_from_a_wrong_backward():
    assert check_gradients(Unsafe(), X)["x"].diagnosis.startswith(
        "central differences agree with backward: it is forward"
    )
    assert check_gradients(Unsafe(), X, method="central").passed


class RefusesComplexX(Scaled):
    def forward(self, x, rng=None):
        if np.imag(x).any():
            raise ValueError("no complex x")
        return super().forward(x)


def test_where_forward_raises_for_one_tensor_the_others_are_still_compared():
    result = check_gradients(RefusesComplexX(), X)
    assert [row.name for row in result.failures] == ["x"]
    assert "method='central' does without them" in result["x"].diagnosis
    assert result["weight"].passed
    assert result["gain"].passed


class TwoScales(Layer):
    """A gradient of size 1 beside one of size 0.01, which is wrong."""

    def __init__(self, wrong=1.0):
        self.small = Parameter(np.ones(3))
        self.wrong = wrong

    def forward(self, x):
        return x + 1e-2 * self.small.value, Cache()

    def backward(self, dy, cache):
        self.small.grad += self.wrong * 1e-2 * dy.sum(axis=0)
        return dy


def test_random_directions_weigh_small_gradients_as_much_as_large_ones():
    assert check_directions(TwoScales(), X).passed
    row = check_directions(TwoScales(1.1), X).failures[0]
    assert row.error > 1e-2


# ---- where a symptom begins


def test_a_factor_may_have_two_entries_and_a_single_one_is_a_constant():
    class Two(Layer):
        def __init__(self, size):
            self.few = Parameter(np.array([0.5, -3.0])[:size])

        def forward(self, x):
            return x, Cache()

    right = RNG.standard_normal((3, 2))
    given = {"inputs": (right,), "upstream": RNG.standard_normal((3, 2))}
    assert said(right / [0.5, -3.0], right, layer=Two(2), **given).startswith("a factor is missing: got times few")
    assert said(right * [0.5, -3.0], right, layer=Two(2), **given).startswith("a factor too many: wanted times few")
    one = {"inputs": (right[:, :1],), "upstream": right[:, :1]}
    assert said(2 * right[:, :1], right[:, :1], layer=Two(1), **one).startswith("got / wanted is 2 in every entry")


def test_an_axis_of_two_entries_may_be_shifted_summed_or_wrong_in_one():
    assert said(np.roll(R, 1, axis=0)) == "shifted by one along axis 0"
    assert (
        said(np.repeat(R[:1] + 0.5, 2, axis=0))
        == "got is the same number all along axis 0: summed or averaged over it?"
    )


@pytest.mark.parametrize(
    ("symptom", "kind", "limit"),
    [(missing_mean, "difference", 1e-6), (summed, "entries", 1e-9), (some_rows, "wrong", 1e-9)],
)
def test_a_symptom_forgives_so_much(symptom, kind, limit):
    right = np.array([[4.0, -2.0, 1.0], [3.0, 2.0, 0.5]])
    for off, found in ((0.8 * limit, True), (1.3 * limit, False)):
        if kind == "difference":  # 2 all along the last axis, but for one entry
            mine = right + 2.0 + 2.0 * off * np.array([[1.0, 0, 0], [0, 0, 0]])
        elif kind == "entries":
            mine = np.array([[7.0], [3.0]]) + 7.0 * off * np.array([[-1.0, 0, 0], [0, 0, 0]])
        else:  # wrong in one row; in the other by less, or more, than what counts
            mine = right + np.array([[0.5, 0.7, 0.6], [4.0 * off, 4.0 * off, 4.0 * off]])
        sentence = symptom(WrongGradient(LayerUnderTest(Scaled(), [X]), 0, [mine], [right], "complex"))
        assert bool(sentence) == found, (off, sentence)


def test_a_ratio_is_that_of_the_entries_that_are_not_small():
    right = np.array([1.0, -2.0, 1e-10, 1e-10, 1e-10])
    assert said(right * [1.5, 1.5, 9, 9, 9], right).startswith("got / wanted is 1.5 in every entry")


def test_a_gradient_that_is_right_only_while_two_gains_are_ones_is_not_said_to_depend_on_one():
    class Both(Layer):
        def __init__(self):
            self.first, self.second = Parameter(np.ones(3)), Parameter(np.ones(3))

        def forward(self, x, rng=None):
            e = np.exp(x.sum(axis=-1, keepdims=True))
            return x * self.first.value * self.second.value * e, Cache(x=x, e=e)

        def backward(self, dy, cache):
            x, e, a, b = cache["x"], cache["e"], self.first.value, self.second.value
            self.first.grad += (dy * x * e * b).sum(axis=0)
            self.second.grad += (dy * x * e * a).sum(axis=0)
            return dy * a * b * e + (dy * x * e).sum(axis=-1, keepdims=True)  # without the gains, in the second term

    result = check_gradients(Both(), X)
    assert [row.name for row in result.failures] == ["x"]
    assert not result["x"].diagnosis.startswith("right only while")


def test_six_vectors_are_tried():
    class Seven(Layer):
        """y = x exp(sum x) gain_0 ... gain_6; backward leaves one of them out of the second term."""

        def __init__(self, forgotten):
            self.gains = [Parameter(np.ones(3)) for _ in range(7)]
            self.forgotten = forgotten

        def forward(self, x, rng=None):
            e = np.exp(x.sum(axis=-1, keepdims=True))
            product = np.prod([g.value for g in self.gains], axis=0)
            return x * product * e, Cache(x=x, e=e, product=product)

        def backward(self, dy, cache):
            x, e, product = cache["x"], cache["e"], cache["product"]
            for gain in self.gains:
                gain.grad += (dy * x * e).sum(axis=0) * product / gain.value
            rest = product / self.gains[self.forgotten].value
            return dy * product * e + (dy * x * e * rest).sum(axis=-1, keepdims=True)

    for forgotten in (0, 5):
        found = check_gradients(Seven(forgotten), X)["x"].diagnosis
        assert found.startswith(f"right only while gains.{forgotten} is all ones")
    assert not check_gradients(Seven(6), X)["x"].diagnosis.startswith("right only")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (1.0, ""),
        (0.0, ""),
        (-0.4, ""),
        (True, ""),
        (0.4, "size (= 0.4)"),
        (7, "size (= 7)"),
        (1, ""),
    ],
)
def test_attributes_that_may_name_a_ratio_are_numbers_that_change_something(value, what):
    layer = Scaled()
    del layer.n_heads, layer.p
    layer.size = value
    names = [words for words, _ in (*_constants(under_test(layer)), *_sizes(under_test(layer)))]
    assert ("size" in names) == bool(what)


def under_test(layer):
    tested = LayerUnderTest(layer, [X])
    tested.upstream = RNG.standard_normal((2, 5))
    return tested


def test_every_ratio_is_named_by_its_formula():
    layer = Scaled()
    named = dict(_ratios(under_test(layer)))  # sizes 2, 3 of x, 5 of the output, n_heads 7, x.size 6; p
    assert named[""] == 1.0
    sizes = {"x.shape[0]": 2, "x.shape[1]": 3, "output.shape[1]": 5, "n_heads": 7, "x.size": 6}
    assert dict(_sizes(under_test(layer))) == sizes
    wanted = {"": 1.0, "2": 2.0, "1/2": 0.5, "3": 3.0, "1/3": 1 / 3, "4": 4.0, "1/4": 0.25}
    for words, n in sizes.items():
        wanted |= {f"1/{words} (= 1/{n})": 1 / n, f"{words} (= {n})": n, f"1/sqrt({words}) (= 1/sqrt({n}))": n**-0.5}
        wanted |= {f"sqrt({words}) (= sqrt({n}))": n**0.5}
        wanted |= {f"({words} - 1)/{words}": (n - 1) / n, f"{words}/({words} - 1)": n / (n - 1)}
    for (a, n), (b, m) in itertools.combinations(sizes.items(), 2):
        wanted |= {f"1/({a} * {b}) (= 1/({n} * {m}))": 1 / (n * m), f"{a} * {b} (= {n} * {m})": n * m}
        wanted |= {f"{a}/{b} (= {n}/{m})": n / m, f"{b}/{a} (= {m}/{n})": m / n}
    wanted |= {"p (= 0.3)": 0.3, "1/p (= 1/0.3)": 1 / 0.3, "p^2 (= 0.3^2)": 0.09, "1 - p (= 1 - 0.3)": 0.7}
    wanted |= {"1/(1 - p) (= 1/(1 - 0.3))": 1 / 0.7}
    assert named == pytest.approx(wanted)
    tested = under_test(layer)
    tested.upstream = np.float64(-1.0)
    assert dict(_ratios(tested))["the upstream gradient (= 1)"] == 1.0
    layer.p = 2.5
    assert "1 - p (= 1 - 2.5)" not in dict(_ratios(under_test(layer)))
