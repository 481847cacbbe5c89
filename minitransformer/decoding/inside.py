"""What happens inside a model with one text, in both directions, as numbers that a page can show.

forward     the scores and weights of every attention, and the probability of every output word
backward    for each output word y the gradient of log P(y): of every attention weight, of the vectors on the way, and
            of the input embeddings

All of it is plain data (dicts, lists, numbers, strings), ready for `json.dumps`. The attention explorer draws it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..arguments import checked
from ..interventions import (
    Intervention,
    NoHead,
    Patch,
    TakeWeight,
    attention_at,
    attention_paths,
    intervene,
    layer_at,
    recorded,
)
from ..layers import Array, Layer, Softmax
from ..layers.hooks import method_replaced
from .language_model import LanguageModel
from .translator import Translator

KINDS = ("encoder", "decoder", "cross")
NUMBERS = 2_000_000  # gradients of attention weights in a page: 5 MB
MASKED = -32768
DECIMALS = 6
NEW_TOKENS = 12  # with which a language model goes on


@checked
def look_inside(
    model: Translator | LanguageModel,
    text: str,
    interventions: Sequence[Intervention] = (),
    asked: Sequence[int] | None = None,
    bits: int = 16,
) -> dict[str, Any]:
    """What the model does with a text, forward and backward, while these interventions hold.

    Parameters
    ----------
    model : Translator or LanguageModel
    text : str
        To translate, or to read.
    interventions : sequence of Intervention
        Such as `NoHead("encoder.blocks.1.attention", 3)`.
    asked : sequence of int, optional
        The output words whose gradients are wanted, by position; by default all, or as many as 2,000,000 gradients of
        attention weights allow. One word takes a fraction of the time.
    bits : {16, 32}
        Of each number that is packed: 16 for a page in one file, 32 for all digits.

    Returns
    -------
    dict
        `text`, `source`, `read`, `target` (words), `output` (text), `log_probability` of it, `choices` (for each output
        word its probability, and the most probable others), `asked`, `kinds` and `saliency` (for each word y that was
        asked the norms of the gradient of log P(y) of the input embeddings). A kind is encoder, decoder or cross:
        `queries`, `keys` (words), `paths` of its layers, `weights[layer][head][t][s]`, and packed, to be read by
        `unpacked`, `scores[layer]`, (H, T, S), and `gradients[layer][i]` of the weights, i counting what was asked;
        rows at the end that are 0 are left out. `arriving[layer][i]` are norms of the gradient of the layer's output.

    Raises ValueError for a text without a word, one that is longer than the model reads, or a word that is not there.
    """
    if bits not in (16, 32):
        raise ValueError(f"bits={bits}: must be 16 or 32")
    with intervene(model.model, *interventions):
        ids, target, data = _words(model, text)
        words = {"encoder": ("source", "source"), "decoder": ("read", "read"), "cross": ("target", "source")}
        of_kind = {kind: {"queries": data[q], "keys": data[k]} for kind, (q, k) in words.items()}
        if asked is None:
            per_word = 0
            for path in attention_paths(model.model):
                sides = of_kind[_kind_of(path)].values()
                per_word += attention_at(model.model, path).n_heads * int(np.prod([len(side) for side in sides]))
            asked = range(min(len(target), max(NUMBERS // max(per_word, 1), 1)))
        for y in asked:
            if not 0 <= y < len(target):
                raise ValueError(f"asked={y}: must be positions of output words, from 0 to {len(target) - 1}")
        data |= _both_ways(model.model, ids, target, list(asked), _labels(model), bits)
    for kind in data["kinds"]:
        kind |= of_kind[kind["name"]]
    return data | {"text": text}


@checked
def outcomes(
    model: Translator | LanguageModel, text: str, weights: int = 40, vectors: int = 40
) -> list[dict[str, Any]]:
    """What the output becomes without each head, without the weights that matter most, and with other words' vectors.

    Parameters
    ----------
    model, text
        As in `look_inside`.
    weights : int
        How many weights are taken away, one at a time: those with the largest |weight times gradient|.
    vectors : int
        How many vectors, behind a block, are put in the place of another word's, one at a time: at the words that look
        with these weights, from all other words of the text.

    Returns
    -------
    list of dict
        The change, as `intervention` reads it, with `output`, and `log_probability` of the original output.
    """
    for name, number in (("weights", weights), ("vectors", vectors)):
        if number < 0:
            raise ValueError(f"{name}={number}: must be at least 0")
    changes: list[dict[str, Any]] = []
    found: list[tuple[float, dict[str, Any]]] = []
    words: dict[str, int] = {}  # how many there are in a block
    for kind in look_inside(model, text)["kinds"]:
        for layer, where in enumerate(kind["paths"]):
            w = np.array(kind["weights"][layer])  # (H, T, S)
            changes += [{"where": where, "head": head} for head in range(len(w))]
            words[where.rpartition(".")[0]] = w.shape[1]
            effect = np.zeros(w.shape)
            for packed in kind["gradients"][layer]:
                g = unpacked(packed)  # (H, the first rows, S)
                rows = g.shape[1]
                effect[:, :rows] = np.maximum(effect[:, :rows], np.abs(w[:, :rows] * g))
            for cell in np.argsort(effect, axis=None)[::-1][:weights]:
                head, query, key = map(int, np.unravel_index(cell, effect.shape))
                found.append((effect[head, query, key], {"where": where, "head": head, "query": query, "key": key}))
    found.sort(key=lambda pair: pair[0], reverse=True)
    taken = [change for _, change in found[:weights]]
    places = dict.fromkeys((change["where"].rpartition(".")[0], change["query"]) for change in taken)
    put = [
        {"where": block, "position": position, "text": text, "of": of}
        for block, position in places
        for of in range(words[block])
        if of != position
    ]
    original = _words(model, text)
    return [_outcome(model, text, original, change) for change in changes + taken + put[:vectors]]


@checked
def outcome(model: Translator | LanguageModel, text: str, change: dict[str, Any]) -> dict[str, Any]:
    """The output under one change, and what the original output's log-probability becomes.

    The change is plain data, as `intervention` reads it; the result is the change with `output` and `log_probability`.
    """
    return _outcome(model, text, _words(model, text), change)


def _outcome(
    model: Translator | LanguageModel,
    text: str,
    original: tuple[list[Array], Array, dict[str, Any]],
    change: dict[str, Any],
) -> dict[str, Any]:
    """`outcome`, where what the unchanged model makes of the text is known."""
    ids, target, _ = original
    with intervene(model.model, intervention(model, change)):
        logits = model.model(*ids)[0]
        output = _words(model, text)[2]["output"]
    log_p = np.log(_probabilities(logits)[np.arange(len(target)), target]).sum()
    return {**change, "output": output, "log_probability": round(float(log_p), DECIMALS)}


@checked
def intervention(model: Translator | LanguageModel, change: dict[str, Any]) -> Intervention:
    """The intervention that a page asks for in plain data.

    {where, head}                   `NoHead`
    {where, head, query, key}       `TakeWeight`
    {where, position, text, of}     `Patch`, with what the layer gives for word `of` of another text

    Raises ValueError where it is none of these.
    """
    names = set(change)
    if names == {"where", "head"}:
        return NoHead(**change)
    if names == {"where", "head", "query", "key"}:
        return TakeWeight(**change)
    if names == {"where", "position", "text", "of"}:
        ids, _, _ = _words(model, change["text"])
        with recorded(model.model, change["where"]) as outputs:
            model.model(*ids)
        there = outputs[-1][0]  # (T, D)
        if not 0 <= change["of"] < len(there):
            raise ValueError(f"of={change['of']}: must be at least 0 and below {len(there)}")
        return Patch(change["where"], change["position"], there[change["of"]])
    raise ValueError(
        f"change has {', '.join(sorted(names)) or 'nothing'}: give where and head, or query and key too, "
        "or where, position, text and of"
    )


def pack(array: Array, bits: int = 16) -> dict[str, Any]:
    """An array in base64; in 16 bits as integers, with the factor that makes them numbers again. -inf stays -inf."""
    if bits == 32:
        return {"shape": list(array.shape), "floats": base64.b64encode(array.astype("<f4").tobytes()).decode()}
    finite = np.isfinite(array)
    scale = float(np.abs(array[finite]).max(initial=0.0)) / 32767 or 1.0
    numbers = np.where(finite, np.rint(np.where(finite, array, 0) / scale), MASKED).astype("<i2")
    return {"shape": list(array.shape), "scale": scale, "numbers": base64.b64encode(numbers.tobytes()).decode()}


@checked
def unpacked(packed: dict[str, Any]) -> Array:
    """The array that was packed; in 16 bits to 1 part in 65,534 of its largest entry."""
    if "floats" in packed:
        return np.frombuffer(base64.b64decode(packed["floats"]), "<f4").reshape(packed["shape"])
    numbers = np.frombuffer(base64.b64decode(packed["numbers"]), "<i2").reshape(packed["shape"])
    return np.where(numbers == MASKED, -np.inf, numbers * packed["scale"])


def _words(model: Translator | LanguageModel, text: str) -> tuple[list[Array], Array, dict[str, Any]]:
    """The ids that the model reads, those that it is to predict (T,), and all words."""
    if isinstance(model, Translator):
        source = model._ids_to_look_at(text)
        (found,) = model.translate_ids([source])
        into = model.target_vocabulary
        words = model.source_vocabulary.labels([*source, model.source_vocabulary.eos])
        target = into.labels([*found, into.eos])
        data = {"source": words, "read": ["(start)", *target[:-1]], "target": target, "output": into.decode(found)}
        ids = [model._source_batch([source]), np.array([[model.start, *found]])]
        return ids, np.array([*found, into.eos]), data
    prompt = model.prompt_ids(text)
    longest = model.model.config.max_length  # type: ignore[attr-defined]
    if len(prompt) > longest:
        raise ValueError(f"text has {len(prompt)} tokens: this model reads at most {longest}")
    following = list(model.stream_ids(text, max_new_tokens=NEW_TOKENS))
    label = _labels(model)
    read = [label(i) for i in prompt]
    after = following[0] if following else int(model.model(np.array([prompt]))[0, -1].argmax())
    data = {"source": [], "read": read, "target": [*read[1:], label(after)]}
    data["output"] = model.vocabulary.decode([*prompt, *following])
    return [np.array([prompt])], np.array([*prompt[1:], after]), data


def _labels(model: Translator | LanguageModel) -> Callable[[int], str]:
    """What turns an id of an output word into the word."""
    vocabulary = model.target_vocabulary if isinstance(model, Translator) else model.vocabulary
    if hasattr(vocabulary, "labels"):
        return lambda i: vocabulary.labels([i])[0]
    return lambda i: vocabulary.decode([i]) or f"(id {i})"  # what begins a text is no text itself


def _both_ways(
    model: Layer, inputs: list[Array], target: Array, asked: list[int], label: Callable[[int], str], bits: int
) -> dict[str, Any]:
    """Forward and backward of copies of one text, each of which asks for one output word."""
    T, n = len(target), len(asked)
    paths = attention_paths(model)
    scores: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    gradients: dict[str, Array] = {}  # (copies, H, queries, keys)
    arriving: dict[str, Array] = {}  # (copies, queries)
    embeddings: dict[str, Array] = {}
    with ExitStack() as stack:
        for path in paths:
            attention = attention_at(model, path)
            _watch_softmax(stack, attention.attention.softmax, path, attention.n_heads, scores, weights, gradients)
            _watch_backward(stack, layer_at(model, path), path, arriving)
        for name in ("source_embedding", "target_embedding", "embedding"):
            if hasattr(model, name):
                _watch_backward(stack, getattr(model, name), name, embeddings)
        for parameter in model.parameters():  # what backward adds to is put aside, and given back
            stack.callback(setattr, parameter, "grad", parameter.grad)
            parameter.grad = np.zeros_like(parameter.value)
        logits, cache = model.forward(*(np.repeat(ids, max(n, 1), axis=0) for ids in inputs))
        p = _probabilities(logits[0])
        d_logits = np.zeros_like(logits)
        for i, y in enumerate(asked):  # d log P(y) / d logits = one-hot(y) - p
            d_logits[i, y] = -p[y]
            d_logits[i, y, target[y]] += 1
        model.backward(d_logits, cache)
    choices = []
    for y, row in zip(target, p):
        best = [i for i in np.argsort(row)[::-1][:4] if i != y][:3]
        others = [[label(int(i)), round(float(row[i]), DECIMALS)] for i in best]
        choices.append({"probability": round(float(row[y]), DECIMALS), "others": others})
    kinds = []
    for kind in KINDS:
        own = [path for path in paths if _kind_of(path) == kind]
        if not own:
            continue
        # What comes after output word y cannot change it: its rows are 0, and left out.
        rows = [None if kind == "encoder" else y + 1 for y in asked]
        kinds.append(
            {
                "name": kind,
                "paths": own,
                "weights": [np.round(weights[path][0].astype(float), DECIMALS).tolist() for path in own],
                "scores": [pack(scores[path][0], bits) for path in own],
                "gradients": [[pack(gradients[path][i][:, : rows[i]], bits) for i in range(n)] for path in own],
                "arriving": [_rounded(arriving[path][:n]) for path in own],
            }
        )
    sides = {
        "source": "source_embedding",
        "read": "target_embedding" if "target_embedding" in embeddings else "embedding",
    }
    saliency = {side: _rounded(embeddings[name][:n]) for side, name in sides.items() if name in embeddings}
    log_p = float(np.log(p[np.arange(T), target]).sum())
    return {
        "choices": choices,
        "asked": asked,
        "kinds": kinds,
        "saliency": saliency,
        "log_probability": round(log_p, DECIMALS),
    }


def _watch_softmax(
    stack: ExitStack,
    softmax: Softmax,
    path: str,
    n_heads: int,
    scores: dict[str, Array],
    weights: dict[str, Array],
    gradients: dict[str, Array],
) -> None:
    """Keep what passes an attention's softmax, (B, H, T, S) each: grouped queries stand one below the other there."""
    softmax_forward, softmax_backward = softmax.forward, softmax.backward

    def by_head(array: Array) -> Array:
        return array.reshape(len(array), n_heads, -1, array.shape[-1])

    def forward(x: Array, **options: Any) -> Any:
        y, cache = softmax_forward(x, **options)
        scores[path], weights[path] = by_head(x), by_head(y)
        return y, cache

    def backward(dy: Array, cache: Any) -> Array:
        gradients[path] = np.where(np.isfinite(scores[path]), by_head(dy), 0)  # a masked weight cannot change
        return softmax_backward(dy, cache)

    stack.enter_context(method_replaced(softmax, "forward", forward))
    stack.enter_context(method_replaced(softmax, "backward", backward))


def _watch_backward(stack: ExitStack, layer: Layer, name: str, norms: dict[str, Array]) -> None:
    """Keep the norm of the gradient that reaches a layer's output, at every position."""
    layer_backward = layer.backward

    def backward(dy: Array, cache: Any) -> Any:
        norms[name] = np.sqrt((dy * dy).sum(axis=-1))  # (B, T, D) -> (B, T)
        return layer_backward(dy, cache)

    stack.enter_context(method_replaced(layer, "backward", backward))


def _kind_of(path: str) -> str:
    if "cross" in path:
        return "cross"
    return "encoder" if "encoder" in path.split(".") else "decoder"


def _probabilities(logits: Array) -> Array:
    """(T, V) -> (T, V), in double precision."""
    return Softmax()(logits.astype(np.float64))


def _rounded(array: Array) -> list:
    """Numbers to six digits, of whatever size they are."""
    return [[float(f"{number:.6g}") for number in row] for row in array]
