"""Attention as it was before the Transformer: a decoder's state asks, the encoder's states are keys and values.

weights = softmax(score(q, k) + mask)          context = weights memory

DotScore        score = q . k                  Luong et al. 2015, eq. 8, dot; with k = W memory: general
AdditiveScore   score = v . tanh(q + k)        Bahdanau et al. 2015, appendix A.1.2, with q = W x, k = U memory
"""

from __future__ import annotations

import numpy as np

from ...arguments import checked
from ..base import Array, Cache, Layer
from ..checks import check_axes, check_gradient
from ..containers import Identity
from ..decoding_state import DecodingState
from ..initializers import Init, as_initializer
from ..linear import Linear
from ..masks import additive, check_mask
from ..softmax import Softmax


class DotScore(Layer):
    """score(q, k) = q . k, without a scale.

    Shapes: q (B, T, A), k (B, S, A) -> (B, T, S).

    Source: Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine Translation", eq. 8.
    """

    def forward(self, q: Array, k: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_axes("q", q, "B T A")
        check_axes("k", k, "B S A")
        return np.matmul(q, k.swapaxes(-1, -2)), Cache(q=q, k=k)

    def backward(self, d_scores: Array, cache: Cache) -> tuple[Array, Array]:
        q, k = cache["q"], cache["k"]
        check_gradient(self, d_scores, (*q.shape[:-1], k.shape[-2]))
        dk = np.matmul(d_scores.swapaxes(-1, -2), q)
        dq = np.matmul(d_scores, k)
        return dq, dk


@checked
class AdditiveScore(Layer):
    """score(q, k) = v . tanh(q + k).

    Parameters
    ----------
    d_attention : int
        A, features of q and k.
    init : Initializer or np.random.Generator
        Draws v, a `Linear` to one feature.

    Shapes: q (B, T, A), k (B, S, A) -> (B, T, S). It takes B T S A numbers of memory.

    Source: Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align and Translate", A.1.2.
    """

    def __init__(self, d_attention: int, init: Init) -> None:
        self.vector = Linear(d_attention, 1, init)

    def forward(self, q: Array, k: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_axes("q", q, "B T A")
        check_axes("k", k, "B S A")
        activated = np.tanh(q[:, :, None] + k[:, None])  # (B, T, 1, A) + (B, 1, S, A) -> (B, T, S, A)
        scores, vector_cache = self.vector.forward(activated)
        return scores[..., 0], Cache(vector=vector_cache)  # (B, T, S, 1) -> (B, T, S)

    def backward(self, d_scores: Array, cache: Cache) -> tuple[Array, Array]:
        activated = cache["vector"]["x"]
        check_gradient(self, d_scores, activated.shape[:-1])
        d_sum = self.vector.backward(d_scores[..., None], cache["vector"])
        d_sum *= 1.0 - activated * activated
        return d_sum.sum(axis=2), d_sum.sum(axis=1)  # q was added for every s, k for every t


@checked
class CrossAttention(Layer):
    """context = softmax(score(query(x), key(memory)) + mask) memory, with one head.

    Parameters
    ----------
    score : Layer
        (q, k) -> scores.
    query, key : Layer, optional
        What maps x and memory to q and k; by default nothing does.

    Shapes: x (B, T, D), memory (B, S, M), mask boolean, broadcast to (B, 1, T, S), True = may attend -> context
    (B, T, M). The attention map is `cache["weights"]`, (B, 1, T, S). Backward returns the gradients of x and memory.
    """

    def __init__(self, score: Layer, query: Layer | None = None, key: Layer | None = None) -> None:
        self.query = query or Identity()
        self.key = key or Identity()
        self.score = score
        self.softmax = Softmax()

    def forward(
        self,
        x: Array,
        memory: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        check_axes("x", x)
        check_axes("memory", memory)
        if x.ndim != 3 or memory.ndim != 3 or len(x) != len(memory):
            raise ValueError(f"memory has shape {memory.shape}: give (B, S, M) with the B of an x of shape {x.shape}")
        k, key_cache = self.keys(memory, state)
        context, cache = self.read(x, k, memory, mask)
        cache["key"] = key_cache
        return context, cache

    def backward(self, d_context: Array, cache: Cache) -> tuple[Array, Array]:
        dx, dk, d_memory = self.backward_read(d_context, cache)
        return dx, d_memory + self.key.backward(dk, cache["key"])  # the memory was key and value

    def keys(self, memory: Array, state: DecodingState | None = None) -> tuple[Array, Cache]:
        """The keys (B, S, A) of a memory. It stays the same while decoding, so the state keeps them."""
        if state is not None and "k" in state:
            return state["k"], Cache()
        k, cache = self.key.forward(memory)
        if state is not None:
            state["k"] = k
        return k, cache

    def read(self, x: Array, k: Array, memory: Array, mask: Array | None = None) -> tuple[Array, Cache]:
        """The part that differs from step to step: the keys k (B, S, A) of a memory are the same for all."""
        q, query_cache = self.query.forward(x)
        scores, score_cache = self.score.forward(q, k)
        scores = scores[:, None]  # (B, T, S) -> (B, 1, T, S): one head
        if mask is not None:
            check_mask(mask, scores.shape)
            scores = scores + additive(mask, scores.real.dtype)
        weights, softmax_cache = self.softmax.forward(scores)
        context = np.matmul(weights[:, 0], memory)  # (B, T, S) (B, S, M) -> (B, T, M)
        return context, Cache(
            query=query_cache, score=score_cache, softmax=softmax_cache, weights=weights, memory=memory
        )

    def backward_read(self, d_context: Array, cache: Cache) -> tuple[Array, Array, Array]:
        """The gradients of x, k and memory."""
        weights, memory = cache["weights"][:, 0], cache["memory"]
        check_gradient(self, d_context, (*weights.shape[:2], memory.shape[-1]))
        d_memory = np.matmul(weights.swapaxes(-1, -2), d_context)
        d_weights = np.matmul(d_context, memory.swapaxes(-1, -2))
        d_scores = self.softmax.backward(d_weights[:, None], cache["softmax"])[:, 0]  # where masked, this is 0
        dq, dk = self.score.backward(d_scores, cache["score"])
        return self.query.backward(dq, cache["query"]), dk, d_memory


@checked
class DotAttention(CrossAttention):
    """Luong's attention: the score is the product of the decoder's state and the encoder's.

    Parameters
    ----------
    key : Layer, optional
        Maps the memory to the width of x: `Linear(M, D, init)` makes the score x W memory that Luong calls general.
        By default nothing does, which he calls dot, and the widths must be the same.

    Source: Luong et al. 2015, section 3.1, global attention.
    """

    def __init__(self, key: Layer | None = None) -> None:
        super().__init__(DotScore(), key=key)


@checked
class AdditiveAttention(CrossAttention):
    """Bahdanau's attention: the score is a small feed-forward network of both states.

    Parameters
    ----------
    d_query, d_memory, d_attention : int
        Features of x, of the memory, and within the network.
    init : Initializer or np.random.Generator

    Source: Bahdanau et al. 2015, appendix A.1.2.
    """

    def __init__(self, d_query: int, d_memory: int, d_attention: int, init: Init) -> None:
        init = as_initializer(init)
        query, key = Linear(d_query, d_attention, init), Linear(d_memory, d_attention, init)
        super().__init__(AdditiveScore(d_attention, init), query, key)
