"""A trace is what one forward and one backward did: shapes, norms and order, as computed by hand beside it."""

import itertools
import re
import time

import numpy as np
import pytest

from minitransformer.layers import (
    Cache,
    Chain,
    Dense,
    Dropout,
    Glorot,
    Identity,
    Layer,
    Linear,
    ReLU,
    Residual,
    Softmax,
)
from minitransformer.models import (
    GPT,
    T5,
    GPTConfig,
    Llama,
    LlamaConfig,
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    T5Config,
    TransformerConfig,
)
from minitransformer.verify import LayerCall, Trace, trace
from minitransformer.verify.trace import _norm, _shapes

SIZES = {"d_model": 8, "n_heads": 2}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_shapes_and_norms_are_those_of_the_layers_run_by_hand(rng):
    first, second = Dense(3, 5, Glorot(rng, np.float64)), Linear(5, 2, Glorot(rng, np.float64))
    x, dy = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))
    steps = trace(Chain(first=first, bend=ReLU(), second=second), x, loss_gradient=lambda y: dy)
    h = x @ first.weight.value + first.bias.value
    bent = np.maximum(h, 0)
    d_bent = dy @ second.weight.value.T
    wanted = [
        ("", "Chain", 0, x, bent @ second.weight.value, dy, 3 * 5 + 5 + 5 * 2),
        ("first", "Dense", 1, x, h, d_bent * (h > 0), 3 * 5 + 5),
        ("bend", "ReLU", 1, h, bent, d_bent, 0),
        ("second", "Linear", 1, bent, bent @ second.weight.value, dy, 5 * 2),
    ]
    assert len(steps) == len(wanted)
    for step, (path, kind, depth, given, got, gradient, parameters) in zip(steps, wanted):
        assert (step.path, step.kind, step.depth, step.parameters) == (path, kind, depth, parameters)
        assert (step.inputs, step.outputs, step.gradients) == ((given.shape,), (got.shape,), (gradient.shape,))
        norms = [(array**2).sum() ** 0.5 for array in (given, got, gradient)]
        assert [step.input_norm, step.output_norm, step.gradient_norm] == pytest.approx(norms)
        assert step.forward_ms > 0
        assert step.backward_ms is not None
        assert step.backward_ms > 0


def models(rng):
    one = {"n_encoder_blocks": 2, "n_decoder_blocks": 1}
    source, target = rng.integers(1, 11, (2, 5)), rng.integers(1, 13, (2, 7))
    config = TransformerConfig(11, 13, d_ff=12, dropout=0.1, **SIZES, **one)
    return [
        (PreNormTransformer(config, rng), (source, target)),
        (MinimalTransformer(MinimalConfig(11, 13, **SIZES, **one), rng), (source, target)),
        (T5(T5Config(vocab=13, d_model=8, n_heads=2, d_kv=3, d_ff=12, **one), rng), (source, target)),
        (GPT(GPTConfig(13, 9, n_blocks=2, **SIZES), rng), (target,)),
        (Llama(LlamaConfig(13, 9, n_kv_heads=1, d_ff=12, n_blocks=2, **SIZES), rng), (target,)),
    ]


def test_every_step_of_every_model_has_its_backward_with_the_outputs_shape(rng):
    for model, inputs in models(rng):
        steps = trace(model, *inputs, rng=np.random.default_rng(1))
        for step in steps:
            assert step.gradients == step.outputs, (type(model).__name__, step)
            assert step.gradient_norm is not None
            assert np.isfinite([step.output_norm, step.gradient_norm]).all()
        paths = {path for path, _ in model.named_layers()}
        assert {step.path for step in steps} <= paths
        assert steps.steps[0].parameters == model.n_parameters()


def test_the_model_is_given_back_as_it_was(rng):
    for model, inputs in models(rng):
        for parameter in model.parameters():
            parameter.grad += 1.5
        layers = [layer for _, layer in model.named_layers()]
        before = [(dict(vars(layer)), [p.value.copy() for p in layer.parameters()]) for layer in layers]
        trace(model, *inputs)
        for layer, (attributes, values) in zip(layers, before):
            assert vars(layer) == attributes
            for parameter, value in zip(layer.parameters(), values):
                np.testing.assert_array_equal(parameter.value, value)
                assert (parameter.grad == 1.5).all()


def test_a_layer_that_is_used_twice_has_a_step_for_each_use(rng):
    class Twice(Layer):
        def __init__(self):
            self.inner = Linear(3, 3, Glorot(rng, np.float64))

        def forward(self, x, rng=None):
            h, first = self.inner.forward(x)
            y, second = self.inner.forward(h)
            return y, Cache(first=first, second=second)

        def backward(self, dy, cache):
            return self.inner.backward(self.inner.backward(dy, cache["second"]), cache["first"])

    layer, x = Twice(), rng.standard_normal((4, 3))
    dy = rng.standard_normal((4, 3))
    first, second = trace(layer, x, loss_gradient=lambda y: dy)["inner"]
    w = layer.inner.weight.value
    assert (first.input_norm, second.input_norm) == pytest.approx((np.linalg.norm(x), np.linalg.norm(x @ w)))
    assert (first.gradient_norm, second.gradient_norm) == pytest.approx((np.linalg.norm(dy @ w.T), np.linalg.norm(dy)))


def test_a_wrapper_and_what_it_wraps_share_a_path(rng):
    steps = trace(Chain(part=Residual(Linear(3, 3, rng))), rng.standard_normal((2, 3)))
    assert [step.kind for step in steps["part"]] == ["Residual", "Linear"]
    with pytest.raises(KeyError, match=r"'gone': there are part, part\.residual_dropout"):
        steps["gone"]


def test_masked_scores_do_not_make_a_norm_infinite(rng):
    steps = trace(Softmax(), np.array([[3.0, 4.0, -np.inf]]))
    assert steps.steps[0].input_norm == pytest.approx(5.0)


def test_the_table_has_a_line_for_every_step_and_can_be_cut_to_a_depth(rng):
    (model, inputs), *_ = models(rng)
    steps = trace(model, *inputs)
    lines = repr(steps).splitlines()
    assert (
        lines[0]
        == f"PreNormTransformer of (2, 5), (2, 7): one forward, one backward, {model.n_parameters():,} parameters"
    )
    assert lines[1].split()[:5] == ["layer", "class", "input", "output", "gradient"]
    assert len(lines) == 3 + len(steps)
    names = [line.split()[0] for line in repr(steps.to_depth(1)).splitlines()[4:]]
    assert names == ["source_embedding", "encoder", "target_embedding", "decoder", "head"]


def test_html_has_a_row_for_every_step_and_escapes_what_is_in_it():
    class Odd(Identity):
        pass

    Odd.__name__ = "<b>&"
    text = trace(Odd(), np.ones((2, 3)))._repr_html_()
    assert "<b>" not in text
    assert text.count("&lt;b&gt;&amp;") == 2  # the title and the class
    assert len(re.findall("<tr>", text)) == 2


def test_the_whole_table_of_a_small_model(monkeypatch):
    class Mean(Layer):
        def forward(self, x, rng=None):
            return np.asarray(x.mean()), Cache(x=x)

        def backward(self, dy, cache):
            return np.full(cache["x"].shape, dy / cache["x"].size)

    class Ends(Layer):
        """A model whose output is a scalar, and a part that it never runs backward."""

        def __init__(self):
            init = Glorot(np.random.default_rng(0), np.float64)
            self.part = Residual(Chain(first=Linear(2, 2, init), second=Linear(2, 2, init)))
            self.mean = Mean()
            for parameter in self.parameters():
                parameter.value[...] = np.eye(2)

        def forward(self, x, rng=None):
            y, cache = self.part.forward(x)
            loss, _ = self.mean.forward(y)
            return loss, Cache(part=cache, x=x)

        def backward(self, dy, cache):
            return self.part.backward(np.ones(cache["x"].shape), cache["part"])

    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: 0.002 * next(ticks))
    steps = trace(Ends(), np.array([[3.0, 4.0]]), loss_gradient=lambda y: np.asarray(2.0))
    assert [line.split() for line in repr(steps).splitlines()] == [
        ["Ends", "of", "(1,", "2):", "one", "forward,", "one", "backward,", "8", "parameters"],
        ["layer", "class", "input", "output", "gradient", "|x|", "|y|", "|dy|", "ms", "ms", "back", "parameters"],
        ["-" * n for n in (20, 8, 6, 6, 8, 3, 3, 4, 5, 7, 10)],
        ["(the", "model)", "Ends", "(1,", "2)", "()", "()", "5", "7", "2", "26.00", "22.00", "8"],
        ["part", "Residual", "(1,", "2)", "(1,", "2)", "(1,", "2)", "5", "10", "1.41", "18.00", "18.00", "8"],
        ["·", "Chain", "(1,", "2)", "(1,", "2)", "(1,", "2)", "5", "5", "1.41", "10.00", "10.00", "8"],
        ["first", "Linear", "(1,", "2)", "(1,", "2)", "(1,", "2)", "5", "5", "1.41", "2.00", "2.00", "4"],
        ["second", "Linear", "(1,", "2)", "(1,", "2)", "(1,", "2)", "5", "5", "1.41", "2.00", "2.00", "4"],
        ["residual_dropout", "Dropout", "(1,", "2)", "(1,", "2)", "(1,", "2)", "5", "5", "1.41", "2.00", "2.00"],
        ["mean", "Mean", "(1,", "2)", "()", "10", "7", "2.00"],
    ]


def test_a_trace_is_printed_letter_by_letter():
    calls = [
        LayerCall("", "Model", 0, 1234, ((2, 3), (2,)), 5.0, ((2, 3),), ((2, 3),), 1234.5, 0.00012345, 1.5, 2.25),
        LayerCall("part", "Linear", 1, 0, ((2, 3), ()), None, ((),), backward_ms=None, forward_ms=0.004),
        LayerCall("part.inner", "<b>", 2, 10, ((2, 3),), None, forward_ms=0.006),
    ]
    text, page = repr(Trace("some & more", calls)), Trace("some & more", calls)._repr_html_()
    assert text == (
        "some & more\n"
        "layer        class   input         output  gradient  |x|       |y|      |dy|    ms  ms back  parameters\n"
        "-----------  ------  ------------  ------  --------  ---  --------  --------  ----  -------  ----------\n"
        "(the model)  Model   (2, 3), (2,)  (2, 3)  (2, 3)      5  1.23e+03  0.000123  1.50     2.25       1,234\n"
        "  part       Linear  (2, 3), ()    ()                                         0.00\n"
        "    inner    <b>     (2, 3)                                                   0.01                   10"
    )
    left, right = (f'style="text-align: {side}; padding: 1px 6px; white-space: nowrap"' for side in ("left", "right"))
    sides = [left] * 5 + [right] * 6
    names = ["layer", "class", "input", "output", "gradient", "|x|", "|y|", "|dy|", "ms", "ms_back", "parameters"]
    lines = ["".join(f'<th scope="col" {side}>{n}</th>' for side, n in zip(sides, names)).replace("_", " ")]
    for name, indent, *cells in (
        (
            "(the model)",
            0.4,
            "Model",
            "(2, 3), (2,)",
            "(2, 3)",
            "(2, 3)",
            *["5", "1.23e+03", "0.000123", "1.50", "2.25", "1,234"],
        ),
        ("part", 1.4, "Linear", "(2, 3), ()", "()", "", "", "", "", "0.00", "", ""),
        ("inner", 2.4, "&lt;b&gt;", "(2, 3)", "", "", "", "", "", "0.01", "", "10"),
    ):
        style = f"text-align: left; font-weight: normal; padding: 1px 6px 1px {indent}em"
        columns = "".join(f"<td {side}>{cell}</td>" for side, cell in zip(sides[1:], cells))
        lines.append(f'<th scope="row" style="{style}">{name}</th>{columns}')
    head, *body = (f"<tr>{line}</tr>" for line in lines)
    caption = '<caption style="text-align: left">some &amp; more</caption>'
    assert page == f"<table>{caption}<thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


def test_norms_and_shapes_are_of_all_arrays_that_are_no_masks():
    pair = (np.array([3.0]), [np.array([[4.0, np.nan]]), np.array([True])], np.arange(2), 7.0)
    assert _shapes(pair) == ((1,), (1, 2), (2,))
    assert _norm(pair) == 5.0
    assert _norm((np.arange(3),)) is None
    assert _norm((np.array([3j, 4.0]),)) == 5.0
    assert _norm((np.zeros((0, 2)),)) == 0.0


def test_a_layer_that_is_used_twice_behind_caches_of_another_goes_back_in_reverse_order(monkeypatch):
    class Twice(Layer):
        """y = part(part(x) cut in half), whose caches are not those that the part gave."""

        def __init__(self):
            self.part = Identity()

        def forward(self, x, rng=None):
            first, _ = self.part.forward(x)
            second, _ = self.part.forward(first[:2])
            return second, Cache()

        def backward(self, dy, cache):
            dy = self.part.backward(dy, Cache())
            return self.part.backward(np.concatenate([dy, 0 * dy]), Cache())

    monkeypatch.setattr(Identity, "backward", lambda self, dy, cache: dy)
    steps = trace(Twice(), np.ones((4, 3)))
    assert [(s.outputs, s.gradients) for s in steps["part"]] == [(((4, 3),), ((4, 3),)), (((2, 3),), ((2, 3),))]
    assert all(step.backward_ms is not None for step in steps)


def test_a_generator_is_handed_on_where_there_is_one_and_nothing_where_there_is_none(rng):
    class WithoutRng(Layer):
        def forward(self, x):
            return x, Cache()

        def backward(self, dy, cache):
            return dy

    assert len(trace(WithoutRng(), np.ones((2, 3)))) == 1
    whole, dropped = trace(Dropout(0.5), np.ones((40, 3))), trace(Dropout(0.5), np.ones((40, 3)), rng=rng)
    assert whole.steps[0].output_norm == pytest.approx(120**0.5)
    assert dropped.steps[0].output_norm != pytest.approx(120**0.5)
    with pytest.raises(TypeError, match="inputs are complex: give real numbers"):
        trace(Dropout(0.5), np.ones(3), np.ones(3) * 1j)
