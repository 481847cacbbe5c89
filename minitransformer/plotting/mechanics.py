"""How it works, drawn from your own arrays: caches, shapes, masks, residuals, decoding states, teacher forcing, Adam.

What goes forward is blue, what comes back is vermillion, what is only kept is grey.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from ..arguments import checked
from ..layers import Array, Cache, Dropout, Identity, Layer, Residual, ScaledDotProductAttention, Softmax, forward_hooks
from .grid import word_axes
from .style import (
    GREY,
    LABEL_SIZE,
    OKABE_ITO,
    PAGE_WIDTH,
    PALE,
    SIGNED_MAP,
    TICK_SIZE,
    TITLE_SIZE,
    WEIGHT_MAP,
    Canvas,
    as_numbers,
    as_words,
    ink_on,
    legend_below,
    new_axes,
    set_title,
    tidy,
    widest,
    wrapped,
)

FORWARD, BACKWARD = OKABE_ITO["blue"], OKABE_ITO["vermillion"]
MARGIN = 6.0  # points


@checked
def cache_lifetimes(layer: Layer, *inputs: Any, d_output: Array | None = None, ax: Axes | None = None) -> Axes:
    """When forward writes each array of the cache, and when backward first reads it: a bar for the time between.

    Runs a copy of `layer` forward and backward. An array that stands in the cache under two names is drawn once.

    Parameters
    ----------
    layer : Layer
        Such as a block.
    *inputs
        Of its forward.
    d_output : array, optional
        What backward begins with; None: normally distributed numbers, the same each time.
    """
    _check_real(inputs)
    layer = copy.deepcopy(layer)
    written: dict[int, int] = {}  # id of an array -> its number; so for those that are read
    for _, part in layer.named_layers():
        vars(part)["forward"] = _noting_cache(part.forward, written)
    output, cache = layer.forward(*inputs)
    arrays = {id(value): (path, value) for path, value in reversed([*cache.rows()]) if isinstance(value, np.ndarray)}
    order = sorted(arrays, key=written.__getitem__)
    read: dict[int, int] = {}
    layer.backward(_upstream(d_output, output), _watched(cache, read))
    n, last = len(order), len(read)
    names = [arrays[array][0] for array in order]
    shapes = [str(arrays[array][1].shape) for array in order]
    ax = new_axes(ax, height=0.9 + 0.19 * n)
    for row, array in enumerate(order):
        end = n + read.get(array, last)
        ax.plot([row, end], [row, row], color=PALE, linewidth=5, solid_capstyle="butt", zorder=1)
        ax.plot(row, row, "o", color=FORWARD, markersize=4.5, zorder=2)
        if array in read:
            ax.plot(end, row, "s", color=BACKWARD, markersize=4.5, zorder=2)
    ax.plot([], [], "o", color=FORWARD, markersize=4.5, label="forward writes it")
    ax.plot([], [], color=PALE, linewidth=5, label="it waits in memory")
    ax.plot([], [], "s", color=BACKWARD, markersize=4.5, label="backward first reads it")
    ax.axvline(n - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    for x, side, name in ((0, "left", "forward"), (n + last, "right", "backward")):
        ax.text(x, n - 1, name, ha=side, va="center", fontsize=TICK_SIZE, color=GREY)
    ax.set_ylim(n - 0.4, -0.6)
    labels = [f"{name}  {shape}" for name, shape in zip(names, shapes)]
    tidy(ax, "time, one step for each array", "")
    ax.set_yticks(range(n), labels, fontsize=TICK_SIZE, parse_math=False)
    ax.set_xticks([])
    legend_below(ax)
    size = sum(arrays[array][1].nbytes for array in order)
    unread = sum(array not in read for array in order)
    rest = f"; backward does not need {unread} of them" if unread else ""
    mirrored = np.mean(np.diff([read[array] for array in order if array in read]) < 0) if len(read) > 1 else 1.0
    says = (
        "backward reads them layer by layer, the last first"
        if mirrored > 0.5
        else "backward reads them in another order"
    )
    room = PAGE_WIDTH * 72 - widest(labels) - 30
    set_title(ax, f"Forward leaves {n} arrays ({_bytes(size)}) in the cache; {says}{rest}", max(room, 150.0))
    return ax


def _check_real(inputs: tuple[Any, ...]) -> None:
    for i, x in enumerate(inputs):
        if np.iscomplexobj(x):
            raise TypeError(f"inputs[{i}] has dtype {x.dtype}: give real numbers")


def _upstream(d_output: Array | None, output: Array) -> Array:
    """The gradient that backward begins with: the one given, or random numbers, the same each time."""
    if d_output is not None:
        return d_output
    return np.random.default_rng(0).standard_normal(output.shape).astype(output.dtype)


def _noting_cache(forward: Any, written: dict[int, int]) -> Any:
    """A forward that numbers the arrays of its cache in the order in which they first stand in one."""

    def noting(*inputs: Any, **options: Any) -> Any:
        output, cache = forward(*inputs, **options)
        for _, value in cache.rows():
            if isinstance(value, np.ndarray):
                written.setdefault(id(value), len(written))
        return output, cache

    return noting


class _Watched(Cache):
    """A cache that numbers its arrays in the order in which they are first read."""

    read: dict[int, int]

    def __getitem__(self, name: Any) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, np.ndarray):
            self.read.setdefault(id(value), len(self.read))
        return value


def _watched(node: Any, read: dict[int, int]) -> Any:
    """The same tree of caches, each one watched."""
    if isinstance(node, dict):
        watched = _Watched({name: _watched(value, read) for name, value in node.items()})
        watched.read = read
        return watched
    return [_watched(item, read) for item in node] if isinstance(node, list) else node


def _bytes(n: int) -> str:
    return f"{n:,} bytes" if n < 10_000 else f"{n / 1e3:.0f} kB" if n < 1e7 else f"{n / 1e6:.0f} MB"


@checked
def layer_shapes(layer: Layer, *inputs: Any, sentence: int = 0, ax: Axes | None = None) -> Axes:
    """What each part of a layer makes of one sentence, in the order of forward: numbers as colours, shapes to scale.

    Drawn are the parts that have no parts of their own, the heads' contexts, and the sums of residual connections.

    Parameters
    ----------
    layer : Layer
        Such as a block.
    *inputs
        Of its forward; the first axis is the batch.
    sentence : int
        Which one of the batch.
    """
    _check_real(inputs)
    B = len(inputs[0]) if inputs and isinstance(inputs[0], np.ndarray) and inputs[0].ndim else 0
    if not 0 <= sentence < B:
        raise ValueError(f"sentence={sentence}: must be one of the {B} sentences of the input")
    steps = [("input", "", np.asarray(inputs[0])[sentence])] if inputs[0].ndim > 2 else []

    def note(path: str, part: Layer, output: Any) -> None:
        inner = any(isinstance(child, Layer) for _, child in part.children())
        shown = isinstance(part, (Residual, ScaledDotProductAttention)) or not inner
        if shown and not isinstance(part, (Dropout, Identity)) and isinstance(output, np.ndarray) and output.ndim > 2:
            kind = f"{type(part).__name__}: x + ..." if isinstance(part, Residual) else type(part).__name__
            steps.append((path or kind, kind, output[sentence]))

    with forward_hooks(layer, note):
        layer.forward(*inputs)
    if not steps:
        raise ValueError(f"layer={type(layer).__name__}: no part of it makes an array (batch, positions, features)")
    names = [f"{path}  ({kind})" if kind and kind != path else path for path, kind, _ in steps]
    maps = [array.reshape(-1, *array.shape[-2:]) for _, _, array in steps]
    gap, left = 4.0, widest(names) + 18
    widths = [m.shape[0] * m.shape[2] for m in maps]
    room = PAGE_WIDTH * 72 - left - 90
    unit = min(9.0, *((room - gap * (m.shape[0] - 1)) / w for m, w in zip(maps, widths)))
    T = max(m.shape[1] for m in maps)
    high = max(T * min(unit, 90 / T), 10.0)
    title = "What each part makes of one sentence: a row for each word, a block for each head; grey is 0"
    top = 12 + 13 * (wrapped(title, PAGE_WIDTH * 72 - 12).count("\n") + 1)
    canvas = Canvas(ax, PAGE_WIDTH * 72, top + len(steps) * (high + 8) + MARGIN)
    canvas.ax.invert_yaxis()
    canvas.write(MARGIN, 6, wrapped(title, PAGE_WIDTH * 72 - 12), TITLE_SIZE, va="top")
    for i, (name, m, (_, _, array)) in enumerate(zip(names, maps, steps)):
        y, x = top + i * (high + 8), left
        canvas.write(left - 8, y + high / 2, name, ha="right", va="center_baseline")
        finite = m[np.isfinite(m)]
        bound = float(np.abs(finite).max(initial=0)) or 1.0
        weights = steps[i][1] == "Softmax"
        for head in m:
            canvas.ax.imshow(
                head, cmap=WEIGHT_MAP if weights else SIGNED_MAP, vmin=0 if weights else -bound, vmax=bound,
                extent=(x, x + head.shape[1] * unit, y + high, y), aspect="auto", interpolation="nearest",
            )  # fmt: skip
            x += head.shape[1] * unit + gap
        canvas.write(x + 4, y + high / 2, f"{array.shape}", color=GREY, va="center_baseline")
    canvas.ax.set(xlim=(0, PAGE_WIDTH * 72), ylim=(top + len(steps) * (high + 8) + MARGIN, 0), aspect="equal")
    return canvas.ax


@checked
def masked_scores(
    scores: Array, mask: Array, queries: Sequence[Any], keys: Sequence[Any], figure: Figure | None = None
) -> Array:
    """Scores, scores under a mask, weights: minus infinity becomes exactly 0, and each row sums to 1 all the same.

    Returns the three Axes.

    Parameters
    ----------
    scores : (T, S)
        Of one head, before the mask: q k^T / sqrt(d).
    mask : boolean (T, S), or an array that broadcasts to it
        True = may attend.
    queries, keys : T and S words
    figure : Figure, optional
        An empty one to draw on; None: a new one.
    """
    scores = as_numbers("scores", scores, finite=True)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores has shape {scores.shape}: must be (queries, keys) of one head")
    T, S = scores.shape
    if mask.dtype.kind != "b":
        raise TypeError(f"mask has dtype {mask.dtype}: must be boolean, True = may attend")
    try:
        seen = np.broadcast_to(mask.reshape(mask.shape[-2:]), (T, S))
    except ValueError:
        raise ValueError(f"mask has shape {mask.shape}: must broadcast to scores' {scores.shape}") from None
    queries = as_words("queries", queries, T, f"scores of shape {scores.shape}")
    keys = as_words("keys", keys, S, f"scores of shape {scores.shape}")
    hidden = np.where(seen, scores, -np.inf)
    weights = Softmax()(hidden)
    cell = min(34.0, (PAGE_WIDTH * 72 - widest(queries) - 60) / 3 / S)
    if figure is None:
        height = (T * min(cell, 24.0) + 58 + (widest(keys) if widest(keys) + 5 > cell else 10)) / 72
        figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    axes = figure.subplots(1, 3)
    bound = float(np.abs(scores).max()) or 1.0
    panels = [("scores", scores), ("scores + mask", hidden), ("softmax of each row = weights", weights)]
    for i, (ax, (name, values)) in enumerate(zip(axes, panels)):
        colours = colormaps[WEIGHT_MAP if i == 2 else SIGNED_MAP].with_extremes(bad=PALE)
        scale = Normalize(0.0, 1.0) if i == 2 else Normalize(-bound, bound)
        drawn = np.ma.array(values, mask=~seen & (i > 0))
        ax.imshow(drawn, cmap=colours, norm=scale, aspect="auto", interpolation="nearest")
        word_axes(ax, queries, keys, cell, show=(i == 0, True))
        for (t, s), value in np.ndenumerate(values if cell >= 20 else np.empty((0, 0))):
            text = "−∞" if value == -np.inf else "0" if i == 2 and value == 0 else f"{value:.2f}".replace("-", "−")
            colour = ink_on(colours(scale(value))) if i == 0 or seen[t, s] else "black"
            ax.text(s, t, text, ha="center", va="center", fontsize=6.5, color=colour)
        ax.set_title(name, fontsize=LABEL_SIZE, loc="left")
    n = int((~seen).sum())
    figure.suptitle(f"A mask makes {n} of {T * S} scores minus infinity: their weights are exactly 0 (0.00 is rounded)",
                    fontsize=TITLE_SIZE, x=0.02, ha="left")  # fmt: skip
    return axes


@checked
def residual_paths(model: Layer, *inputs: Any, d_output: Array | None = None, ax: Axes | None = None) -> Axes:
    """The gradient at every residual connection: what the addition hands on as it is, and what the sublayer adds.

    Runs a copy of `model` forward and backward and measures Euclidean norms, from the last connection to the first.

    Parameters
    ----------
    model : Layer
        With residual connections in it.
    *inputs
        Of its forward.
    d_output : array, optional
        What backward begins with; None: normally distributed numbers, the same each time.
    """
    _check_real(inputs)
    model = copy.deepcopy(model)
    skips: list[float] = []
    branches: list[float] = []
    names: list[str] = []
    for path, part in model.named_layers():
        if isinstance(part, Residual):
            _note_paths(path, part, names, skips, branches)
    output, cache = model.forward(*inputs)
    model.backward(_upstream(d_output, output), cache)
    if not names:
        raise ValueError(f"model={type(model).__name__} has no residual connection: give one that has, such as a block")
    ax = new_axes(ax, height=3.4)
    places = np.arange(len(names))
    ax.bar(places - 0.2, skips, 0.4, color=BACKWARD, label="the skip path: handed on unchanged")
    ax.bar(places + 0.2, branches, 0.4, color=GREY, label="the path through the sublayer")
    tidy(ax, "from the output back to the input", "norm of the gradient")
    ax.set_xticks(places, names, fontsize=TICK_SIZE, rotation=90 if len(names) > 4 else 0, parse_math=False)
    ax.legend(frameon=False, fontsize=TICK_SIZE, loc="upper left", bbox_to_anchor=(0, 1.0))
    more = sum(skip > branch for skip, branch in zip(skips, branches))
    title = f"The gradient takes two paths at a residual connection: more of it the skip path at {more} of {len(names)}"
    set_title(ax, title, PAGE_WIDTH * 72 - 60)
    return ax


def _note_paths(path: str, part: Residual, names: list[str], skips: list[float], branches: list[float]) -> None:
    """Make a residual connection note both parts of the gradient of its input."""
    straight: list[Array] = []
    backward, through_dropout = part.backward, part.residual_dropout.backward

    def dropout_backward(dy: Array, cache: Any) -> Any:
        straight.append(dy)  # of all kinds of connection, what reaches the dropout also goes past it
        return through_dropout(dy, cache)

    def noting(dy: Array, cache: Any) -> Any:
        gradients = backward(dy, cache)
        dx, skip = gradients[0] if isinstance(gradients, tuple) else gradients, straight.pop()
        names.append(path)
        skips.append(float(np.linalg.norm(skip)))
        branches.append(float(np.linalg.norm(dx - skip)))
        return gradients

    vars(part.residual_dropout)["backward"], vars(part)["backward"] = dropout_backward, noting


@checked
def decoding_state_map(
    state: Mapping[str, Any], words: Sequence[Any], head: int = 0, sentence: int = 0, figure: Figure | None = None
) -> Array:
    """The keys and values that decoding keeps, a row for each position, and which of them each step computes anew.

    Returns the three Axes.

    Parameters
    ----------
    state : Mapping
        Of one self-attention, such as `state["decoder"]["blocks"][0]["attention"]`; holds k and v.
    words : T words
        One for each position so far.
    head, sentence : int
    figure : Figure, optional
        An empty one to draw on; None: a new one.
    """
    try:
        k, v = (np.asarray(getattr(state[name], "value", state[name])) for name in ("k", "v"))
    except (KeyError, ValueError):
        held = ", ".join(map(str, state)) or "nothing"
        raise ValueError(f"state holds {held}: give that of a self-attention, with k and v") from None
    if k.ndim != 4 or v.ndim != 4:
        raise ValueError(f"state: k has shape {k.shape}, v {v.shape}; give that of a self-attention, with k and v")
    for name, value, n in (("sentence", sentence, k.shape[0]), ("head", head, k.shape[1])):
        if not 0 <= value < n:
            raise ValueError(f"{name}={value}: must be one of 0 ... {n - 1}")
    T = k.shape[2]
    words = as_words("words", words, T, f"k of shape {k.shape}")
    high = float(np.clip(170 / T, 10.0, 20.0))
    if figure is None:
        figure = plt.figure(figsize=(PAGE_WIDTH, (T * high + 96) / 72), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1, 1, 1.5))
    for ax, name, values in zip(axes, ("keys", "values"), (k[sentence, head], v[sentence, head])):
        bound = float(np.abs(values).max()) or 1.0
        ax.imshow(values, cmap=SIGNED_MAP, vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest")
        ax.set_title(f"{name}: {values.shape[0]} × {values.shape[1]}", fontsize=LABEL_SIZE, loc="left")
        ax.set_xlabel("feature", fontsize=LABEL_SIZE)
    step, position = np.indices((T, T))
    colours = to_rgba_array(["white", PALE, FORWARD])
    axes[2].imshow(colours[np.where(step == position, 2, np.where(position < step, 1, 0)).T], aspect="auto")
    every = T * (T + 1) // 2
    axes[2].set_title(f"{T} blue + {every - T} grey = {every}", fontsize=LABEL_SIZE, loc="left")
    axes[2].set_xlabel("step", fontsize=LABEL_SIZE)
    for i, ax in enumerate(axes):
        ax.set_yticks(range(T) if i == 0 else [], words if i == 0 else [], fontsize=TICK_SIZE, parse_math=False)
        ax.tick_params(labelsize=TICK_SIZE, length=0)
        ax.spines[:].set_visible(False)
    figure.suptitle(
        wrapped(f"With a state, {T} steps compute {T} rows of keys and values; without one, {every}: every step would"
                " compute the grey ones again", PAGE_WIDTH * 72 - 20),
        fontsize=TITLE_SIZE, x=0.02, ha="left",
    )  # fmt: skip
    return axes


@checked
def teacher_forcing(
    inputs: Sequence[Any],
    targets: Sequence[Any],
    probabilities: Array | None = None,
    guesses: Sequence[Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What the decoder reads and what it has to say at each position: the same words, one place apart.

    Parameters
    ----------
    inputs, targets : T words each
        Of a batch's decoder inputs and targets, such as <bos> le chat and le chat <eos>.
    probabilities : (T,), optional
        The model's for each target.
    guesses : T words, optional
        What the model finds most probable at each place; where it is not the target, it is drawn above it.

    ValueError unless every input but the first is the target before it.
    """
    words = as_words("inputs", inputs, len(inputs), "a sentence")
    wanted = as_words("targets", targets, len(words), f"inputs of {len(words)} words")
    if not words:
        raise ValueError("inputs has 0 words: give one at least")
    for t, (word, before) in enumerate(zip(words[1:], wanted)):
        if word != before:
            raise ValueError(f"inputs[{t + 1}]={word!r} is not targets[{t}]={before!r}: give inputs that were shifted")
    if probabilities is not None:
        probabilities = as_numbers("probabilities", probabilities, finite=True)
        if probabilities.shape != (len(words),) or probabilities.min() < 0 or probabilities.max() > 1:
            raise ValueError(f"probabilities has shape {probabilities.shape}: give {len(words)} numbers from 0 to 1")
    own = as_words("guesses", wanted if guesses is None else guesses, len(words), f"inputs of {len(words)} words")
    others = sum(guess != target for guess, target in zip(own, wanted))
    left = 74.0
    column = max(widest([*words, *wanted, *own], LABEL_SIZE) + 16, 44.0)
    title = "Teacher forcing: at each place the decoder reads the true word before"
    title += f"; at {others} of {len(words)} it would have said another" if guesses is not None else ""
    width = max(left + column * len(words) + MARGIN, 330.0)
    top = 14 + 13 * (wrapped(title, width - 2 * MARGIN).count("\n") + 1)
    above = 14.0 * (probabilities is not None) + 16.0 * (others > 0)
    height = top + 106 + above
    canvas = Canvas(ax, width, height)
    canvas.ax.invert_yaxis()
    canvas.write(MARGIN, 6, wrapped(title, width - 2 * MARGIN), TITLE_SIZE, va="top")
    rows = {"target": top + above + 12, "decoder": top + above + 52, "input": top + above + 92}
    if others:
        rows["it says"] = top + 8
    for name, y in rows.items():
        canvas.write(MARGIN, y, name, LABEL_SIZE, color=GREY, va="center_baseline")
    span = column * len(words)
    canvas.ax.add_patch(
        Rectangle((left, rows["decoder"] - 9), span - 8, 18, facecolor="white", edgecolor=GREY, linewidth=1.0, zorder=3)
    )
    sees = "each place sees itself and those before it"
    canvas.write(left + span / 2, rows["decoder"], sees, color=GREY, ha="center", va="center_baseline", zorder=4)
    for t, (word, target) in enumerate(zip(words, wanted)):
        x = left + (t + 0.5) * column - 4
        canvas.write(x, rows["input"], word, LABEL_SIZE, ha="center", va="center_baseline")
        canvas.write(x, rows["target"], target, LABEL_SIZE, ha="center", va="center_baseline", color=FORWARD)
        _arrow(canvas.ax, (x, rows["input"] - 9), (x, rows["decoder"] + 9), FORWARD)
        _arrow(canvas.ax, (x, rows["decoder"] - 9), (x, rows["target"] + 9), FORWARD)
        if t + 1 < len(words):
            _arrow(canvas.ax, (x + 8, rows["target"] + 7), (x + column - 8, rows["input"] - 9), GREY, ":")
        if own[t] != target:
            canvas.write(x, rows["it says"], own[t], ha="center", va="center_baseline", color=BACKWARD)
        if probabilities is not None:
            text = f"p = {probabilities[t]:.2f}"
            canvas.write(x, rows["target"] - 14, text, TICK_SIZE - 0.5, ha="center", va="center_baseline", color=GREY)
    return canvas.ax


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, line: str = "-") -> None:
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 8, "color": colour, "linewidth": 1.1}
    ax.add_patch(FancyArrowPatch(start, end, linestyle=line, shrinkA=0, shrinkB=0, **style))


@checked
def adam_step(
    optimizer: Any,
    value: Array,
    gradient: Array,
    rate: float,
    names: Sequence[Any] | None = None,
    figure: Figure | None = None,
) -> Array:
    """One step of Adam for a few weights: gradient, mean, root of the mean square, and the step that they make.

    Takes the step with a copy of the optimizer; yours and the arrays stay as they are. Returns the four Axes.

    Parameters
    ----------
    optimizer : Adam
        New, or with the moments of earlier steps for as many weights.
    value, gradient : (n,)
        The weights and their gradient.
    rate : float
        Learning rate.
    names : n words, optional
        What the weights are called; None: w0, w1, ...
    figure : Figure, optional
        An empty one to draw on; None: a new one.
    """
    if not hasattr(optimizer, "beta2") or not hasattr(optimizer, "moments"):
        raise TypeError(f"optimizer={type(optimizer).__name__}: must be an Adam")
    g, w = as_numbers("gradient", gradient, finite=True), as_numbers("value", value, finite=True) + 0.0
    if g.ndim != 1 or w.shape != g.shape or not 1 <= len(g) <= 40:
        raise ValueError(f"value has shape {w.shape} and gradient {g.shape}: give (n,) for both, n from 1 to 40")
    if not np.isfinite(rate):
        raise ValueError(f"rate={rate}: must be a finite number")
    adam = copy.deepcopy(optimizer)
    if adam.moments and len(adam.moments["m"]) != len(g):
        raise ValueError(f"optimizer has moments of {len(adam.moments['m'])} weights: value has {len(g)}")
    before = w.copy()
    adam.step(w, g, rate)
    m_hat = adam.moments["m"] / (1 - adam.beta1**adam.t)
    root = np.sqrt(adam.moments["v"] / (1 - adam.beta2**adam.t))
    words = as_words("names", [f"w{i}" for i in range(len(g))] if names is None else names, len(g), "gradient")
    if figure is None:
        figure = plt.figure(figsize=(PAGE_WIDTH, (14 * len(g) + 104) / 72), layout="constrained")
    axes = figure.subplots(1, 4, sharey=True)
    panels = (("gradient g", g, BACKWARD), ("mean m̂", m_hat, GREY), ("root mean square √v̂", root, GREY),
              ("step", w - before, FORWARD))  # fmt: skip
    for ax, (name, bars, colour) in zip(axes, panels):
        ax.barh(range(len(g)), bars, color=colour, height=0.6)
        ax.axvline(0, color=GREY, linewidth=0.8)
        tidy(ax, "", "")
        low, high = ax.get_xlim()
        ax.set_xlim(low, high + 0.55 * (high - low))  # a column for the numbers themselves
        for i, value in enumerate(bars):
            text = f"{value:.2g}".replace("-", "−")
            ax.text(1.0, i, text, transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=TICK_SIZE - 1)
        ax.set_title(name, fontsize=LABEL_SIZE, loc="left")
        ax.locator_params(axis="x", nbins=3)
        ax.set_ylim(len(g) - 0.4, -0.6)
    axes[0].set_yticks(range(len(g)), words, fontsize=TICK_SIZE, parse_math=False)
    sizes, steps = np.abs(g[g != 0]), np.abs((w - before)[g != 0])
    says = f"Step {adam.t} of Adam, rate {rate:g}"
    if len(sizes) > 1:
        says += f": the largest gradient is {_times(sizes)} the smallest, the largest step only {_times(steps)}"
    figure.suptitle(wrapped(says, PAGE_WIDTH * 72 - 20), fontsize=TITLE_SIZE, x=0.02, ha="left")
    return axes


def _times(sizes: Array) -> str:
    ratio = float(sizes.max() / max(sizes.min(), 1e-300))
    return f"{ratio:,.0f} times" if 10 <= ratio < 1e6 else f"{ratio:.2g} times"
