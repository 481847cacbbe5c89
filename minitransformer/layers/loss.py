"""Cross-entropy between the model's next-token distribution and the truth, over the tokens that are not padding.

p = softmax(logits)      q = (1 - e) onehot(target) + e / V      loss = -1/N sum over tokens, V of q log p
                                                             d_logits =  1/N (p - q)
"""

from __future__ import annotations

import math

import numpy as np

from .base import Array, Cache, Layer
from .embedding import check_ids
from .sums import row_sum


class CrossEntropy(Layer):
    """Mean cross-entropy with label smoothing, in nats per token.

    Parameters
    ----------
    pad : int
        The target id that does not count.
    label_smoothing : float
        e, the share of the truth that is spread evenly over the V ids, 0 <= e < 1.

    Shapes: logits (..., V), targets (...) of ids -> loss, a scalar of the logits' dtype. `normalizer` is N: by
    default the number of unpadded targets; a worker that sees a share of a batch gives the whole batch's, so that
    the shares' losses and gradients simply add. Backward returns the gradient of the logits.

    Source: Vaswani et al. 2017, section 5.4; Szegedy et al. 2015, section 7.
    """

    def __init__(self, pad: int = 0, label_smoothing: float = 0.0) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing={label_smoothing}: must be at least 0 and below 1")
        self.pad, self.label_smoothing = pad, label_smoothing

    def forward(
        self,
        logits: Array,
        targets: Array,
        normalizer: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[np.number, Cache]:
        V = logits.shape[-1] if logits.ndim else 0
        check_ids("targets", targets, V)
        if targets.shape != logits.shape[:-1]:
            raise ValueError(
                f"targets have shape {targets.shape}: for logits of shape {logits.shape} give {logits.shape[:-1]}"
            )
        counted = np.flatnonzero(targets.reshape(-1) != self.pad)
        N = len(counted) if normalizer is None else normalizer
        if normalizer is not None and not normalizer > 0:
            raise ValueError(f"normalizer={normalizer}: must be above 0, the number of tokens of the whole batch")
        if N < 1:
            raise ValueError(f"targets hold nothing but padding (pad={self.pad}): a mean needs at least one token")
        truth = targets.reshape(-1)[counted]
        rows = logits.reshape(-1, V)  # (..., V) -> (N, V), without those that are padding
        rows = rows[counted] if len(counted) < len(rows) else rows
        rows = rows - rows.real.max(axis=-1, keepdims=True)  # a fresh array: what follows may overwrite it
        e = self.label_smoothing
        expected = (1.0 - e) * rows[np.arange(len(truth)), truth]  # the logit that q expects ...
        if e:
            expected += (e / V) * row_sum(rows)[:, 0]
        np.exp(rows, out=rows)
        total = row_sum(rows)
        loss = (np.log(total[:, 0]) - expected).sum() / N  # ... and -sum q log p = log total - that
        rows *= 1.0 / total
        return rows.dtype.type(loss), Cache(p=rows, counted=counted, truth=truth, shape=logits.shape, normalizer=N)

    def backward(self, d_loss: float, cache: Cache) -> Array:
        p, counted, truth = cache["p"], cache["counted"], cache["truth"]
        V, e = p.shape[-1], self.label_smoothing
        d_rows = p - e / V  # p - q: first what is spread evenly ...
        d_rows[np.arange(len(truth)), truth] -= 1.0 - e  # ... then what is the target's own
        d_rows *= float(d_loss) / cache["normalizer"]
        if d_rows.size == math.prod(cache["shape"]):
            return d_rows.reshape(cache["shape"])
        d_logits = np.zeros(cache["shape"], p.dtype)  # padding has no gradient
        d_logits.reshape(-1, V)[counted] = d_rows
        return d_logits
