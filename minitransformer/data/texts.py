"""Running text for language models, cut into windows: a model predicts every id from the ids before it.

inputs    t1 t2 t3 t4
targets   t2 t3 t4 t5
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import numpy as np

from ..arguments import checked
from .batches import Batch, check_whole

Ids = Sequence[int] | np.ndarray

NO_PAD = -1  # windows are all of one length: no id stands for padding


@checked
class TextBatches:
    """Batches of windows that begin anywhere in a text, drawn from a generator seeded with seed and step.

    Parameters
    ----------
    ids : sequence of int
        The text; longer than `context`.
    context : int
        T, how many ids a window has.
    batch_size : int
        B, how many windows a batch has.
    seed : int
    """

    def __init__(self, ids: Ids, context: int, batch_size: int, *, seed: int) -> None:
        self.ids = _text(ids, check_whole("context", context, 1))
        self.context = context
        self.batch_size = check_whole("batch_size", batch_size, 1)
        self.seed = check_whole("seed", seed, 0)

    def batch(self, step: int) -> Batch:
        """The batch of a training step, counted from 0."""
        rng = np.random.default_rng([self.seed, check_whole("step", step, 0)])
        return _windows(self.ids, rng.integers(0, len(self.ids) - self.context, self.batch_size), self.context)


@checked
def text_windows(ids: Ids, context: int, batch_size: int) -> Iterator[Batch]:
    """The whole text once, in windows one after another; an incomplete window at the end is left out."""
    text = _text(ids, check_whole("context", context, 1))
    starts = np.arange(0, len(text) - context, context)
    for first in range(0, len(starts), check_whole("batch_size", batch_size, 1)):
        yield _windows(text, starts[first : first + batch_size], context)


def documentation() -> str:
    """A text that comes with every Python: the topics of its documentation, about half a million characters.

    A browser's Python comes without them; there it is as much of what NumPy says of its functions.
    """
    try:
        from pydoc_data import topics

        texts = topics.topics
    except ImportError:
        documented = {name: inspect.getdoc(getattr(np, name)) or "" for name in np.__all__}
        texts = {name: text for name, text in documented.items() if len(text) > 1000}
    return "\n\n".join(texts[name].strip() for name in sorted(texts))[:600_000] + "\n"


def _text(ids: Ids, context: int) -> np.ndarray:
    text = np.asarray(ids)
    if text.ndim != 1 or text.dtype.kind not in "iu":
        raise TypeError(f"ids have dtype {text.dtype} and shape {text.shape}; allowed is one row of whole numbers")
    if len(text) <= context:
        raise ValueError(f"ids are {len(text)}: a window of context={context} ids needs {context + 1}")
    return text


def _windows(text: np.ndarray, starts: np.ndarray, context: int) -> Batch:
    rows = text[starts[:, None] + np.arange(context + 1)]  # (B, T + 1)
    return Batch((rows[:, :-1],), rows[:, 1:], NO_PAD)
