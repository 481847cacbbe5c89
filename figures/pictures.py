"""Every picture in this folder as a small function: what is drawn, from which seed, and what it depends on."""

from __future__ import annotations

import argparse
import ast
import hashlib
import inspect
import io
import json
import sys
import textwrap
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from minitransformer import plotting
from minitransformer.commands import compare, demo
from minitransformer.commands.demo_figures import demo_pictures
from minitransformer.commands.options import trainer_from
from minitransformer.commands.runs import NOT_SETTINGS
from minitransformer.data import EnglishFrench
from minitransformer.decoding import BeamStep, DecodingTrace, Translator, beam_search, search_tree
from minitransformer.decoding.hypothesis import log_probability_of
from minitransformer.experiments.coreference import (
    SHOWROOM,
    Head,
    attention_maps,
    like_the_showroom,
    measure_heads,
    stored_pronoun_translator,
)
from minitransformer.experiments.materials import drawn
from minitransformer.layers import (
    Array,
    Chain,
    EncoderBlock,
    FeedForward,
    Glorot,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    PostNorm,
    PreNorm,
    Residual,
    SelfAttention,
    Unallocated,
    as_initializer,
    causal_mask,
    padding_mask,
    sinusoids,
)
from minitransformer.models import (
    GPT,
    T5,
    GPTConfig,
    Llama,
    LlamaConfig,
    LSTMConfig,
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Seq2SeqLSTM,
    T5Config,
    Transformer,
    TransformerConfig,
)
from minitransformer.training import Adam, Constant, Every, Noam, Trainer, WarmupCosine

WORDS = SHOWROOM.lower().replace(",", " ,").replace(".", " .").split()
SNAPSHOTS = (100, 300, 400, 5000)  # steps after which the demo's weights are kept
GROUPS = {  # words of the demo whose vectors are drawn
    "who": ("i", "we", "they", "he", "she"),
    "whose": ("my", "his", "her", "the"),
    "things": ("car", "house", "book", "lamp", "statue", "guitar"),
    "animals": ("cat", "dog", "hen", "bird"),
    "adjectives": ("big", "small", "new", "old"),
}


class Trained:
    """The demo of seed 0, trained when a picture first asks for it, and its weights on the way."""

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        demo.add_parser(parser.add_subparsers())
        # As many workers as the figures of README had: sums in another order are other numbers.
        self.options = parser.parse_args(["demo", "--seed", "0", "--workers", "2"])
        self.grammar = EnglishFrench()
        self.translator = demo.new_translator(self.options, self.grammar)
        self.weights: dict[int, list[Array]] = {0: self.weights_now()}

    def weights_now(self) -> list[Array]:
        return [parameter.value.copy() for parameter in self.translator.model.parameters()]

    @cached_property
    def trainer(self) -> Trainer:
        """After its training."""

        def keep(trainer: Trainer) -> None:
            if trainer.step in SNAPSHOTS:
                self.weights[trainer.step] = self.weights_now()

        trainer = trainer_from(self.options, self.translator.model)
        demo.fit(self.options, self.grammar, self.translator, trainer, [Every(1, keep)])
        return trainer

    @cached_property
    def heads(self) -> list[Head]:
        assert self.trainer
        return demo.best_heads(self.translator, self.grammar, self.options)

    @cached_property
    def look(self) -> DecodingTrace:
        assert self.trainer
        return self.translator.look(SHOWROOM)

    @cached_property
    def pictures(self) -> dict[str, Any]:
        return demo_pictures(self.translator, self.trainer.history, self.heads, self.options.examples)

    @cached_property
    def compared(self) -> dict[str, Any]:
        """The comparison of an LSTM and a Transformer, which takes a minute and has nothing to do with the demo."""
        parser = argparse.ArgumentParser()
        compare.add_parser(parser.add_subparsers())
        material, _, comparison = compare.measured(parser.parse_args(["compare", "--workers", "1"]))
        return drawn(material, comparison)

    def after(self, step: int, see: Callable[[Translator], Any]) -> Any:
        """What `see` says of the translator as it was after a step."""
        now = self.weights_now() if self.trainer else []
        parameters = self.translator.model.parameters()
        try:
            for parameter, value in zip(parameters, self.weights[step]):
                parameter.value[...] = value
            return see(self.translator)
        finally:
            for parameter, value in zip(parameters, now):
                parameter.value[...] = value

    def inputs(self) -> dict[str, Any]:
        """What training depends on, but for the program itself: all settings and the words."""
        given = {name: value for name, value in vars(self.options).items() if name not in NOT_SETTINGS}
        # An option that is not given, or only switches, such as one that comes with a later version, changes nothing.
        settings = {name: value for name, value in given.items() if value is not None and not isinstance(value, bool)}
        words = [*self.grammar.source_tokens, *self.grammar.target_tokens]
        return {**settings, "words": hashlib.sha256(" ".join(words).encode()).hexdigest()}


@dataclass(frozen=True)
class Picture:
    """How one picture is made.

    Attributes
    ----------
    name : str
        Of the picture, without its suffix.
    caption : str
        What is seen, in a sentence: the text for those who cannot see it.
    draw : callable
        Trained -> Figure.
    drawn_by : functions of `plotting`, and of this file or others where they matter to it
    trained : bool
        It needs the trained demo.
    inputs : callable, optional
        -> JSON that the picture depends on besides.
    """

    name: str
    caption: str
    draw: Callable[[Trained], Any]
    drawn_by: tuple[Callable[..., Any], ...]
    trained: bool = False
    inputs: Callable[[], Any] | None = None

    def digest(self, trained: Trained) -> str:
        """Changes with the function here, the code that draws, or what they are given, and with nothing else."""
        own: list[Any] = [function for function in (self.draw, *self.drawn_by) if function.__module__ == __name__]
        names = with_helpers({function.__module__ for function in self.drawn_by} - {__name__})
        sources: list[Any] = [*own, *(sys.modules[name] for name in sorted(names))]
        parts = [code_of(source) for source in sources]
        parts.append(json.dumps(self.inputs() if self.inputs else None, default=str))
        parts.append(json.dumps(trained.inputs() if self.trained else None, sort_keys=True))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def code_of(source: Any) -> str:
    """The code of a function or module without its comments and docstrings: whoever rewords them changes no picture."""
    text = textwrap.dedent(inspect.getsource(source))
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            for row in range(docstring.lineno - 1, docstring.end_lineno or docstring.lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def with_helpers(modules: set[str]) -> set[str]:
    """These modules and, of those in `plotting`, all others there whose functions they use, directly or not."""
    room, found, new = f"{plotting.__name__}.", set[str](), modules
    while new:
        found |= new
        values = [value for name in new if name.startswith(room) for value in vars(sys.modules[name]).values()]
        used = {getattr(value, "__module__", None) or "" for value in values}
        new = {name for name in used if name.startswith(room)} - found
    return found


PICTURES: dict[str, Picture] = {}


def picture(
    caption: str,
    *drawn_by: Callable[..., Any],
    trained: bool = False,
    inputs: Callable[[], Any] | None = None,
    name: str = "",
) -> Callable[[Callable[[Trained], Any]], Callable[[Trained], Any]]:
    """Registers a function as what draws the picture of its name."""

    def register(draw: Callable[[Trained], Any]) -> Callable[[Trained], Any]:
        called = name or draw.__name__
        PICTURES[called] = Picture(called, caption, draw, drawn_by, trained, inputs)
        return draw

    return register


@picture("Sinusoidal positions as a heat map: sixty positions, sixty-four dimensions.", plotting.encoding_heatmap)
def positions_heatmap(_: Trained) -> Any:
    return plotting.encoding_heatmap(sinusoids(60, 64)).figure


@picture(
    "Eight dimensions of the sinusoidal encoding as curves; the vector of the fourth word is read off them.",
    plotting.encoding_curves,
)
def positions_curves(_: Trained) -> Any:
    return plotting.encoding_curves(sinusoids(len(WORDS), 16), position=3, words=WORDS).figure


@picture(
    "The dot product of two positions' encodings: it falls, in waves, with their distance, wherever they stand.",
    plotting.encoding_similarity,
)
def positions_similarity(_: Trained) -> Any:
    return plotting.encoding_similarity(sinusoids(60, 64)).figure


@picture("The three masks: causal, padding, and both.", plotting.mask_map)
def masks(_: Trained) -> Any:
    figure, axes = plt.subplots(1, 3, figsize=(7.0, 2.9), layout="constrained")
    words = ["<bos>", "le", "chat", "dort", "<pad>"]
    padding = padding_mask(np.array([[1, 4, 5, 6, 0]]), pad=0)
    named = {"causal": causal_mask(5), "padding": padding, "both": causal_mask(5) & padding}
    for ax, (name, mask) in zip(axes, named.items()):
        plotting.mask_map(mask, words, words, ax=ax, title=name)
    one_legend(figure, axes)
    return figure


def one_legend(figure: Any, axes: Any) -> None:
    """The same legend of all these axes, once beneath them."""
    for ax in axes.flat:
        legend = ax.get_legend()
        handles, labels = legend.legend_handles, [text.get_text() for text in legend.get_texts()]
        legend.remove()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False, fontsize=8)


@picture(
    "Self-attention of three words with all numbers: X, Q, K, V, scores, weights, output.", plotting.attention_matrices
)
def self_attention_chain(_: Trained) -> Any:
    rng = np.random.default_rng(2)
    attention = SelfAttention(4, 1, Glorot(rng, np.float64), projection=Linear, output=Identity)
    x = rng.standard_normal((1, 3, 4)).round(1)
    return plotting.attention_matrices(attention.forward(x)[1], ["the", "cat", "sleeps"]).figure


def small_block() -> EncoderBlock:
    """A pre-norm block of an encoder, of 8 features and two heads, untrained."""
    init = Glorot(np.random.default_rng(2), np.float64)
    attention, feed_forward = SelfAttention(8, 2, init), FeedForward(8, 16, init)
    return EncoderBlock(PreNorm(attention, LayerNorm(8, init)), PreNorm(feed_forward, LayerNorm(8, init)))


def three_words() -> Array:
    return np.random.default_rng(3).standard_normal((1, 3, 8))


@picture(
    "When forward writes each array of a block's cache and when backward reads it: first written, last read.",
    plotting.cache_lifetimes,
    small_block,
)
def cache_lifetimes(_: Trained) -> Any:
    return plotting.cache_lifetimes(small_block(), three_words()).figure


@picture(
    "What each part of an encoder's block makes of a sentence of three words, with its shape.",
    plotting.layer_shapes,
    small_block,
)
def layer_shapes(_: Trained) -> Any:
    return plotting.layer_shapes(small_block(), three_words()).figure


@picture(
    "Scores, scores under a causal mask, and the weights: minus infinity becomes exactly 0.",
    plotting.masked_scores,
    stored_pronoun_translator,
)
def masked_scores(_: Trained) -> Any:
    look = stored_pronoun_translator().look(SHOWROOM)
    words = look.target[:6]
    cache = look.cache["decoder"]["blocks"][0]["attention"]["attention"]
    q, k = (cache[name][0, 0, : len(words)] for name in ("q", "k"))
    return plotting.masked_scores(q @ k.T * q.shape[-1] ** -0.5, causal_mask(len(words)), words, words)[0].figure


@picture(
    "The gradient at each residual connection of an encoder: what goes straight on, and what the sublayer adds.",
    plotting.residual_paths,
    stored_pronoun_translator,
)
def residual_paths(_: Trained) -> Any:
    translator = stored_pronoun_translator()
    ids = np.array([translator.source_vocabulary.encode(SHOWROOM)])
    model: Any = translator.model
    return plotting.residual_paths(model.encoder, model.source_embedding(ids)).figure


def showroom_ids(translator: Translator) -> tuple[Array, list[int]]:
    """The source and the decoder's input for the sentence of the showroom, as the model translates it."""
    source = translator.source_vocabulary.encode(SHOWROOM)
    return np.array([[*source, translator.source_vocabulary.eos]]), [
        translator.start,
        *translator.translate_ids([source])[0],
    ]


@picture(
    "The keys and values that decoding keeps, and which of them each step computes anew: one row.",
    plotting.decoding_state_map,
    stored_pronoun_translator,
    showroom_ids,
)
def decoding_state_map(_: Trained) -> Any:
    translator = stored_pronoun_translator()
    source, ids = showroom_ids(translator)
    state, _first = translator.model.start_decoding(source, translator.start)
    for token in ids:
        translator.model.next_logits(np.array([[token]]), state)
    words = translator.target_vocabulary.labels(ids)
    return plotting.decoding_state_map(state["decoder"][0]["attention"], words)[0].figure


@picture(
    "Teacher forcing: the decoder's input is its target, one place later, with the model's probability of each word.",
    plotting.teacher_forcing,
    stored_pronoun_translator,
)
def teacher_forcing(_: Trained) -> Any:
    translator = stored_pronoun_translator()
    source, target = translator.source_vocabulary.encode("The cat sleeps."), translator.target_vocabulary
    targets = [*target.encode("Le chat dort."), target.eos]
    inputs = [translator.start, *targets[:-1]]
    logits = translator.model(np.array([[*source, translator.source_vocabulary.eos]]), np.array([inputs]))[0]
    probabilities = np.exp(log_probability_of(logits, np.array(targets)))
    words = [target.labels(ids) for ids in (inputs, targets, logits.argmax(axis=-1).tolist())]
    return plotting.teacher_forcing(*words[:2], probabilities, words[2]).figure


@picture("One step of Adam: gradients of very different sizes, steps of nearly the same.", plotting.adam_step)
def adam_step(_: Trained) -> Any:
    rng, adam = np.random.default_rng(0), Adam()
    value, gradient = np.zeros(5), np.array([10.0, 1.0, -0.1, 0.01, -0.001])
    for _step in range(4):
        adam.step(value, gradient * rng.uniform(0.0, 2.0, 5), 1e-3)
    return plotting.adam_step(adam, value, gradient, 1e-3)[0].figure


@picture(
    "The longer queries and keys are, the more softmax settles on one key, unless scores are divided by the root of d.",
    plotting.softmax_saturation,
)
def softmax_saturation(_: Trained) -> Any:
    return plotting.softmax_saturation(np.random.default_rng(0)).figure


WRAPS: dict[str, Callable[[Layer, Layer], Layer]] = {
    "no residuals: f(x)": lambda layer, norm: layer,
    "residuals: x + f(x)": lambda layer, norm: Residual(layer),
    "post-norm: norm(x + f(x))": lambda layer, norm: PostNorm(layer, norm),
    "pre-norm: x + f(norm(x))": lambda layer, norm: PreNorm(layer, norm),
}


def block_gradients(name: str, blocks: int = 24, D: int = 64) -> list[float]:
    """The norm of the parameters' gradient in each block of an untrained stack, for a random gradient at its end."""
    rng, wrap = np.random.default_rng(0), WRAPS[name]
    init = Glorot(rng, np.float64)
    stack = [
        Chain(
            attention=wrap(SelfAttention(D, 4, init), LayerNorm(D, init)),
            feed_forward=wrap(FeedForward(D, 2 * D, init), LayerNorm(D, init)),
        )
        for _ in range(blocks)
    ]
    last = LayerNorm(D, init) if "pre-norm" in name else Identity()  # as the model has it
    model = Chain(**{f"block_{i}": block for i, block in enumerate(stack)}, last=last)
    y, cache = model.forward(rng.standard_normal((4, 16, D)))
    dy = np.random.default_rng(1).standard_normal(y.shape)
    model.backward(dy / np.sqrt((dy**2).sum()), cache)
    return [float(np.sqrt(sum((p.grad**2).sum() for p in block.parameters()))) for block in stack]


@picture(
    "Norm of the gradient in each of 24 untrained blocks: it vanishes without residuals, explodes without norms.",
    plotting.gradient_norms,
    block_gradients,
)
def gradient_norms(_: Trained) -> Any:
    norms = {name: block_gradients(name) for name in WRAPS}
    ax = plotting.gradient_norms(
        norms,
        title="24 blocks with Glorot's weights, untrained: the gradient vanishes without residuals,"
        " explodes with residuals alone, and keeps its size with norms",
    )
    ax.legend(frameon=False, fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.57))
    return ax.figure


@picture("Learning rates of three schedules over five thousand steps.", plotting.schedule_curve)
def schedules(_: Trained) -> Any:
    rates: dict[str, Callable[[int], float]] = {
        "constant": Constant(1e-3),
        "Noam (2017): D=512, warm-up 1,000": Noam(512, 1000),
        "warm-up, then half a cosine": WarmupCosine(1.2e-3, 5000, 500),
    }
    return plotting.schedule_curve(rates, 5000).figure


def unallocated(model: Any, config: Any) -> Any:
    """A model that has shapes and no memory: all that is needed to draw and to count."""
    return model(config, as_initializer(Unallocated()))


ARCHITECTURES: dict[str, tuple[str, Callable[[], Any]]] = {
    "minimal": ("lecture notes' minimal Transformer", lambda: unallocated(MinimalTransformer, MinimalConfig(351, 444))),
    "transformer": ("Transformer of 2017", lambda: unallocated(Transformer, TransformerConfig.base())),
    "pre_norm": ("pre-norm Transformer", lambda: unallocated(PreNormTransformer, TransformerConfig.base())),
    "lstm": ("recurrent translator that came before", lambda: unallocated(Seq2SeqLSTM, LSTMConfig(351, 444))),
    "t5": ("T5", lambda: unallocated(T5, T5Config.small())),
    "gpt": ("GPT-2", lambda: unallocated(GPT, GPTConfig.gpt2())),
    "llama": ("Llama 2 70B", lambda: unallocated(Llama, LlamaConfig.llama2_70b())),
}


def structure(build: Callable[[], Any]) -> Callable[[], Any]:
    """What a drawing depends on: the classes and shapes in a model."""

    def inputs() -> list[tuple[Any, ...]]:
        model = build()
        layers = [(path, type(layer).__name__) for path, layer in model.named_layers()]
        return [*layers, *((path, *parameter.shape) for path, parameter in model.named_parameters())]

    return inputs


def architecture(build: Callable[[], Any]) -> Callable[[Trained], Any]:
    def draw(_: Trained) -> Any:
        return plotting.draw(build()).figure

    return draw


for _name, (_called, _build) in ARCHITECTURES.items():
    picture(
        f"The {_called}, drawn from the model object, with shapes and parameter counts.",
        plotting.draw,
        inputs=structure(_build),
        name=f"architecture_{_name}",
    )(architecture(_build))


@picture(
    "What parameters are for, from the Transformer of 2017 to Llama 2 70B: most of them feed-forward.",
    plotting.parameter_shares,
    plotting.parameter_parts,
    inputs=lambda: [structure(build)() for _, build in ARCHITECTURES.values()],
)
def parameter_shares(_: Trained) -> Any:
    models = {
        "Transformer, base (2017)": unallocated(Transformer, TransformerConfig.base()),
        "T5, small": unallocated(T5, T5Config.small()),
        "GPT-2": unallocated(GPT, GPTConfig.gpt2()),
        "GPT-2 XL": unallocated(GPT, GPTConfig.gpt2_xl()),
        "Llama 2 7B": unallocated(Llama, LlamaConfig.llama2_7b()),
        "Llama 2 70B": unallocated(Llama, LlamaConfig.llama2_70b()),
    }
    return plotting.parameter_shares({name: plotting.parameter_parts(model) for name, model in models.items()}).figure


@picture("Loss and accuracies while the demo trains.", plotting.training_figure, demo_pictures, trained=True)
def training(trained: Trained) -> Any:
    return trained.pictures["training"]


@picture(
    "Where the decoder looks in the source while it translates: all heads of its attention to the encoder.",
    plotting.attention_grid,
    demo_pictures,
    trained=True,
)
def cross_attention(trained: Trained) -> Any:
    return trained.pictures["cross_attention"]


@picture(
    'The encoder\'s head with which "it" finds the noun that it stands for: from where it draws, word by word.',
    plotting.antecedent_figure,
    stored_pronoun_translator,
)
def antecedent(trained: Trained) -> Any:
    translator = stored_pronoun_translator()
    sentences = like_the_showroom(trained.grammar, np.random.default_rng(1), 200, "test")
    head, look = measure_heads(translator, sentences, "it")[0], translator.look(SHOWROOM)
    return plotting.antecedent_figure(
        look.source,
        head.weights(look.cache),
        *(look.source.index(word) for word in ("it", "car", "showroom")),
        averages={"antecedent": head.antecedent, "distractor": head.distractor, "sentences": len(sentences)},
        where=str(head),
    )


@picture(
    "Two heads of each block of the encoder, on one scale, with the words at both sides.",
    plotting.attention_layers,
    trained=True,
)
def attention_layers(trained: Trained) -> Any:
    look = trained.look
    # The two heads of each block whose words look at one place most.
    weights = [block[0] for block in attention_maps(look.cache, "it")]
    chosen = [np.sort(np.argsort(-w.max(axis=-1).mean(axis=-1))[:2]) for w in weights]
    axes = plotting.attention_layers(
        [w[heads] for w, heads in zip(weights, chosen)],
        look.source,
        look.source,
        title="Two heads of each block of the encoder: each looks at places of its own",
    )
    for row, heads in zip(axes, chosen):
        for ax, head in zip(row, heads):
            ax.set_title(f"head {head}", fontsize=8)
    return axes[0, 0].figure


@picture(
    "The translation's words and the source's, joined by lines as thick as the weights.",
    plotting.attention_lines,
    trained=True,
)
def attention_lines(trained: Trained) -> Any:
    look, head = trained.look, trained.heads[-1]
    weights, row = head.weights(look.cache), look.target.index("voiture")
    most = look.source[int(weights[row].argmax())]
    title = f"To write \u201cvoiture\u201d, this head of the decoder looks at \u201c{most}\u201d"
    return plotting.attention_lines(weights, look.target, look.source, title=title, highlight=row).figure


@picture(
    "The alignment of translation and source as it comes about while the model trains.",
    plotting.alignment_over_training,
    trained=True,
)
def alignment_over_training(trained: Trained) -> Any:
    look, head, translator = trained.look, trained.heads[-1], trained.translator
    source = translator.source_vocabulary.encode(SHOWROOM)
    target = translator.translate_ids([source])[0]  # of the trained model, so that all maps have the same words

    def weights(translator: Translator) -> Array:
        return head.weights(translator.look_ids(source, target).cache)

    snapshots = {step: trained.after(step, weights) for step in (0, 100, 400, SNAPSHOTS[-1])}
    found = {step: m.argmax(axis=1) for step, m in snapshots.items()}
    same = {step: int((places == found[SNAPSHOTS[-1]]).sum()) for step, places in found.items()}
    title = (
        f"The alignment comes between steps 100 and 400: {same[100]}, then {same[400]} of {len(look.target)} words look"
        " where they look in the end"
    )
    return plotting.alignment_over_training(snapshots, look.target, look.source, title=title)[0].figure


@picture(
    "Vectors of English words on two principal components, before and after training.",
    plotting.embeddings_before_after,
    trained=True,
)
def embeddings(trained: Trained) -> Any:
    ids = trained.translator.source_vocabulary.token_id
    words = [word for group in GROUPS.values() for word in group]

    def vectors(translator: Translator) -> Array:
        table = translator.model.source_embedding.tokens.weight.value  # type: ignore[attr-defined]
        return table[[ids[word] for word in words]].copy()

    before, after = (trained.after(step, vectors) for step in (0, SNAPSHOTS[-1]))
    return plotting.embeddings_before_after(before, after, words, GROUPS)[0].figure


COMPARED = {
    "learning": "An LSTM and a Transformer of as many parameters: quality on held-out lists against steps and seconds.",
    "length": "An LSTM and a Transformer of as many parameters: time of a step by length, and longer lists.",
    "reach": "An LSTM and a Transformer of as many parameters: how far gradients reach, and what each aligns.",
}


def compared(name: str) -> Callable[[Trained], Any]:
    def draw(trained: Trained) -> Any:
        return trained.compared[name]

    return draw


for _name, _caption in COMPARED.items():
    picture(_caption, plotting.comparison_figures, drawn, name=f"comparison_{_name}")(compared(_name))


@picture(
    "The next word of a translator that has hardly trained: as it is, at a lower temperature, under top-k and top-p.",
    plotting.next_word,
    trained=True,
)
def next_word(trained: Trained) -> Any:
    translator = trained.translator
    source = translator.source_vocabulary.encode(SHOWROOM)
    target = translator.target_vocabulary

    def logits(translator: Translator) -> Array:
        ids = np.array([[*source, translator.source_vocabulary.eos]])
        return translator.model(ids, np.array([[translator.start, *target.encode("J'ai eu ma")]]))[0, -1]

    scores = trained.after(300, logits)
    figure, axes = plt.subplots(2, 2, figsize=(7.0, 5.2), layout="constrained")
    settings: dict[str, dict[str, Any]] = {
        "as the model has it": {},
        "temperature 0.5": {"temperature": 0.5},
        "top-k 3": {"top_k": 3},
        "top-p 0.6": {"top_p": 0.6},
    }
    for ax, (title, setting) in zip(axes.flat, settings.items()):
        plotting.next_word(scores, target.tokens, **setting, shown=7, ax=ax, title=title)
        ax.set_xlim(0, 0.85)  # one scale for all four
    one_legend(figure, axes)
    figure.suptitle("What comes after \u201cj'ai eu ma\u201d", fontsize=10, x=0.02, ha="left")
    return figure


@picture(
    "Beam search with a beam of three, in a translator that has hardly trained: what was kept, what dropped, what won.",
    plotting.beam_tree,
    trained=True,
)
def beam_tree(trained: Trained) -> Any:
    def searched(translator: Translator) -> list[Any]:
        source, target = translator.source_vocabulary, translator.target_vocabulary
        ids = np.array([[*source.encode("The cat sleeps."), source.eos]])
        steps: list[BeamStep] = []
        ((best,),) = beam_search(
            translator.model,
            ids,
            start=translator.start,
            eos=target.eos,
            num_beams=3,
            max_new_tokens=5,
            on_step=steps.append,
        )
        winner = [*best.ids, *([target.eos] if best.finished else [])]
        return search_tree(steps, winner, lambda token: target.labels([token])[0], root="<bos>")

    nodes = trained.after(400, searched)
    won = max((node for node in nodes if node.winner), key=lambda node: -node.log_probability)
    title = (
        "\u201cThe cat sleeps.\u201d with a beam of three, in a model that has hardly trained. Before a word stands its"
        f" log-probability, behind a sequence = the sum; \u00d7 was dropped, blue won with {won.log_probability:.2f}"
    )
    return plotting.beam_tree(nodes, title=title).figure
