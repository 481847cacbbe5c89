"""What must hold around the layers: models, optimizers, schedules, trainer, data and decoding.

Wanted values come from definitions, written as loops over numbers. This module and `system_mutants` import the whole
package, so nothing in `minitransformer.verify` imports them: the command `mutants` and the tests do.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..data import (
    EOS,
    UNK,
    Batch,
    CharacterVocabulary,
    FreshBatches,
    PairBatches,
    batches,
    pairs,
)
from ..decoding import Translator
from ..layers import Array, Cache, Layer, Parameter, State
from ..models import MinimalConfig, MinimalTransformer, PreNormTransformer, Transformer, TransformerConfig
from ..training import (
    SGD,
    Adam,
    AdamW,
    Noam,
    Optimizer,
    ThreadWorker,
    Trainer,
    WarmupCosine,
    Workers,
    evaluation,
    optimizers,
)
from ..training.workers import Kind, default_kind
from .directions import check_directions
from .properties import _equal, _float64, _random, attention_by_definition, holds

greedy = importlib.import_module("minitransformer.decoding.greedy")  # the module: the package has its function

# ---- models


def logits_by_definition(model: Any, style: str, source: Array, target: Array) -> Array:
    """Logits (T, V) for one unpadded sentence pair, from the recipe of the paper; style: minimal, post or pre."""
    P = {name: parameter.value for name, parameter in model.named_parameters()}
    D, H = model.config.d_model, model.config.n_heads
    source_table = P["source_embedding.tokens.weight"]
    target_table = P.get("target_embedding.tokens.weight", source_table)

    def positions(length: int) -> Array:
        angles = [[t / 10000 ** (2 * (i // 2) / D) for i in range(D)] for t in range(length)]
        return np.array([[math.cos(a) if i % 2 else math.sin(a) for i, a in enumerate(row)] for row in angles])

    def linear(name: str, x: Array) -> Array:
        return x @ P[f"{name}.weight"] + P.get(f"{name}.bias", 0.0)

    def norm(name: str, x: Array) -> Array:
        centred = x - x.sum(axis=-1, keepdims=True) / D
        variance = (centred**2).sum(axis=-1, keepdims=True) / D
        return P[f"{name}.gain"] * centred / np.sqrt(variance + 1e-5) + P[f"{name}.shift"]

    def attention(name: str, x: Array, memory: Array | None, mask: Array) -> Array:
        memory = x if memory is None else memory  # self-attention
        q, k, v = linear(f"{name}.query", x), linear(f"{name}.key", memory), linear(f"{name}.value", memory)
        heads = [slice(h * D // H, (h + 1) * D // H) for h in range(H)]
        y = np.concatenate([attention_by_definition(q[:, h], k[:, h], v[:, h], mask)[0] for h in heads], axis=1)
        return y if style == "minimal" else linear(f"{name}.output", y)

    def feed_forward(name: str, x: Array) -> Array:
        return linear(f"{name}.narrow", np.maximum(linear(f"{name}.widen", x), 0.0))

    def sublayer(f: Callable[..., Array], name: str, x: Array, *others: Any) -> Array:
        if style == "pre":
            return x + f(name, norm(f"{name}.norm", x), *others)
        total = x + f(name, x, *others)
        return norm(f"{name}.norm", total) if style == "post" else total

    S, T = len(source), len(target)
    x = source_table[source] * math.sqrt(D) + positions(S)
    for n in range(model.config.n_encoder_blocks):
        x = sublayer(attention, f"encoder.blocks.{n}.attention", x, None, np.ones((S, S), bool))
        if style != "minimal":
            x = sublayer(feed_forward, f"encoder.blocks.{n}.feed_forward", x)
    memory = norm("encoder.norm", x) if style == "pre" else x
    y = target_table[target] * math.sqrt(D) + positions(T)
    up_to_itself = np.array([[s <= t for s in range(T)] for t in range(T)])
    for n in range(model.config.n_decoder_blocks):
        y = sublayer(attention, f"decoder.blocks.{n}.attention", y, None, up_to_itself)
        y = sublayer(attention, f"decoder.blocks.{n}.cross_attention", y, memory, np.ones((T, S), bool))
        if style != "minimal":
            y = sublayer(feed_forward, f"decoder.blocks.{n}.feed_forward", y)
    if style == "pre":
        y = norm("decoder.norm", y)
    return linear("head", y) if style == "minimal" else y @ target_table.T


def small_models() -> list[tuple[str, Any]]:
    """(style, model) of the three recipes, with gains and shifts that are not 1 and 0."""
    init = _float64()
    models = [
        ("minimal", MinimalTransformer(MinimalConfig(7, 9, 4, 2, 2, 2), init)),
        ("post", Transformer(TransformerConfig(9, None, 4, 2, 5, 2, 2), init)),
        ("pre", PreNormTransformer(TransformerConfig(7, 9, 4, 2, 5, 2, 2), init)),
    ]
    rng = np.random.default_rng(6)
    for _, model in models:
        for parameter in model.parameters():
            parameter.value = parameter.value + 0.3 * rng.standard_normal(parameter.shape)
    return models


def _model_is_its_recipe(wanted_style: str) -> None:
    source, target = np.array([[3, 5, 2, 6], [4, 6, 0, 0]]), np.array([[1, 8, 3], [1, 5, 4]])
    for style, model in small_models():
        if style == wanted_style:
            logits = model(source, target)
            for b, length in enumerate((4, 2)):  # by definition there is no padding
                wanted = logits_by_definition(model, style, source[b, :length], target[b])
                _equal(logits[b], wanted, f"logits of sentence {b}")


@holds("the minimal Transformer is what its diagram says, sentence by sentence")
def minimal_model_is_its_recipe() -> None:
    _model_is_its_recipe("minimal")


@holds("the Transformer of 2017 is what its paper says, sentence by sentence")
def model_of_2017_is_its_recipe() -> None:
    _model_is_its_recipe("post")


@holds("the pre-norm Transformer is what its paper says, sentence by sentence")
def pre_norm_model_is_its_recipe() -> None:
    _model_is_its_recipe("pre")


@holds("the gradient of a whole model is its derivative")
def model_gradients_are_derivatives() -> None:
    source, target = np.array([[3, 5, 2, 6], [4, 6, 0, 0]]), np.array([[1, 8, 3], [1, 5, 4]])
    for _, model in small_models():
        check_directions(model, source, target, n=5).raise_if_failed()


@holds("a tied table is one matrix, counted once")
def tied_tables_are_counted_once() -> None:
    V, U, D, F = 50, 40, 8, 12
    attention, feed_forward, norm = 4 * D * D + 4 * D, 2 * D * F + F + D, 2 * D
    blocks = (attention + feed_forward + 2 * norm) + (2 * attention + feed_forward + 3 * norm)
    for model_class, norms in ((Transformer, 0), (PreNormTransformer, 2)):
        for target_vocab, table in ((None, V * D), (U, V * D + U * D)):
            model = model_class(TransformerConfig(V, target_vocab, D, 2, F, 1, 1), _float64())
            n, wanted = model.n_parameters(), table + blocks + norms * norm
            assert n == wanted, f"{model_class.__name__} has {n} parameters, by hand there are {wanted}"


# ---- optimizers, clipping, schedules


def adam_by_definition(
    w: float, gradients: Sequence[float], rate: float, beta1: float, beta2: float, eps: float, decay: float = 0.0
) -> float:
    """Kingma and Ba 2015, algorithm 1, on one number; with `decay` Loshchilov and Hutter 2019, algorithm 2."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g**2
        m_hat, v_hat = m / (1.0 - beta1**t), v / (1.0 - beta2**t)
        w = w - rate * (m_hat / (math.sqrt(v_hat) + eps) + decay * w)
    return w


def _three_steps(optimizer: Optimizer, by_definition: Callable[[float, list[float]], float], pause: bool) -> None:
    """A vector longer than what is updated at a time; `pause`: a new optimizer is restored after the first step."""
    n = optimizers.CHUNK + 2
    w, gradients = _random(n), [_random(n, seed=seed) for seed in (1, 2, 3)]
    start = w.copy()
    for i, g in enumerate(gradients):
        if i == 1 and pause:
            state, optimizer = optimizer.state(), type(optimizer)(beta1=0.8, beta2=0.9, eps=0.1)  # type: ignore[call-arg]
            optimizer.restore(state)
        optimizer.step(w, g, 0.1)
    for i in (0, 1, n - 2, n - 1):
        wanted = by_definition(float(start[i]), [float(g[i]) for g in gradients])
        _equal(w[i], np.float64(wanted), f"weight {i} after three steps")


@holds("SGD is what its formula says, number by number")
def sgd_is_its_formula() -> None:
    def by_definition(w: float, gradients: list[float]) -> float:
        velocity = 0.0
        for g in gradients:
            velocity = 0.7 * velocity + g
            w = w - 0.1 * velocity
        return w

    _three_steps(SGD(0.7), by_definition, pause=False)


@holds("Adam is what its algorithm says, number by number")
def adam_is_its_algorithm() -> None:
    _three_steps(Adam(0.8, 0.9, 0.1), lambda w, g: adam_by_definition(w, g, 0.1, 0.8, 0.9, 0.1), pause=False)


@holds("AdamW is what its algorithm says, number by number")
def adamw_is_its_algorithm() -> None:
    def by_definition(w: float, gradients: list[float]) -> float:
        return adam_by_definition(w, gradients, 0.1, 0.8, 0.9, 0.1, decay=0.3)

    _three_steps(AdamW(0.3, 0.8, 0.9, 0.1), by_definition, pause=False)


@holds("an optimizer that is restored goes on where it was")
def restored_optimizer_goes_on() -> None:
    _three_steps(Adam(0.8, 0.9, 0.1), lambda w, g: adam_by_definition(w, g, 0.1, 0.8, 0.9, 0.1), pause=True)


@holds("clipping scales the whole gradient to the largest norm, and only a longer one")
def clipping_is_its_definition() -> None:
    for gradient in ([3.0, 4.0, -12.0], [0.03, 0.04, 0.0]):  # of norm 13, and of norm 0.05
        length = math.sqrt(sum(g * g for g in gradient))
        clipped = np.array(gradient)
        _equal(optimizers.clip_by_global_norm(clipped, 2.0), np.float64(length), "the norm that it had")
        _equal(clipped, np.array([g * min(1.0, 2.0 / length) for g in gradient]), "the gradient")


@holds("schedules are what their formulas say, step by step")
def schedules_are_their_formulas() -> None:
    noam, cosine = Noam(64, warmup=4, factor=3.0), WarmupCosine(2.0, steps=10, warmup=4, final=0.5)
    for step in range(1, 14):
        wanted = 3.0 / 8.0 * min(1.0 / math.sqrt(step), step / 8.0)  # 64^-0.5 = 1 / 8 and 4^-1.5 = 1 / 8
        _equal(noam(step), np.float64(wanted), f"Noam at step {step}")
        half = 1.25 + 0.75 * math.cos(math.pi * min(step - 4, 6) / 6)
        wanted = 2.0 * step / 4 if step <= 4 else half
        _equal(cosine(step), np.float64(wanted), f"cosine at step {step}")


# ---- the trainer


class Bigram(Layer):
    """logits at t = table[target t] + bias: a model whose training can be followed by hand."""

    def __init__(self, table: Array, bias: Array) -> None:
        self.table, self.bias = Parameter(table.copy()), Parameter(bias.copy())

    def forward(self, source: Array, target: Array, rng: Any = None) -> tuple[Array, Cache]:
        return self.table.value[target] + self.bias.value, Cache(target=target)

    def backward(self, d_logits: Array, cache: Cache) -> None:
        np.add.at(self.table.grad, cache["target"], d_logits)
        self.bias.grad += d_logits.sum(axis=(0, 1))


class Listed:
    """Batches that are given one by one."""

    def __init__(self, given: Sequence[Batch]) -> None:
        self.given = given

    def batch(self, step: int) -> Batch:
        return self.given[step]


def training_by_definition(
    table: Array, bias: Array, given: Sequence[Batch], rate: Callable[[int], float], clip: float
) -> tuple[Array, Array, list[float]]:
    """Gradient descent on a bigram model, token by token: the weights afterwards, and each step's loss."""
    table, bias, losses = table.copy(), bias.copy(), []
    for step, batch in enumerate(given, start=1):
        tokens = [
            (int(i), int(k))
            for row_in, row_out in zip(batch.inputs[1], batch.targets)
            for i, k in zip(row_in, row_out)
            if k != 0
        ]
        d_table, d_bias, loss = np.zeros_like(table), np.zeros_like(bias), 0.0
        for token, following in tokens:
            z = [float(a + b) for a, b in zip(table[token], bias)]
            total = sum(math.exp(a) for a in z)
            for v, a in enumerate(z):
                d = (math.exp(a) / total - (v == following)) / len(tokens)
                d_table[token, v] += d
                d_bias[v] += d
            loss -= (z[following] - math.log(total)) / len(tokens)
        norm = math.sqrt((d_table**2).sum() + (d_bias**2).sum())
        scale = rate(step) * min(1.0, clip / norm)
        table -= scale * d_table
        bias -= scale * d_bias
        losses.append(loss)
    return table, bias, losses


def _trainer_is_its_definition(workers: int, kind: Kind | None = None) -> None:
    V, table, bias = 6, _random(6, 6), _random(6, seed=1)
    draw = np.random.default_rng(2)
    given = [
        batches.sequence_to_sequence_batch(
            [([4], [int(i) for i in draw.integers(3, V, length)]) for length in lengths], pad=0, start=1, eos=2
        )
        for lengths in ((1, 2, 5), (4, 1, 1), (2, 2, 3))
    ]

    def rate(step: int) -> float:
        return 0.5 * step

    model = Bigram(table, bias)
    trainer = Trainer(model, SGD(), rate, clip=0.4, workers=1)
    trainer.workers = Workers(model, trainer.loss, workers, kind)
    try:
        history = trainer.fit(Listed(given), 3)
    finally:
        trainer.workers.close()
    table, bias, losses = training_by_definition(table, bias, given, rate, 0.4)
    _equal([record["loss"] for record in history.steps], losses, "the losses")
    _equal(model.table.value, table, "the table after three steps")
    _equal(model.bias.value, bias, "the bias after three steps")


@holds("three training steps are what gradient descent says, token by token")
def trainer_is_its_definition() -> None:
    _trainer_is_its_definition(workers=1)


@holds("two workers take the steps that one takes")
def workers_are_their_definition() -> None:
    for kind in {default_kind(), ThreadWorker}:
        _trainer_is_its_definition(2, kind)


# ---- data


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


# ---- decoding and evaluation


class Copyist(Layer):
    """A model that copies its source, if it is asked as a decoder must be: anything else gets `unk` for an answer.

    It predicts source token t after `start` and the source's first t tokens, and `eos` after all of them.
    """

    pad, start = 0, 9

    def begin(self, source: Array, start: int) -> tuple[State, Array]:
        return State(source=source), np.full((len(source), 1), start)

    def step(self, ids: Array, state: State, *others: Any) -> Array:
        read = state["read"] = np.concatenate([state.get("read", ids[:, :0]), ids], axis=1)
        logits = np.zeros((*ids.shape, 10))
        for b, row in enumerate(state["source"]):
            source = [int(i) for i in row if i not in (self.pad, EOS)]
            t = read.shape[1] - 1
            asked = read[b].tolist() == [self.start, *source[:t]]
            logits[b, -1, [*source, EOS][t] if asked and t <= len(source) else UNK] = 1.0
        return logits


@holds("a step of decoding gives the logits of the whole, from the first ids to the last, for the rows that go on")
def a_step_is_the_whole() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.integers(1, 13, (4, 7)), rng.integers(1, 11, (4, 9))
    source[1, 4:] = 0
    rows = np.array([3, 1, 1])
    for model in (
        MinimalTransformer(MinimalConfig(13, 11, 6, 2, 2, 2), _float64()),
        Transformer(TransformerConfig(13, 11, 6, 2, 10, 2, 2), _float64()),
        PreNormTransformer(TransformerConfig(13, 11, 6, 2, 10, 2, 2), _float64()),
    ):
        for parameter in model.parameters():  # biases begin at 0 and gains at 1, where nobody would miss them
            parameter.value += 0.3 * rng.standard_normal(parameter.shape)
        logits = model(source, target)
        state, first = model.begin(source, 8)
        assert first.tolist() == [[8]] * 4, f"decoding begins with {first.tolist()}"
        _equal(model.step(target[:, :3], state), logits[:, :3], "logits of the first three ids")
        _equal(model.step(target[:, 3:4], state), logits[:, 3:4], "logits of the fourth")
        chosen = state.select(rows)
        _equal(model.step(target[rows, 4:6], chosen), logits[rows, 4:6], "logits of chosen rows")
        _equal(model.step(target[:, 4:], state), logits[:, 4:], "logits of all rows, of which some were chosen")
        for t in range(6, 9):
            _equal(model.step(target[rows, t : t + 1], chosen), logits[rows, t : t + 1], f"logits of id {t}")


@holds("greedy decoding takes the most probable next token until the end of each sentence")
def greedy_copies() -> None:
    sentences = [[4, 5, 6], [7], [8, 4, 4, 5, 7], [5, 6]]
    source = np.array([row + [0] * (5 - len(row)) for row in sentences])
    found = greedy.greedy(Copyist(), source, start=Copyist.start, eos=EOS, max_new_tokens=9)
    got = [h.ids for h in found]
    assert got == sentences, f"decoded {got}, wanted {sentences}"
    assert all(h.finished for h in found), "a sentence that ended counts as cut"
    each = 1.0 - math.log(math.e + 9.0)  # of ten logits one is 1 and the others are 0, at each token and at eos
    _equal([h.log_probability for h in found], [each * (len(row) + 1) for row in sentences], "log-probability")
    limits = np.array([2, 2, 4, 1])
    found = greedy.greedy(Copyist(), source, start=Copyist.start, eos=EOS, max_new_tokens=limits)
    got = [h.ids for h in found]
    assert got == [row[:n] for row, n in zip(sentences, limits)], f"at most {limits} tokens: decoded {got}"
    assert [h.finished for h in found] == [False, True, False, False], "who ended is wrong"


@holds("translations come back one for each text, in order, and whole")
def translations_keep_their_order() -> None:
    vocabulary = CharacterVocabulary("abcde")  # ids 4 to 8
    translator = Translator("copyist", Copyist(), vocabulary, vocabulary, start=Copyist.start)  # type: ignore[arg-type]
    texts = ["edcab", "a", "", "bb", "cde", "d"]
    got = translator.translate(texts, batch_size=2)
    assert got == texts, f"copies of {texts} are {got}"


class Told(Layer):
    """A model whose logits are given."""

    def __init__(self, logits: Array) -> None:
        self.logits = logits

    def forward(self, source: Array, target: Array, rng: Any = None) -> tuple[Array, Cache]:
        return self.logits[: target.shape[0], : target.shape[1]], Cache()


@holds("loss, token accuracy and exact match are those counted by hand")
def evaluation_is_by_hand() -> None:
    half, quarter = math.log(0.5), math.log(0.25)
    logits = np.full((2, 3, 5), -50.0)
    # The right token of all but one position has a half, another a quarter, and the rest share a quarter.
    for b, right in enumerate(((3, 4, 2), (4, 2, 1))):
        for t, token in enumerate(right):
            logits[b, t] = math.log(0.25 / 3)
            logits[b, t, token], logits[b, t, 0] = half, quarter
    logits[0, 1, 4], logits[0, 1, 0] = quarter, half  # here the right one has a quarter
    told = [
        Batch((np.ones((2, 3), int), np.ones((2, 3), int)), np.array([[3, 4, 2], [4, 2, 0]])),
        Batch((np.ones((1, 1), int), np.ones((1, 1), int)), np.array([[3]])),
    ]
    got = evaluation.evaluate(Told(logits), told)
    wanted = {"loss": -(5 * half + quarter) / 6, "token_accuracy": 5 / 6, "exact_match": 2 / 3}
    for name, value in wanted.items():
        _equal(got[name], np.float64(value), name)
