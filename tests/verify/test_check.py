"""The gradient check itself: what it leaves alone, what it prints, and wrong layers that it must reject."""

import html
import re

import numpy as np
import pytest

from minitransformer.layers import (
    Cache,
    Chain,
    CrossEntropy,
    Dense,
    Dropout,
    Embedding,
    Glorot,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    Parameter,
    ReLU,
    Softmax,
    Unembedding,
)
from minitransformer.verify import GradientCheckFailed, check_directions, check_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 5, 7))


def init(seed=0, dtype=np.float64):
    return Glorot(np.random.default_rng(seed), dtype)


class Scaled(Layer):
    """y = weight * x, right; the base of the wrong ones below."""

    def __init__(self):
        self.weight = Parameter(np.ones(7))

    def forward(self, x, rng=None):
        return x * self.weight.value, Cache(x=x)

    def backward(self, dy, cache):
        self.weight.grad += (dy * cache["x"]).sum(axis=(0, 1))
        return dy * self.weight.value


def test_a_right_layer_passes():
    result = check_gradients(Scaled(), X)
    assert result.passed
    assert result
    assert result.raise_if_failed() is result
    assert result.worst_error < 1e-14
    assert result["weight"].shape == (7,)


# ---- what is left alone


@pytest.mark.parametrize("method", ["complex", "central"])
def test_the_layer_and_its_inputs_are_as_they_were(method):
    layer = Chain(a=Dense(7, 7, init(dtype=np.float32)), norm=LayerNorm(7, init(dtype=np.float32)))
    for parameter in layer.parameters():
        parameter.grad += 5.0
    before = [(p.value, p.grad, p.value.copy(), p.grad.copy()) for p in layer.parameters()]
    x = X.astype(np.float32)
    kept = x.copy()
    check_gradients(layer, x, method=method).raise_if_failed()
    for parameter, (value, grad, value_copy, grad_copy) in zip(layer.parameters(), before):
        assert parameter.value is value
        assert parameter.grad is grad
        assert np.array_equal(value, value_copy)
        assert np.array_equal(grad, grad_copy)
    assert np.array_equal(x, kept)


def test_the_layer_is_as_it_was_after_an_error():
    class Broken(Scaled):
        def forward(self, x, rng=None):
            self.stash = x
            self.weight.value[...] = 9.0
            raise RuntimeError("no")

    layer = Broken()
    value = layer.weight.value
    result = check_gradients(layer, X)
    assert not result.passed
    assert layer.weight.value is value
    assert np.array_equal(value, np.ones(7))
    assert not hasattr(layer, "stash")


def test_the_global_generator_is_not_touched():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    check_gradients(Dropout(0.3), X)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_ids_and_masks_are_not_differentiated():
    x, memory, mask = X[:, :, :6], RNG.standard_normal((3, 2, 6)), np.ones((3, 1, 5, 2), bool)
    result = check_gradients(MultiHeadAttention(6, 2, init()), x, memory, mask)
    assert {"x", "memory"} <= {row.name for row in result.rows}
    assert "mask" not in {row.name for row in result.rows}
    ids = check_gradients(Embedding(7, 3, init()), np.array([[1, 1, 2]]))
    assert "ids" not in {row.name for row in ids.rows}


def test_inputs_may_be_given_by_keyword_and_are_then_not_differentiated():
    x, mask = X[:, :, :6], np.ones((1, 1, 5, 5), bool)
    assert check_gradients(MultiHeadAttention(6, 2, init()), x, x + 1.0, mask=mask).passed


def test_which_inputs_are_differentiable_can_be_said():
    class Weighted(Layer):
        """y = x * w, w a constant that has no gradient."""

        def forward(self, x, w, rng=None):
            return x * w, Cache(w=w)

        def backward(self, dy, cache):
            return dy * cache["w"]

    assert not check_gradients(Weighted(), X, X + 1.0).passed
    assert check_gradients(Weighted(), X, X + 1.0, differentiable=["x"]).passed
    assert check_gradients(Weighted(), X, X + 1.0, differentiable=[0]).passed
    with pytest.raises(ValueError, match=r"differentiable='z': must name an input .*'x', 'w'"):
        check_gradients(Weighted(), X, X, differentiable=["z"])


def test_a_layer_whose_forward_knows_no_rng_is_checked_too():
    class Plain(Layer):
        def forward(self, x):
            return 2.0 * x, Cache()

        def backward(self, dy, cache):
            return 2.0 * dy

    assert check_gradients(Plain(), X).passed


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method='exact': must be one of 'complex', 'central'"):
        check_gradients(Scaled(), X, method="exact")


def test_nothing_to_check_does_not_pass():
    assert not check_gradients(Identity(), np.array([1, 2])).passed


# ---- tensors that are zero by mathematics, and the floor that judges them


def test_the_key_bias_of_attention_is_zero_but_for_rounding_and_passes():
    result = check_gradients(MultiHeadAttention(6, 2, init()), X[:, :, :6], RNG.standard_normal((3, 11, 6)))
    assert result.passed
    assert abs(result["key.bias"].wanted) < 1e-12


def test_a_gradient_of_the_key_bias_that_is_not_zero_fails():
    class Wrong(MultiHeadAttention):
        def backward(self, dy, cache):
            gradients = super().backward(dy, cache)
            self.key.bias.grad += 1e-11
            return gradients

    result = check_gradients(Wrong(6, 2, init()), X[:, :, :6], RNG.standard_normal((3, 11, 6)))
    assert not result["key.bias"].passed
    assert "does not depend" in result["key.bias"].diagnosis or "wrong" in result["key.bias"].diagnosis


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_a_small_tensors_mistake_does_not_hide_behind_a_large_one(size):
    class Two(Layer):
        """y = a x + size * b x: the gradient of b is `size` times that of a, and 0.01 % too large."""

        def __init__(self):
            self.a, self.b = Parameter(np.ones(7)), Parameter(np.ones(7))

        def forward(self, x, rng=None):
            return x * self.a.value + size * (x * self.b.value), Cache(x=x)

        def backward(self, dy, cache):
            d = (dy * cache["x"]).sum(axis=(0, 1))
            self.a.grad += d
            self.b.grad += 1.0001 * size * d
            return dy * (self.a.value + size * self.b.value)

    result = check_gradients(Two(), X)
    assert result["a"].passed
    assert not result["b"].passed


def test_an_initial_gain_of_one_hides_nothing():
    class GainOutside(LayerNorm):
        def backward(self, dy, cache):
            gain = self.gain.value
            self.gain.value = np.ones_like(gain)
            dx = super().backward(dy, cache) * gain
            self.gain.value = gain
            return dx

    assert not check_gradients(GainOutside(7, init()), X).passed
    assert check_gradients(GainOutside(7, init()), X, randomize=False).passed


# ---- wrong layers, and what the table says of them


class Sign(Scaled):
    def backward(self, dy, cache):
        return -super().backward(dy, cache)


class Doubled(Scaled):
    def backward(self, dy, cache):
        return 2.0 * super().backward(dy, cache)


class DividedByBatch(Scaled):
    def backward(self, dy, cache):
        return super().backward(dy, cache) / len(dy)


class TimesTokens(Scaled):
    def backward(self, dy, cache):
        return super().backward(dy, cache) * dy.shape[1]


class DividedByRootOfWidth(Scaled):
    def backward(self, dy, cache):
        return super().backward(dy, cache) / np.sqrt(dy.shape[2])


class WithoutTheWeight(Scaled):
    def backward(self, dy, cache):
        super().backward(dy, cache)
        return dy


class Nan(Scaled):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        dx[1, 2, 3] = np.nan
        return dx


class WrongShape(Scaled):
    def backward(self, dy, cache):
        return super().backward(dy, cache)[:, 0]


class Assigned(Scaled):
    def backward(self, dy, cache):
        self.weight.grad = (dy * cache["x"]).sum(axis=(0, 1))
        return dy * self.weight.value


class NotSummed(Scaled):
    def backward(self, dy, cache):
        self.weight.grad = (dy * cache["x"]).sum(axis=0)
        return dy * self.weight.value


class MutatesUpstream(Scaled):
    def backward(self, dy, cache):
        self.weight.grad += (dy * cache["x"]).sum(axis=(0, 1))
        dy *= self.weight.value
        return dy


class MutatesInput(Scaled):
    def forward(self, x, rng=None):
        kept = x.copy()
        x *= self.weight.value
        return x, Cache(x=kept)


class MutatesCache(Scaled):
    def backward(self, dy, cache):
        cache["x"] *= dy
        self.weight.grad += cache["x"].sum(axis=(0, 1))
        return dy * self.weight.value


class MutatesParameter(Scaled):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        self.weight.value -= 0.1 * self.weight.grad
        return dx


class Stale(Scaled):
    def forward(self, x, rng=None):
        self.x = x
        return super().forward(x)

    def backward(self, dy, cache):
        return super().backward(dy, Cache(x=self.x))


class TupleOfOne(Scaled):
    def backward(self, dy, cache):
        return (super().backward(dy, cache),)


class Nothing(Scaled):
    def backward(self, dy, cache):
        super().backward(dy, cache)


class TooMany(Scaled):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        return dx, dx


class NotAnArray(Scaled):
    def backward(self, dy, cache):
        return super().backward(dy, cache).tolist()


class RaisesInBackward(Scaled):
    def backward(self, dy, cache):
        return dy @ self.weight.value.reshape(2, 3)


class NoCache(Scaled):
    def forward(self, x, rng=None):
        return x * self.weight.value


class NotFinite(Scaled):
    def forward(self, x, rng=None):
        y = x * self.weight.value
        y[0, 1, 2] = np.inf
        return y, Cache(x=x)


class Upcast(Scaled):
    def forward(self, x, rng=None):
        return x * self.weight.value * np.ones(1), Cache(x=x)


class UpcastInTheCache(Scaled):
    def forward(self, x, rng=None):
        return x * self.weight.value, Cache(x=x, seen=np.zeros(3))


class NotForComplexNumbers(Layer):
    """y = |x|, whose backward is right."""

    def forward(self, x, rng=None):
        return abs(x), Cache(x=x)

    def backward(self, dy, cache):
        return dy * np.sign(cache["x"])


class CastsToFloat(Scaled):
    def forward(self, x, rng=None):
        return (x * self.weight.value).astype(x.real.dtype), Cache(x=x)


class Shifted(Scaled):
    def backward(self, dy, cache):
        return np.roll(super().backward(dy, cache), 1, axis=1)


class OnlyTheFirstSentence(Scaled):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        dx[1:] *= 1.5
        return dx


WRONG = [
    (Sign, "x", "the sign"),
    (Doubled, "x", "is 2 in every entry"),
    (DividedByBatch, "x", "1/x.shape[0] (= 1/3)"),
    (TimesTokens, "x", "x.shape[1] (= 5)"),
    (DividedByRootOfWidth, "x", "1/sqrt(x.shape[2])"),
    (WithoutTheWeight, "x", "got times weight"),
    (Nan, "x", "the first at (1, 2, 3)"),
    (WrongShape, "x", "its gradient has shape (3, 7)"),
    (Assigned, "backward twice", "assigned where it must be added"),
    (NotSummed, "weight", "a sum over axis 0 is missing"),
    (MutatesUpstream, "nothing is mutated", "backward changed the upstream gradient in place"),
    (MutatesInput, "nothing is mutated", "forward changed x in place"),
    (MutatesCache, "nothing is mutated", "backward changed cache['x'] in place"),
    (MutatesParameter, "nothing is mutated", "backward changed weight.value in place"),
    (Stale, "used twice", "kept on the layer?"),
    (Stale, "the layer stays as it is", "wrote to self (x)"),
    (TupleOfOne, "what backward returns", "must return one array"),
    (Nothing, "x", "returned nothing"),
    (TooMany, "what backward returns", "a tuple of 2: it must return one array, for x"),
    (NotAnArray, "x", "gave a list, not an array"),
    (RaisesInBackward, "backward", "ValueError"),
    (NoCache, "forward", "forward must return (output, cache)"),
    (NotFinite, "forward", "the output is inf there"),
    (Upcast, "float32 stays float32", "the output is float64"),
    (UpcastInTheCache, "float32 stays float32", "cache['seen'] is float64"),
    (NotForComplexNumbers, "x", "central differences agree with backward"),
    (CastsToFloat, "x", "ComplexWarning"),
    (Shifted, "x", "shifted by one along axis 1"),
    (OnlyTheFirstSentence, "x", "wrong only at index 1, 2 of axis 0"),
]


@pytest.mark.parametrize(("layer_class", "row", "reason"), WRONG, ids=[f"{c.__name__}-{row}" for c, row, _ in WRONG])
def test_a_wrong_layer_fails_with_the_reason(layer_class, row, reason):
    result = check_gradients(layer_class(), X)
    assert not result.passed
    assert not result[row].passed
    assert reason in result[row].diagnosis


ALSO = {  # a mistake shows in these rows too: float64 numbers of sqrt, what is changed is not there a second time
    DividedByRootOfWidth: {"float32 stays float32"} if np.__version__ >= "2" else set(),  # NumPy 1 goes by the array
    NotSummed: {"backward twice"},
    MutatesUpstream: {"backward twice"},
    MutatesInput: {"weight"},
    MutatesCache: {"backward twice"},
    MutatesParameter: {"backward twice"},
    NotAnArray: {"what backward returns", "float32 stays float32"},
    CastsToFloat: {"weight"},
}


@pytest.mark.parametrize("layer_class", dict.fromkeys(layer_class for layer_class, _, _ in WRONG))
def test_nothing_else_of_a_wrong_layer_fails(layer_class):
    rows = {row for kind, row, _ in WRONG if kind is layer_class}
    result = check_gradients(layer_class(), X)
    assert {row.name for row in result.failures} == rows | ALSO.get(layer_class, set())
    assert all(row.diagnosis for row in result.failures)
    assert not any(row.diagnosis for row in result.rows if row.passed)


@pytest.mark.parametrize(
    ("layer_class", "why"),
    [
        (Assigned, "weight again: assigned where it must be added (grad +=, not grad =)"),
        (MutatesUpstream, "weight again: it added something else"),
    ],
)
def test_a_second_backward_that_does_not_add_the_same_says_how(layer_class, why):
    said = check_gradients(layer_class(), X)["backward twice"].diagnosis
    assert said == f"the second backward did not add its gradient of {why}"


def test_a_forward_that_complex_numbers_cannot_pass_is_checked_by_central_differences():
    assert check_gradients(NotForComplexNumbers(), X, method="central").passed


def test_a_tied_weight_of_which_one_use_is_forgotten_is_named():
    class Forgets(Unembedding):
        def backward(self, d_logits, cache):
            return d_logits @ self.weight.value

    tokens = Embedding(11, 6, init())
    result = check_gradients(Chain(tokens=tokens, bend=ReLU(), head=Forgets(tokens.weight)), np.array([[1, 4, 1]]))
    assert "is the gradient of tokens alone" in result["tokens.weight"].diagnosis


def test_a_wrong_upstream_of_all_ones_would_have_been_missed():
    class NoBackward(Softmax):
        def backward(self, dy, cache):
            return 0.0 * dy  # right for dy of ones, since a row sums to one whatever its scores are

    assert not check_gradients(NoBackward(), X).passed


def test_the_loss_with_its_scalar_output_is_checked():
    targets = np.array([[1, 0, 6, 6, 2]] * 3)
    result = check_gradients(CrossEntropy(pad=0, label_smoothing=0.1), X, targets)
    assert result.passed
    assert result["logits"].shape == (3, 5, 7)


# ---- how it prints


def test_the_table_is_aligned_and_says_all():
    text = str(check_gradients(Sign(), X))
    first, heading, rule, *rows = text.splitlines()
    assert first == "Sign, complex step, tolerance 1e-12: FAIL (1 of 8 rows)"
    assert heading.split("  ")[0] == "tensor"
    assert len(set(map(len, re.findall("-+", rule)))) > 1
    column = heading.index("verdict")
    verdicts = [row[column : column + 4] for row in rows if not row.startswith("    ->")]
    assert set(verdicts) == {"PASS", "FAIL"}
    assert "    -> the sign: got is -1 times wanted in every entry" in rows


def test_the_worst_entry_is_told_with_got_and_wanted():
    class OneWrong(Scaled):
        def backward(self, dy, cache):
            dx = super().backward(dy, cache)
            dx[2, 1, 4] += 3.0
            return dx

    row = check_gradients(OneWrong(), X)["x"]
    assert row.index == (2, 1, 4)
    assert row.got - row.wanted == pytest.approx(3.0)


def test_html_has_words_beside_colours_and_escapes_names():
    class Odd(Scaled):
        def forward(self, x, rng=None):
            raise ValueError("<b>&")

    text = check_gradients(Odd(), X)._repr_html_()
    assert "FAIL</td>" in text
    assert html.escape("<b>&") in text
    assert "<b>" not in text
    assert "PASS</td>" in check_gradients(Scaled(), X)._repr_html_()


def test_raise_if_failed_raises_the_table():
    with pytest.raises(GradientCheckFailed, match="the sign"):
        check_gradients(Sign(), X).raise_if_failed()


def test_a_row_that_does_not_exist_is_named():
    with pytest.raises(KeyError, match="there are what backward returns, x, weight"):
        check_gradients(Scaled(), X)["bias"]


# ---- directions


def test_directions_pass_a_right_layer_and_leave_it_as_it_was():
    layer = Linear(7, 3, init())
    value, grad = layer.weight.value, layer.weight.grad
    result = check_directions(layer, X, n=20).raise_if_failed()
    assert result.worst_error < 1e-14
    assert layer.weight.value is value
    assert layer.weight.grad is grad
    assert not grad.any()


@pytest.mark.parametrize("wrong", [Sign, DividedByBatch, OnlyTheFirstSentence, Shifted, WrongShape, RaisesInBackward])
def test_directions_reject_a_wrong_layer(wrong):
    assert not check_directions(wrong(), X, n=5).passed


def test_directions_see_a_small_tensor_beside_a_large_one():
    class Small(Linear):
        def forward(self, x, rng=None):
            y, cache = super().forward(1e3 * x)
            return y + 1e-3 * x[..., :1], cache

        def backward(self, dy, cache):
            return 1e3 * super().backward(dy, cache)  # without the small path

    assert not check_directions(Small(7, 3, init()), X, n=5).passed


def test_no_directions_are_refused():
    with pytest.raises(ValueError, match="n=0: there must be at least 1 direction"):
        check_directions(Scaled(), X, n=0)
