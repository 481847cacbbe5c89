"""Source that a notebook shows: the package's own, with the file it is in, and nothing that moves."""

import inspect

import pytest

from minitransformer.course import show_source
from minitransformer.layers import Softmax, sinusoids


def test_a_method_is_shown_as_it_is_written_at_the_margin():
    (where, text), *_ = show_source(Softmax.backward, Softmax.forward).pieces
    assert where == "layers/softmax.py: Softmax.backward"
    assert text.startswith("def backward(self, dy: Array, cache: Cache) -> Array:\n    y = cache")
    assert [line.strip() for line in text.splitlines()] == [
        line.strip() for line in inspect.getsource(Softmax.backward).rstrip().splitlines()
    ]


def test_text_and_markdown_hold_every_piece_in_the_order_given():
    shown = show_source(sinusoids, Softmax)
    for text in (repr(shown), shown._repr_markdown_()):
        assert text.index("layers/positions.py: sinusoids") < text.index("layers/softmax.py: Softmax")
        assert "table[:, 1::2] = np.cos(angle)" in text
        assert "class Softmax(Layer):" in text
    assert shown._repr_markdown_().count("```python\n") == 2


def test_what_has_no_source_of_its_own_is_refused_with_a_reason():
    with pytest.raises(TypeError, match=r"classes, methods and functions: it was given a Softmax"):
        show_source(Softmax())
    with pytest.raises(ValueError, match="at least one"):
        show_source()
