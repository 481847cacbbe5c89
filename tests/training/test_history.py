"""What a run leaves behind prints itself, as text and in a notebook."""

import re

from minitransformer.training import History


def history():
    steps = [{"step": t, "loss": 3.0 / t, "seconds": 0.5 * t} for t in (1, 2, 3)]
    return History(steps, [{"step": t, "seconds": 0.5 * t, "loss": 1.23456, "exact_match": 0.5} for t in (2, 3)])


def test_a_history_prints_its_length_its_losses_and_its_validations():
    assert repr(history()).splitlines() == [
        "History: 3 steps in 1.5 s, loss 3 to 1",
        "step 2, seconds 1, loss 1.235, exact_match 0.5",
        "step 3, seconds 1.5, loss 1.235, exact_match 0.5",
    ]
    assert repr(History()) == "History: no steps yet"
    assert repr(History(history().steps)) == "History: 3 steps in 1.5 s, loss 3 to 1"


def test_of_many_validations_it_prints_the_last_twenty():
    many = History([{"loss": 1.0, "seconds": 1.0}], [{"step": t} for t in range(30)])
    assert repr(many).splitlines()[1:] == [f"step {t}" for t in range(10, 30)]


def test_in_html_validations_are_a_table():
    page = history()._repr_html_()
    assert "loss 3 to 1</caption>" in page
    assert re.findall(r"<t[hd] [^>]*>(.*?)</t[hd]>", page) == [
        *("step", "seconds", "loss", "exact_match"),
        *("2", "1", "1.235", "0.5"),
        *("3", "1.5", "1.235", "0.5"),
    ]
    assert "no steps yet" in History()._repr_html_()
