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
from ..interventions import Intervention, NoHead, TakeWeight, attention_at, attention_paths, intervene, layer_at
from ..layers import Array, Layer, Softmax
from ..layers.hooks import method_replaced
from .language_model import LanguageModel
from .translator import Translator

KINDS = ("encoder", "decoder", "cross")
NUMBERS = 2_000_000  # gradients of attention weights in a page: 5 MB
MASKED = -32768
NEW_TOKENS = 12  # with which a language model goes on


@checked
def look_inside(
    model: Translator | LanguageModel, text: str, interventions: Sequence[Intervention] = ()
) -> dict[str, Any]:
    """What the model does with a text, forward and backward, while these interventions hold.

    Parameters
    ----------
    model : Translator or LanguageModel
    text : str
        To translate, or to read.
    interventions : sequence of Intervention
        Such as `NoHead("encoder.blocks.1.attention", 3)`.

    Returns
    -------
    dict
        `source`, `read` and `target` (words), `output` (text), `choices` (for each output word its probability, and the
        most probable others), `kinds` (for encoder, decoder, cross: `paths` of its layers, `weights[layer][head][t][s]`,
        and packed `scores[layer]`, `gradients[layer][y]`, `arriving[layer][y]`) and `saliency` (norms of the gradients
        of the input embeddings). `unpacked` reads what is packed.

    Raises ValueError for a text without a word, or one that is longer than the model reads.
    """
    with intervene(model.model, *interventions):
        ids, target, data = _words(model, text)
        copies = [np.repeat(part, len(target), axis=0) for part in ids]  # one for each output word
        data |= _both_ways(model.model, copies, target, _labels(model))
    return data


@checked
def outcomes(model: Translator | LanguageModel, text: str, data: dict[str, Any], weights: int = 40) -> list[dict]:
    """What the output becomes without each head, and without each of the attention weights that matter most.

    Parameters
    ----------
    model, text
        As in `look_inside`.
    data : dict
        What `look_inside` returned for them.
    weights : int
        How many weights are taken away, one at a time: those with the largest |weight times gradient|.

    Returns
    -------
    list of dict
        `where`, `head` and, for a weight, `query` and `key`; `output`; and `log_probability` of the original output.
    """
    changes: list[Any] = []
    found: list[tuple[float, str, int, int, int]] = []
    for kind in data["kinds"]:
        for layer, where in enumerate(kind["paths"]):
            w = np.array(kind["weights"][layer])  # (H, T, S)
            changes += [NoHead(where, head) for head in range(len(w))]
            effect = np.zeros(w.shape)
            for packed in kind["gradients"][layer]:
                g = unpacked(packed)
                effect[:, : g.shape[1]] = np.maximum(effect[:, : g.shape[1]], np.abs(w[:, : g.shape[1]] * g))
            largest = np.argsort(effect, axis=None)[::-1][:weights]
            for head, query, key in zip(*np.unravel_index(largest, effect.shape)):
                found.append((float(effect[head, query, key]), where, int(head), int(query), int(key)))
    found.sort(reverse=True)
    changes += [TakeWeight(where, query, key, head) for _, where, head, query, key in found[:weights]]
    return [outcome(model, text, change) for change in changes]


def outcome(model: Translator | LanguageModel, text: str, change: Any) -> dict[str, Any]:
    """The output under one change, and what the original output's log-probability becomes."""
    ids, target, _ = _words(model, text)
    with intervene(model.model, change):
        logits = model.model(*ids)[0]
        output = _words(model, text)[2]["output"]
    log_p = np.log(_probabilities(logits)[np.arange(len(target)), target]).sum()
    place = {name: getattr(change, name) for name in ("where", "head", "query", "key") if hasattr(change, name)}
    return {**place, "output": output, "log_probability": round(float(log_p), 4)}


def pack(array: Array) -> dict[str, Any]:
    """An array as 16-bit integers in base64, with the factor that makes them numbers again; -inf stays -inf."""
    finite = np.isfinite(array)
    scale = float(np.abs(array[finite]).max(initial=0.0)) / 32767 or 1.0
    numbers = np.where(finite, np.rint(np.where(finite, array, 0) / scale), MASKED).astype("<i2")
    return {"shape": list(array.shape), "scale": scale, "numbers": base64.b64encode(numbers.tobytes()).decode()}


@checked
def unpacked(packed: dict[str, Any]) -> Array:
    """The array that was packed, to 1 part in 65,534 of its largest entry."""
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
    return lambda i: vocabulary.decode([i])


def _both_ways(model: Layer, inputs: list[Array], target: Array, label: Callable[[int], str]) -> dict[str, Any]:
    """Forward and backward of T copies of one text, of which copy y asks for output word y."""
    T = len(target)
    every = np.arange(T)
    paths = attention_paths(model)
    scores: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    gradients: dict[str, Array] = {}  # (T copies, H, queries, keys)
    arriving: dict[str, Array] = {}  # (T copies, queries)
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
        logits, cache = model.forward(*inputs)
        p = _probabilities(logits[0])
        d_logits = np.zeros_like(logits)
        d_logits[every, every] = np.eye(logits.shape[-1])[target] - p  # d log P(y) / d logits = one-hot(y) - p
        model.backward(d_logits, cache)
    choices = []
    for y, row in zip(target, p):
        best = [i for i in np.argsort(row)[::-1][:4] if i != y][:3]
        others = [[label(int(i)), round(float(row[i]), 4)] for i in best]
        choices.append({"probability": round(float(row[y]), 4), "others": others})
    per_word = sum(g[0].size for g in gradients.values())
    n = T if per_word * T <= NUMBERS else max(NUMBERS // per_word, 1)
    kinds = []
    for kind in KINDS:
        own = [path for path in paths if _kind_of(path) == kind]
        if not own:
            continue
        # What comes after output word y cannot change it: its rows are 0, and left out.
        rows = [None if kind == "encoder" else y + 1 for y in range(n)]
        kinds.append(
            {
                "name": kind,
                "paths": own,
                "weights": [np.round(weights[path][0].astype(float), 4).tolist() for path in own],
                "scores": [pack(scores[path][0]) for path in own],
                "gradients": [[pack(gradients[path][y][:, : rows[y]]) for y in range(n)] for path in own],
                "arriving": [_rounded(arriving[path]) for path in own],
            }
        )
    saliency = {"read": _rounded(embeddings.get("target_embedding", embeddings.get("embedding", np.zeros((T, T)))))}
    if "source_embedding" in embeddings:
        saliency["source"] = _rounded(embeddings["source_embedding"])
    log_p = float(np.log(p[every, target]).sum())
    return {"choices": choices, "kinds": kinds, "saliency": saliency, "log_probability": round(log_p, 4)}


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
        gradients[path] = by_head(dy)
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
    """Numbers to four digits, of whatever size they are."""
    return [[float(f"{number:.4g}") for number in row] for row in array]
