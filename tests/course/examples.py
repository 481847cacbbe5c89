"""One exercise that the tests of the machinery need, whatever the lessons have."""

from minitransformer.course.exercise import Exercise
from minitransformer.layers import Softmax


def softmax_backward(dy, y, scale=1.0):
    """The gradient of the scores x, when y = softmax(x) over the last axis.

    dy (B, T, S), y (B, T, S) -> dx (B, T, S).
    """
    dx = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dx * scale


def no_sum(dy, y):
    """Forgets that the entries of a row share their sum."""
    return y * dy


def batch_mean(dy, y):
    """Divides by the batch."""
    return softmax_backward(dy, y) / len(y)


def sign(dy, y):
    """The wrong sign."""
    return -softmax_backward(dy, y)


def cases(rng):
    sizes = ((3, 5, 7), (2, 3, 5))
    return [(rng.standard_normal(size), Softmax()(rng.standard_normal(size))) for size in sizes]


SOFTMAX = Exercise(
    "softmax_backward",
    "04",
    softmax_backward,
    cases,
    (no_sum, batch_mean, sign),
    ("first", "second", "third"),
    backward=True,
    title="The softmax, backward",
    difficulty=3,
    importance=5,
    minutes=15,
    package=("Softmax.backward",),
)
