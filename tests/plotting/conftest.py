"""A headless backend, figures closed after each test, and what was written where on a page."""

from collections.abc import Callable, Iterator
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

ENGLISH = ("I", "got", "my", "car", "straight", "from", "the", "showroom", ",", "it", "was", "new", ".")
FRENCH = ("j'", "ai", "eu", "ma", "voiture", "directement", "du", "salon", ",", "elle", "était", "neuve", ".")
LONG = (
    *("yesterday", "the", "old", "teacher", "from", "the", "little", "village", "gave", "my"),
    *("sister", "a", "beautiful", "blue", "book", "because", "she", "had", "read", "everything"),
)


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is shown, nothing global is changed, nothing stays open from one test to the next."""
    matplotlib.use("Agg")

    def shown(*_: object, **__: object) -> None:
        raise AssertionError("plt.show() was called")

    monkeypatch.setattr(plt, "show", shown)
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    plt.close("all")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def texts_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Figure], list[tuple[str, np.ndarray]]]:
    """Draws a figure; every text that was drawn, with its box (x0, y0, x1, y1) as fractions of the figure."""
    drawn: list[Text] = []
    draw = Text.draw

    def record(text: Text, renderer: object) -> None:
        drawn.append(text)
        draw(text, renderer)

    def texts(figure: Figure) -> list[tuple[str, np.ndarray]]:
        with monkeypatch.context() as patch:
            patch.setattr(Text, "draw", record)
            drawn.clear()
            figure.canvas.draw()
        width, height = figure.bbox.width, figure.bbox.height
        visible = {id(text): text for text in drawn if text.get_visible() and text.get_text().strip()}
        return [
            (text.get_text(), Text.get_window_extent(text).extents / (width, height, width, height))
            for text in visible.values()
        ]

    return texts


@pytest.fixture
def assert_legible(texts_of: Callable[[Figure], list[tuple[str, np.ndarray]]]) -> Callable[[Figure], None]:
    """No text is cut by the figure's edge and no two lie on each other."""

    def check(figure: Figure) -> None:
        texts = texts_of(figure)
        assert texts
        cut = [(text, box.round(3)) for text, box in texts if min(box) < -0.002 or max(box) > 1.002]
        assert not cut
        slack = 0.5 / min(figure.bbox.width, figure.bbox.height)
        touching = [
            (one, other)
            for (one, a), (other, b) in combinations(texts, 2)
            if min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack
        ]
        assert not touching

    return check


@pytest.fixture
def weights(rng: np.random.Generator) -> Callable[..., np.ndarray]:
    """Attention weights of any shape: rows that sum to 1."""

    def make(*shape: int) -> np.ndarray:
        scores = np.exp(2 * rng.normal(size=shape))
        return scores / scores.sum(axis=-1, keepdims=True)

    return make


@pytest.fixture
def english() -> list[str]:
    return list(ENGLISH)


@pytest.fixture
def french() -> list[str]:
    return list(FRENCH)


@pytest.fixture
def twenty() -> list[str]:
    return list(LONG)
