"""Hints come one after another; the solution is printed."""

from dataclasses import replace

import pytest

from minitransformer.course import hint, hints, show_solution, versions

from .examples import SOFTMAX, no_sum

pytestmark = pytest.mark.usefixtures("example")


def test_each_call_gives_the_next_hint_and_a_number_any(monkeypatch):
    monkeypatch.setattr(hints, "_given", {})
    assert [hint("softmax_backward").text for _ in range(4)] == ["first", "second", "third", "third"]
    assert repr(hint("softmax_backward", 2)) == "Hint 2 of 3 for softmax_backward: second"
    assert "Hint 2 of 3" in hint("softmax_backward", 2)._repr_html_()


def test_a_number_or_a_name_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must be 1, 2 or 3"):
        hint("softmax_backward", 4)
    with pytest.raises(ValueError, match="there is no such exercise"):
        hint("softmax")


def test_the_solution_is_printed(capsys):
    assert show_solution("softmax_backward") is None
    assert "return dx * scale" in capsys.readouterr().out


def test_a_bug_to_find_has_two_versions(monkeypatch):
    bug = replace(SOFTMAX, broken=no_sum)
    monkeypatch.setattr(hints, "find", {"softmax_backward": bug}.get)
    assert versions("softmax_backward") == (no_sum, SOFTMAX.solution)
    monkeypatch.setattr(hints, "find", {"softmax_backward": SOFTMAX}.get)
    with pytest.raises(ValueError, match="no bug to find"):
        versions("softmax_backward")
