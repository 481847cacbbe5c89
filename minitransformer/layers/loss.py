"""Cross-entropy between the model's next-token distribution and the truth, over the tokens that are not padding.

p = softmax(logits)      q = (1 - e) onehot(target) + e / V      loss = -1/N sum over tokens, V of q log p
                                                             d_logits =  1/N (p - q)
"""

from __future__ import annotations

import numpy as np

from ..arguments import checked
from .base import Array, Cache, Layer
from .checks import check_axes
from .embedding import check_ids
from .reductions import row_max, row_sum


@checked
class CrossEntropy(Layer):
    """Mean cross-entropy with label smoothing, in nats per token.

    Parameters
    ----------
    pad : int
        The target id that does not count.
    label_smoothing : float
        e, the share of the truth that is spread evenly over the V ids (`pad` and `bos` too), 0 <= e < 1.

    Shapes: logits (..., V), targets (...) of ids -> loss, a scalar of the logits' dtype. `normalizer` is N: by
    default the number of unpadded targets. A worker that sees a share of a batch gives the whole batch's number, so
    that the shares' losses and gradients simply add. Backward returns the gradient of the logits.

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
        check_axes("logits", logits)
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
        truth, e = targets.reshape(-1)[counted], self.label_smoothing
        rows = logits.reshape(-1, V)[counted]  # (..., V) -> (n, V), n tokens that are not padding
        log_p = rows - row_max(rows.real)  # the shift cancels, and keeps exp from overflowing
        log_p -= np.log(row_sum(np.exp(log_p)))
        q_log_p = (1.0 - e) * log_p[np.arange(len(truth)), truth]
        if e:
            q_log_p += (e / V) * row_sum(log_p)[:, 0]
        cache = Cache(log_p=log_p, counted=counted, truth=truth, normalizer=N, shape=logits.shape)
        return logits.dtype.type(-q_log_p.sum() / N), cache

    def backward(self, d_loss: float, cache: Cache) -> Array:
        if not isinstance(d_loss, (float, int, np.number)):
            raise TypeError(
                f"CrossEntropy.backward: d_loss is of type {type(d_loss).__name__}: give a number, mostly 1.0"
            )
        log_p, counted, truth = cache["log_p"], cache["counted"], cache["truth"]
        *shape, V = cache["shape"]
        e = self.label_smoothing
        d_rows = np.exp(log_p)  # p
        d_rows -= e / V  # p - q: first what is spread evenly,
        d_rows[np.arange(len(truth)), truth] -= 1.0 - e  # then the target's own share
        d_rows *= float(d_loss) / cache["normalizer"]
        if len(counted) < np.prod(shape):
            d_rows, counted_rows = np.zeros((int(np.prod(shape)), V), d_rows.dtype), d_rows
            d_rows[counted] = counted_rows  # padding has no gradient
        return d_rows.reshape(*shape, V)
