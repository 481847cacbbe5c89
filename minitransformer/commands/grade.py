"""`grade`: a table of students and exercises from the notebooks that were handed in."""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..course.capstone import GATES
from ..course.exercises import exercises
from ..course.grading import Limits, Submission, grade, grade_gates, submissions
from ..course.result import Result
from ..files import whole_file
from .errors import CommandError
from .options import new_parser, number, path_name, report, say

CAPSTONE = "12"  # the lesson whose marks are its gates
GRADING_SEED = 1  # the notebooks' own check draws its inputs with 0


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "grade",
        run,
        "Grade the course's notebooks: a table student x exercise as CSV, 1 or 0. DIR holds student/*.ipynb, or "
        "student.ipynb, and student/my_transformer.py for the gates of the capstone. Each exercise of each submission "
        "runs in a process of its own: a crash or an endless loop is a zero for that exercise and nothing else. This "
        "is no sandbox: grade strangers' work in a container.",
    )
    parser.set_defaults(seed=GRADING_SEED)
    limits = Limits()
    parser.add_argument("folder", metavar="DIR", type=path_name, help="what was handed in")
    parser.add_argument(
        "--out", metavar="FILE", type=path_name, help="where to write the table (default: standard output)"
    )
    parser.add_argument("--reasons", metavar="FILE", type=path_name, help="a second table: why each zero is one")
    parser.add_argument("--lesson", type=_lesson, action="append", help="only this one, as 4 or 09b; may be repeated")
    parser.add_argument("--seconds", type=number(float, 0.1), default=limits.seconds, help="for one exercise")
    parser.add_argument("--total", type=number(float, 0.1), default=limits.total, help="seconds for one student")
    parser.add_argument("--memory", type=number(int, 256), default=limits.megabytes, help="megabytes of one process")
    parser.add_argument(
        "--workers", type=number(int, 1), default=min(4, os.cpu_count() or 1), help="processes at a time"
    )


def run(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    if not folder.is_dir():
        raise CommandError(f"DIR {options.folder!r}: there is no such folder")
    handed_in = submissions(folder)
    if not handed_in:
        raise CommandError(f"DIR {options.folder!r}: holds neither student/*.ipynb nor student.ipynb")
    chosen = [e for e in exercises().values() if options.lesson is None or e.lesson in options.lesson]
    if not chosen and CAPSTONE not in options.lesson:
        raise CommandError(f"--lesson {options.lesson[0]}: there are {_lessons()}")
    names = [exercise.name for exercise in chosen]
    capstone = options.lesson is None or CAPSTONE in options.lesson
    columns = [*names, *(f"gate_{number}" for number in GATES if capstone)]
    limits = Limits(options.seconds, options.total, options.memory)
    marks: dict[str, dict[str, Result]] = {}
    for submission in handed_in:
        marks[submission.student] = grade(submission, names, limits, options.seed, options.workers)
        if capstone:
            marks[submission.student] |= grade_gates(submission, options.seed, limits)
        _tell(submission, marks[submission.student])
    numbers = {student: {name: int(r.passed) for name, r in row.items()} for student, row in marks.items()}
    table = [[student, *row.values(), sum(row.values())] for student, row in numbers.items()]
    _write(["student", *columns, "total"], table, options.out)
    if options.reasons:
        reasons = [
            [student, name, result.stage, " ".join(result.message.split())]
            for student, row in marks.items()
            for name, result in row.items()
            if not result
        ]
        _write(["student", "exercise", "stage", "reason"], reasons, options.reasons)
    report(options, numbers)
    return 0


def _tell(submission: Submission, row: dict[str, Result]) -> None:
    say(f"{submission.student}: {sum(map(bool, row.values()))} of {len(row)}")
    for problem in submission.problems:
        say(f"  {problem}")


def _lessons() -> str:
    return ", ".join(sorted({CAPSTONE, *(exercise.lesson for exercise in exercises().values())}))


def _lesson(text: str) -> str:
    """A lesson's number as its exercises have it: 4 is 04, 9b is 09b."""
    return f"0{text}" if text[1:2].isalpha() or len(text) == 1 else text


def _write(heading: Sequence[str], rows: Iterable[Sequence[Any]], path: str | None) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows([_cell(value) for value in row] for row in rows)
    if path is None:
        print(text.getvalue(), end="")
        return
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _cell(value: Any) -> Any:
    """Text that a spreadsheet takes for a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
