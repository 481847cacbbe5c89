"""The drawing shows what the model object is: its layers in order, how often, how many parameters, who reads whom."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyArrowPatch

from minitransformer.layers import (
    Cache,
    Chain,
    Dense,
    Encoder,
    EncoderBlock,
    Identity,
    Layer,
    Linear,
    Residual,
    SelfAttention,
    Unallocated,
    as_initializer,
)
from minitransformer.models import (
    GPT,
    T5,
    BahdanauLSTM,
    GPTConfig,
    InputFeedingLSTM,
    Llama,
    LlamaConfig,
    LSTMConfig,
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Seq2SeqLSTM,
    T5Config,
    T5v11,
    Transformer,
    TransformerConfig,
)
from minitransformer.plotting import draw, parameter_parts

NOTHING = as_initializer(Unallocated())
LSTM_SIZES = LSTMConfig(31, 37, d_model=8, d_embedding=6, n_encoder_layers=3, n_decoder_layers=2)
SMALL = TransformerConfig(31, 37, d_model=8, n_heads=2, d_ff=12, n_encoder_blocks=3, n_decoder_blocks=2)
MODELS = {
    "minimal": MinimalTransformer(MinimalConfig(50, 60), NOTHING),
    "2017": Transformer(TransformerConfig.base(), NOTHING),
    "pre-norm": PreNormTransformer(SMALL, NOTHING),
    "T5": T5(T5Config.small(), NOTHING),
    "T5 v1.1": T5v11(T5Config.v1_1_small(), NOTHING),
    "GPT-2": GPT(GPTConfig.gpt2(), NOTHING),
    "Llama 2 70B": Llama(LlamaConfig.llama2_70b(), NOTHING),
    "LSTM": Seq2SeqLSTM(LSTM_SIZES, NOTHING),
    "Bahdanau": BahdanauLSTM(LSTM_SIZES, NOTHING),
    "input feeding": InputFeedingLSTM(LSTM_SIZES, NOTHING),
}
RECURRENT = ("LSTM", "Bahdanau", "input feeding")


def texts_from_below(ax, column=None):
    """What is written, from the bottom up: all of it, or that of the left column 0 or of the right one 1."""
    middle = sum(ax.get_xlim()) / 2
    here = [text for text in ax.texts if column is None or (text.get_position()[0] > middle) == bool(column)]
    return [text.get_text() for text in sorted(here, key=lambda text: text.get_position()[1])]


def named(texts, *names):
    return [text for text in texts if text in names]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_legible_alone_at_page_width_and_on_axes_given(name, assert_legible):
    ax = draw(MODELS[name])
    assert ax.figure.get_figwidth() <= 7.4
    assert_legible(ax.figure)
    figure, given = plt.subplots(figsize=(7, 8))
    assert draw(MODELS[name], ax=given) is given
    assert_legible(figure)


@pytest.mark.parametrize("name", MODELS)
def test_the_title_counts_what_the_model_counts(name):
    model = MODELS[name]
    assert draw(model).texts[0].get_text() == f"{type(model).__name__}: {model.n_parameters():,} parameters"


def test_the_block_of_2017_has_its_norms_behind_and_that_of_pre_norm_before():
    parts = ("self-attention", "feed-forward", "layer norm", "× 6", "× 3")
    post = named(texts_from_below(draw(MODELS["2017"]), 0), *parts)
    assert post == ["self-attention", "layer norm", "feed-forward", "layer norm", "× 6"]
    pre = named(texts_from_below(draw(MODELS["pre-norm"]), 0), *parts)
    assert pre == [
        "layer norm",
        "self-attention",
        "layer norm",
        "feed-forward",
        "× 3",
        "layer norm",
    ]


def test_shapes_stand_where_they_hold():
    ax = draw(MODELS["pre-norm"])
    assert named(texts_from_below(ax), "source ids (B, S)", "(B, S, 8)", "memory (B, S, 8)") == [
        *("source ids (B, S)", "(B, S, 8)", "memory (B, S, 8)")
    ]
    assert named(texts_from_below(ax, 1), "target ids (B, T)", "(B, T, 8)", "logits (B, T, 37)") == [
        *("target ids (B, T)", "(B, T, 8)", "logits (B, T, 37)")
    ]


def test_every_residual_branch_ends_in_a_plus():
    circles = {name: sum(isinstance(p, Circle) for p in draw(model).patches) for name, model in MODELS.items()}
    wanted = {"minimal": 3, "2017": 5, "pre-norm": 5, "T5": 5, "T5 v1.1": 5, "GPT-2": 2, "Llama 2 70B": 2}
    assert circles == wanted | dict.fromkeys(RECURRENT, 0)


def test_counts_are_those_of_one_layer_by_hand():
    texts = texts_from_below(draw(MODELS["Llama 2 70B"]))
    d = 8192
    wanted = [32000 * d, d, 2 * d * d + 2 * d * (8 * 128), d, 3 * d * 28672, d, 32000 * d]
    counts = [text for text in texts if text.replace(",", "").isdigit()]
    assert counts == [f"{n:,}" for n in wanted]
    assert f"= {80 * sum(wanted[1:5]):,}" in texts  # 80 blocks
    assert "64 query heads of 128, 8 of keys, rotary" in texts


def test_what_is_tied_or_shared_is_named_and_not_counted_again():
    left, right = (texts_from_below(draw(MODELS["2017"]), column) for column in (0, 1))
    assert "18,944,000" in left
    assert right.count("shared") == 2  # the target's embedding and the head
    assert "8 heads of 64, bias by distance (256)" in texts_from_below(draw(MODELS["T5"]))
    apart = texts_from_below(draw(MODELS["pre-norm"]), 1)
    assert apart.count("shared") == 1  # two vocabularies: only the head
    assert f"{37 * 8:,}" in apart


def test_the_memory_goes_to_the_attention_that_reads_it():
    ax = draw(MODELS["2017"])
    name = next(text for text in ax.texts if text.get_text() == "attention to the memory")
    orange = [arrow for arrow in ax.patches if arrow.get_edgecolor()[:3] == pytest.approx((0.835, 0.369, 0), abs=0.01)]
    (end,) = [arrow._posA_posB[1][1] for arrow in orange]
    assert abs(end - name.get_position()[1]) < 15  # points: within the box


def ends_of(ax, colour):
    """Where the arrows of one colour end."""
    arrows = [arrow for arrow in ax.patches if arrow.get_edgecolor()[:3] == pytest.approx(to_rgb(colour), abs=0.01)]
    return [arrow._posA_posB[1] for arrow in arrows if isinstance(arrow, FancyArrowPatch)]


def height_of(ax, name):
    return next(text.get_position()[1] for text in ax.texts if text.get_text() == name)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrent_model_has_its_layers_in_order_and_no_self_attention(name):
    ax = draw(MODELS[name])
    encoder = ("embedding", "(B, S, 6)", "bidirectional LSTM", "bidirectional LSTM × 2", "memory (B, S, 16)")
    encoder = ("source ids (B, S)", *encoder, "bridge of h and c", "first h and c (B, 2, 8)")
    assert named(texts_from_below(ax, 0), *encoder) == [*encoder]
    decoder = ("target ids (B, T)", "embedding", "(B, T, 6)", "LSTM", "LSTM", "attention to the memory")
    decoder = (*decoder, "attentional state", "dense", "logits (B, T, 37)")
    assert named(texts_from_below(ax, 1), *decoder) == [*decoder]
    assert not [text for text in texts_from_below(ax) if "self-attention" in text]


@pytest.mark.parametrize("name", RECURRENT)
def test_the_counts_of_a_recurrent_model_are_those_of_its_layers(name):
    model, texts = MODELS[name], texts_from_below(draw(MODELS[name]))
    parts = [model.source_embedding, *model.encoder.lstm.layers[:1], model.encoder.lstm, model.target_embedding]
    parts += [*model.decoder.lstm.layers, model.decoder.cross_attention, model.decoder.combine, model.decoder]
    assert {f"{part.n_parameters():,}" for part in [*parts, model.head]} <= set(texts)
    assert f"{model.encoder.n_parameters() - model.encoder.lstm.n_parameters():,}" in texts  # of the bridge


def test_each_score_and_what_is_fed_are_named():
    scores = {name: texts_from_below(draw(MODELS[name])) for name in RECURRENT}
    assert "score q · k, 16 → 8" in scores["LSTM"]
    assert "score v · tanh(q + k), 16 → 8" in scores["Bahdanau"]
    assert {"score q · k, 16 → 8", "[x; state before], 14 → 8", "decoder, step by step"} <= set(scores["input feeding"])
    assert not [text for name in ("LSTM", "Bahdanau") for text in scores[name] if "before" in text]


def test_the_memory_goes_to_the_attention_and_the_first_state_to_every_layer_of_the_decoder():
    ax = draw(MODELS["LSTM"])
    (memory,) = ends_of(ax, "#D55E00")
    assert abs(memory[1] - height_of(ax, "attention to the memory")) < 15  # points: within the box
    layers = sorted(text.get_position()[1] for text in ax.texts if text.get_text() == "LSTM")
    for first, layer in zip(sorted(y for _, y in ends_of(ax, "#009E73")), layers, strict=True):
        assert abs(first - layer) < 15


def test_h_passes_the_attention_and_what_is_fed_enters_the_first_layer_again():
    for name, boxes in (("LSTM", ["attentional state"]), ("input feeding", ["LSTM", "attentional state"])):
        ax = draw(MODELS[name])
        ends = sorted(y for _, y in ends_of(ax, "#0072B2"))
        heights = [min(t.get_position()[1] for t in ax.texts if t.get_text() == box) for box in boxes]
        assert len(ends) == len(boxes)
        assert all(abs(end - height) < 15 for end, height in zip(ends, heights))


class Mystery(Layer):
    """A layer that nobody has heard of."""

    def __init__(self, rng):
        self.gate, self.cell_update = Linear(4, 4, rng), Dense(4, 4, rng)

    def forward(self, x, rng=None):
        return x, Cache()


def test_a_layer_that_is_not_known_is_a_box_with_its_name_and_parameters(rng: np.random.Generator, assert_legible):
    stack = Encoder([EncoderBlock(attention=Residual(SelfAttention(4, 2, rng)), feed_forward=Mystery(rng))])
    texts = [text.get_text() for text in draw(stack).texts]
    assert {"feed forward: mystery", "36"} <= set(texts)
    ax = draw(Chain(first=Mystery(rng), nothing=Identity(), second=Linear(4, 3, rng)))
    texts = texts_from_below(ax)
    assert named(texts, "x", "linear", "dense", "first", "4 → 3", "y") == ["x", "linear", "dense", "first", "4 → 3",
                                                                          "linear", "y"]  # fmt: skip
    assert_legible(ax.figure)


def test_blocks_that_differ_are_drawn_apart(rng):
    def block(heads):
        return EncoderBlock(attention=Residual(SelfAttention(4, heads, rng)), feed_forward=Identity())

    def wide():
        return EncoderBlock(attention=Residual(SelfAttention(4, 2, rng, d_head=3)), feed_forward=Identity())

    texts = texts_from_below(draw(Encoder([block(2), block(2), wide()])))
    assert named(texts, "× 2", "× 1") == ["× 2", "× 1"]


@pytest.mark.parametrize("name", MODELS)
def test_parts_add_up_to_all_parameters(name):
    assert sum(parameter_parts(MODELS[name]).values()) == MODELS[name].n_parameters()


def test_parts_of_llama_are_those_that_are_published():
    d, blocks = 8192, 80
    assert parameter_parts(MODELS["Llama 2 70B"]) == {
        "embeddings": 32000 * d,
        "attention": blocks * 150_994_944,
        "feed-forward": blocks * 3 * d * 28672,
        "norms": (2 * blocks + 1) * d,
        "head": 32000 * d,
    }


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="model is of type str: give a Layer"):
        draw("model.py")
    assert not plt.get_fignums()
