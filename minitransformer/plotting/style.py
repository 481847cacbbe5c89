"""What all pictures share: colours that everybody can tell apart, sizes of type, and files that are the same each time.

Nothing here touches matplotlib's global settings: sizes are given to each text, and `save` sets its own for one call.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontEntry, FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.transforms import ScaledTranslation

from ..arguments import checked
from ..files import whole_file

Array = np.ndarray

# Okabe and Ito 2008, "Color Universal Design": told apart in every common form of colour blindness.
OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}
CYCLE = tuple(OKABE_ITO[name] for name in ("blue", "vermillion", "green", "purple", "orange", "sky blue", "black"))
GREY = "#6B6B6B"  # 5:1 against white, so that text in it can be read
PALE = "#D9D9D9"

WEIGHT_MAP = "viridis"  # from nothing to much
SIGNED_MAP = "cividis"  # from -1 to 1

PAGE_WIDTH = 7.0  # inches
TITLE_SIZE, LABEL_SIZE, TICK_SIZE = 10.0, 9.0, 8.0  # points, as printed at page width

_FORMATS: dict[str, tuple[str, dict[str, None]]] = {  # what would differ from one day to the next is left out
    ".png": ("png", {"Software": None}),
    ".svg": ("svg", {"Date": None, "Creator": None}),
    ".pdf": ("pdf", {"CreationDate": None, "Creator": None, "Producer": None}),
}


@checked
def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure and close it: PNG (150 dots an inch), SVG or PDF, by the suffix of `path`; return the path.

    The same figure gives the same bytes, and a file appears whole or not at all.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise ValueError(f"path={str(path)!r} ends in {path.suffix!r}: it must end in {', '.join(_FORMATS)}")
    kind, metadata = _FORMATS[path.suffix.lower()]
    missing = dress(figure)
    if missing:
        warnings.warn(f"no font of this system has {missing}: they are drawn as boxes; install one", stacklevel=2)
    settings: Any = {"svg.hashsalt": "minitransformer", "pdf.fonttype": 42, "savefig.bbox": None}
    try:
        with plt.rc_context(settings), whole_file(path) as file, _said_once():
            figure.savefig(file, format=kind, dpi=150, metadata=metadata)
    finally:
        plt.close(figure)
    return path


def new_axes(ax: Axes | None, width: float = PAGE_WIDTH, height: float = 3.2) -> Axes:
    """The axes given, or those of a new figure of this size in inches; in either case with room for their labels.

    A figure that nobody lays out, as plain `plt.subplots()` makes it, would cut long words: it is laid out constrained.
    """
    if ax is None:
        return plt.figure(figsize=(width, height), layout="constrained").add_subplot()
    whole = figure_of(ax).figure  # of a SubFigure, the Figure
    if whole.get_layout_engine() is None and ax.get_subplotspec() is not None:
        whole.set_layout_engine("constrained")
    return ax


def figure_of(ax: Axes) -> Figure | SubFigure:
    """The figure, or part of one, that holds these axes."""
    assert ax.figure is not None, "the axes were removed from their figure"
    return ax.figure


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes as they stand now, in points (1/72 inch)."""
    box, dpi = ax.bbox, figure_of(ax).dpi
    return box.width * 72 / dpi, box.height * 72 / dpi


class Canvas:
    """Axes whose unit is a point (1/72 inch): a figure of this size, or given axes, on which all shrinks to fit.

    Parameters
    ----------
    ax : Axes or None
    width, height : float
        Of the drawing, in points.
    """

    def __init__(self, ax: Axes | None, width: float, height: float) -> None:
        self.ax, self.shrink = new_axes(ax, width / 72, height / 72), 1.0
        if ax is None:
            figure_of(self.ax).figure.set_layout_engine("none")
            self.ax.set_position((0, 0, 1, 1))
        else:
            wide, high = size_in_points(ax)
            self.shrink = min(wide / width, high / height)
        self.ax.set(xlim=(0, width), ylim=(0, height), aspect="equal", anchor="NW")
        self.ax.set_axis_off()

    def write(self, x: float, y: float, text: str, size: float = TICK_SIZE, **style: Any) -> None:
        self.ax.text(x, y, text, fontsize=size * self.shrink, parse_math=False, **style)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = TICK_SIZE, weight: str = "normal") -> float:
    """How wide one line of text will be, in points."""
    font = FontProperties(family=[*FontProperties().get_family(), *fallbacks(text)], size=size, weight=weight)
    with _said_once():
        return float(text_to_path.get_text_width_height_descent(text, font, False)[0])


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """Without matplotlib's warning for each missing character, each time: `save` names all of them once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ ", category=UserWarning)
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support", category=UserWarning)
        yield


def dress(figure: Figure) -> str:
    """Give texts of the figure the fonts that have their characters; returns the characters that no font has."""
    missing: set[str] = set()
    for text in figure.findobj(Text):
        content = text.get_text()
        if content.isascii():
            continue
        others = fallbacks(content)
        families = text.get_fontfamily()
        text.set_fontfamily([*families, *(name for name in others if name not in families)])
        missing |= {c for c in content if _font_with(c) is None}
    return "".join(sorted(missing))[:40]


def fallbacks(text: str) -> list[str]:
    """Families that have what the usual one lacks, for the characters of a text."""
    return [] if text.isascii() else sorted({name for c in text if (name := _font_with(c))})


@lru_cache(maxsize=4096)
def _font_with(character: str) -> str | None:
    """A family of this system that has the character: empty where the usual one has it, None where none has."""
    if character.isspace() or not character.isprintable() or _has(findfont(FontProperties()), character):
        return ""
    return _among(fontManager.ttflist, character) or _among(_installed_since(), character)


def _among(fonts: Sequence[FontEntry], character: str) -> str | None:
    for font in sorted(fonts, key=lambda font: (font.style != "normal", font.weight != 400, font.name)):
        if ("Emoji" in font.name and "Color" in font.name) or "Last" in font.name:
            continue  # of coloured pictures, which matplotlib does not draw; of boxes
        if _has(font.fname, character):
            return font.name
    return None


@lru_cache(maxsize=1)
def _installed_since() -> list[FontEntry]:
    """Fonts of this system that matplotlib's list of fonts, which it keeps in a file, does not have yet."""
    known = len(fontManager.ttflist)
    for path in set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}:
        with contextlib.suppress(OSError, RuntimeError, KeyError, ValueError):  # one that it cannot read
            fontManager.addfont(path)
    return list(fontManager.ttflist[known:])


def _has(path: str, character: str) -> bool:
    try:
        return bool(get_font(path).get_char_index(ord(character)))
    except (OSError, RuntimeError):  # a font that was removed, or that matplotlib cannot read
        return False


def widest(texts: Sequence[str], size: float = TICK_SIZE) -> float:
    """The width of the widest of these texts, in points; 0 where there is none."""
    return max((text_width(text, size) for text in texts), default=0.0)


def wrapped(text: str, width: float, size: float = TITLE_SIZE, weight: str = "normal") -> str:
    """The text with line breaks where a line would grow wider than `width` points."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and text_width(longer, size, weight) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "\n".join(lines)


def set_title(ax: Axes, text: str, width: float | None = None) -> None:
    """A title that starts where the axes start and is broken into lines as wide as they are (or `width` points)."""
    if width is None:
        width = size_in_points(ax)[0]
        if ax.bbox.width < 0.6 * figure_of(ax).bbox.width:
            width *= 0.8  # axes beside others: labels will take a part of them
    ax.set_title(wrapped(text, width), fontsize=TITLE_SIZE, loc="left", parse_math=False)


def tidy(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Labels, small ticks and only the two spines that carry a scale."""
    ax.set_xlabel(xlabel, fontsize=LABEL_SIZE)
    ax.set_ylabel(ylabel, fontsize=LABEL_SIZE)
    ax.tick_params(labelsize=TICK_SIZE, length=3)
    ax.spines[["top", "right"]].set_visible(False)


def colorbar(ax: Axes, image: Any, label: str, height: float = 1000.0) -> None:
    """The scale of an image at its right, as tall as the image; `height` is what that is in points, if it is known."""
    beside = ax.transAxes + ScaledTranslation(8 / 72, 0, figure_of(ax).dpi_scale_trans)
    bar = figure_of(ax).colorbar(image, cax=ax.inset_axes((1.0, 0.0, 0.03, 1.0), transform=beside))
    bar.set_label(label if text_width(label, LABEL_SIZE) < height else label.split()[-1], fontsize=LABEL_SIZE)
    plain(bar)


def legend_below(ax: Axes, handles: Any = None, labels: Sequence[str] | None = None) -> None:
    """A legend beneath the axes and their labels, where it can lie on nothing that is drawn."""
    if handles is None or labels is None:
        handles, labels = ax.get_legend_handles_labels()
    room, used, columns = size_in_points(ax)[0], 0.0, 0
    while columns < len(labels) and (columns == 0 or used + text_width(labels[columns]) + 34 < room):
        used += text_width(labels[columns]) + 34
        columns += 1
    ax.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, -34 / 72, figure_of(ax).dpi_scale_trans),
        ncols=max(columns, 1),
        frameon=False,
        fontsize=TICK_SIZE,
        borderaxespad=0,
        borderpad=0,
        handlelength=1.2,
        columnspacing=1.4,
    )


def plain(bar: Colorbar) -> None:
    """A colour bar in our type and without a frame."""
    bar.ax.tick_params(labelsize=TICK_SIZE, length=3)
    bar.outline.set_visible(False)  # type: ignore[operator]


def ink_on(colour: Any) -> str:
    """Black or white, whichever is read more easily on this colour (WCAG relative luminance)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.asarray(colour)[:3])
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"


def visible(word: str) -> str:
    """The word with marks for white space that would not be seen, or would break the label: ␣, ↵, ⇥."""
    inner = word.strip(" ")
    begins = len(word) - len(word.lstrip(" ")) if inner else len(word)
    word = "␣" * begins + inner + "␣" * (len(word) - begins - len(inner))
    word = word.replace("\n", "↵").replace("\t", "⇥")
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else ascii(c)[1:-1] for c in word)


def as_numbers(name: str, values: Any, finite: bool = False) -> Array:
    """The values as an array; TypeError unless they are real numbers, ValueError for NaN or infinity if `finite`."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}: give real numbers")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity: give finite numbers")
    return array + 0.0 if array.dtype.kind == "b" else array


def as_words(name: str, words: Any, length: int, what: str) -> list[str]:
    """The words as a list of strings; ValueError unless there are `length` of them."""
    if isinstance(words, str):
        raise ValueError(f"{name}={words!r} is one string: give a list of {length} words, for example text.split()")
    words = [visible(str(word)) for word in words]
    if len(words) != length:
        raise ValueError(f"{name} has {len(words)} words: {what} asks for {length}")
    return words
