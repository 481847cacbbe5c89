"""Pairs that are made: every answer is right, every part its own, and the same ones in every run."""

from datetime import date

import pytest

from minitransformer.data import TASKS
from minitransformer.data.tasks.written import FIRST_YEAR, LAST_YEAR, MONTHS, WAYS, WEEKDAYS, addition, dates, reverse

from ..extent import exhaustive


def test_every_sum_is_right_and_its_question_stands_backwards():
    for part in addition():
        for question, answer in part:
            a, b = question[::-1].split("+")
            assert int(a) + int(b) == int(answer)
            assert len(a) <= 3
            assert len(b) <= 3


def test_no_two_questions_have_the_same_two_numbers():
    pairs = [pair for part in addition() for pair in part]
    assert len(pairs) == 50_000
    assert len({tuple(sorted(question.split("+"))) for question, _ in pairs}) == len(pairs)


def test_more_sums_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="sizes is"):
        addition(digits=1, sizes=(40, 40, 40))


def test_every_way_to_write_a_date_reads_as_the_comment_beside_it_says():
    written = [way(date(1979, 5, 3)) for way in WAYS]
    assert written == [
        "3 May 1979",
        "May 3, 1979",
        "Thursday, May 3, 1979",
        "Thu 3 May 1979",
        "3rd of May 1979",
        "Thursday the 3rd of May, 1979",
        "3-May-79",
        "03.05.1979",
        "5/3/1979",
        "05/03/79",
        "may 3 1979",
        "1979 MAY 3",
    ]
    assert len(set(MONTHS)) == 12
    assert len(set(WEEKDAYS)) == 7


@pytest.mark.parametrize(
    ("day", "wanted"), [(1, "1st"), (2, "2nd"), (11, "11th"), (13, "13th"), (22, "22nd"), (30, "30th")]
)
def test_ordinal_numbers(day, wanted):
    assert WAYS[4](date(2001, 1, day)) == f"{wanted} of January 2001"


def test_no_two_dates_are_written_alike():
    seen = {}
    for day in range(date(FIRST_YEAR, 1, 1).toordinal(), date(LAST_YEAR, 12, 31).toordinal() + 1, 7):
        moment = date.fromordinal(day)
        for way in WAYS:
            assert seen.setdefault(way(moment), moment) == moment


def test_a_date_stands_in_one_part_only():
    parts = [{answer for _, answer in part} for part in dates()]
    assert [len(part) for part in parts] == [20_000, 1_000, 2_000]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_a_part_may_be_empty():
    assert [len(part) for part in dates(sizes=(5, 0, 0))] == [5, 0, 0]


@exhaustive
def test_reversed_sequences():
    training, validation, test = reverse()
    assert [len(part) for part in (training, validation, test)] == [50_000, 1_000, 1_000]
    assert all(source.split() == target.split()[::-1] for part in (validation, test) for source, target in part)
    assert max(len(source.split()) for source, _ in training) == 25
    assert max(len(source.split()) for source, _ in test) == 30


@exhaustive
def test_every_task_is_the_same_in_every_run():
    for name, task in TASKS.items():
        assert task() == task(), name
