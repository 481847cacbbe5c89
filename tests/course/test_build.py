"""The notebooks: built from lessons, both kinds, the same each time, and never over somebody's work."""

import json
import re
from pathlib import Path

import pytest

from minitransformer.course import build
from minitransformer.course.build import BuildError, Lesson, drift, main, was_edited, write

pytest.importorskip("jupytext", reason="the extra `notebooks` is not installed")
nbformat = pytest.importorskip("nbformat")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SCRIPT = """# %% [markdown]
# # Softmax
#
# $y = e^x$

# %%
import numpy as np

from minitransformer.course import check

# %% exercise="softmax_backward"

# %%
np.arange(3).sum()

# %%
np.arange(3).sum()
"""


@pytest.fixture
def lesson(example, tmp_path):
    path = tmp_path / "notebooks" / "lessons" / "04_softmax.py"
    path.parent.mkdir(parents=True)
    path.write_text(SCRIPT, encoding="utf-8")
    return Lesson(path)


def sources(book):
    return [cell.source for cell in book.cells]


def test_the_student_gets_the_stub_and_the_solved_one_the_solution(lesson, example):
    student, solved = sources(lesson.build("student")), sources(lesson.build("solved"))
    effort = "# About 15 minutes, difficulty 3 of 5, importance 5 of 5, 2 lines."
    assert student[2] == f"{effort}\n{example.stub}"
    assert solved[2] == f"{effort}\n{example.source}"
    assert student[3] == solved[3] == 'check("softmax_backward", softmax_backward)'
    assert [s for i, s in enumerate(student) if i != 2] == [s for i, s in enumerate(solved) if i != 2]


def test_imports_in_an_exercises_cell_stand_above_its_function(lesson, example):
    text = SCRIPT.replace('exercise="softmax_backward"\n', 'exercise="softmax_backward"\nimport math\n')
    lesson.path.write_text(text, encoding="utf-8")
    assert sources(lesson.build("student"))[2] == f"import math\n\n\n{example.effort}\n{example.stub}"


def test_a_build_is_the_same_each_time_and_valid(lesson):
    first, again = lesson.build("student"), lesson.build("student")
    assert nbformat.writes(first) == nbformat.writes(again)
    nbformat.validate(first)


def test_ids_stay_where_cells_come_and_go_around_them(lesson):
    before = [cell.id for cell in lesson.build("student").cells]
    assert len(set(before)) == len(before)
    lesson.path.write_text(SCRIPT.replace("# %%\nimport", "# %% [markdown]\n# New.\n\n# %%\nimport"), encoding="utf-8")
    after = [cell.id for cell in lesson.build("student").cells]
    assert [cell_id for cell_id in after if cell_id in before] == before
    assert len(after) == len(before) + 1
    assert lesson.build("student").cells[3].id == "04-exercise-softmax_backward"


def test_an_unchanged_notebook_is_left_with_its_outputs(lesson):
    book = lesson.build("student")
    assert write(lesson, "student", book) == "written"
    path = lesson.target("student")
    ran = json.loads(path.read_text(encoding="utf-8"))
    output = {"output_type": "stream", "name": "stdout", "text": "3\n"}
    ran["cells"][4]["outputs"] = [output]
    path.write_text(json.dumps(ran), encoding="utf-8")
    assert not was_edited(path)
    assert write(lesson, "student", lesson.build("student")) == "as it was"
    assert json.loads(path.read_text(encoding="utf-8"))["cells"][4]["outputs"] == [output]


def test_an_edited_notebook_is_never_overwritten_but_by_force_and_then_kept(lesson):
    write(lesson, "student", lesson.build("student"))
    path = lesson.target("student")
    edited = path.read_text(encoding="utf-8").replace("your turn", "my work")
    path.write_text(edited, encoding="utf-8")
    with pytest.raises(BuildError, match="it was edited since it was built"):
        write(lesson, "student", lesson.build("student"))
    assert path.read_text(encoding="utf-8") == edited
    for name in ("04_softmax.backup.ipynb", "04_softmax.backup2.ipynb"):
        path.write_text(edited, encoding="utf-8")
        assert name in write(lesson, "student", lesson.build("student"), force=True)
        assert path.with_name(name).read_text(encoding="utf-8") == edited
    assert not was_edited(path)


def test_a_notebook_of_somebody_elses_is_not_overwritten(lesson):
    path = lesson.target("student")
    path.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', encoding="utf-8")
    with pytest.raises(BuildError, match="edited"):
        write(lesson, "student", lesson.build("student"))
    path.write_text("no notebook", encoding="utf-8")
    with pytest.raises(BuildError, match="is no notebook"):
        write(lesson, "student", lesson.build("student"))


def test_drift_is_told(lesson):
    assert "missing" in drift(lesson)[0]
    write(lesson, "student", lesson.build("student"))
    assert drift(lesson) == [f"{lesson.target('student')}: has no outputs, build it with --execute"]
    lesson.path.write_text(SCRIPT.replace("e^x", "e^{x}"), encoding="utf-8")
    assert "cell 0" in drift(lesson)[0]


def test_an_exercise_of_another_lesson_is_refused(lesson):
    lesson.path.write_text(SCRIPT.replace("softmax_backward", "softmax"), encoding="utf-8")
    with pytest.raises(BuildError, match="'softmax' is not among the exercises of lesson 04"):
        lesson.build("student")


def test_the_command_says_what_is_wrong_and_fails(lesson, capsys):
    folder = ["--notebooks", str(lesson.path.parents[1])]
    assert main([*folder, "--kind", "student"]) == 0
    assert main([*folder, "--check"]) == 1
    assert "has no outputs" in capsys.readouterr().err
    assert main([*folder, "09"]) == 1
    assert "there are 04_softmax" in capsys.readouterr().err
    assert main(["--notebooks", str(lesson.path)]) == 1


def test_a_notebook_runs_in_its_own_kernel_and_keeps_no_counts(lesson, monkeypatch):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    # A kernel has its own registry, where the exercise is not this one: the check is left out.
    monkeypatch.setattr(Lesson, "_exercise", lambda *arguments: [])
    text = SCRIPT + "\n# %%\nprint(1)\nprint(2)\n\n# %%\nimport matplotlib.pyplot as plt\n\nplt.plot([1, 2]);\n"
    lesson.path.write_text(text, encoding="utf-8")
    book = lesson.build("student")
    seconds = build.execute(book, lesson.path.parents[1], "student")
    assert 0 < seconds < build.LIMIT
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count is None for cell in code)
    assert code[1].outputs[0]["data"]["text/plain"] in ("3", "np.int64(3)")
    assert code[3].outputs[0]["text"] == "1\n2\n"
    assert "image/png" in code[4].outputs[-1]["data"]
    write(lesson, "student", book)
    assert drift(lesson) == []


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import time; time.sleep(60)", "longer than its 3 seconds"),
        ("import sys; print('oh', file=sys.stderr)", "standard error"),
    ],
)
def test_an_error_a_warning_or_too_long_a_time_fails(lesson, monkeypatch, cell, words):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setattr(Lesson, "_exercise", lambda *arguments: [])
    lesson.path.write_text(f"# %%\n{cell}\n", encoding="utf-8")
    with pytest.raises(BuildError, match=words):
        build.execute(lesson.build("student"), lesson.path.parents[1], "student", limit=3 if "sleep" in cell else 60)


@pytest.mark.parametrize(
    "cell",
    [
        "# %%\nshow_source(Softmax.forward, Softmax.backward)",
        "# %% [markdown]\n# As in `y * (dy - (dy * y).sum(axis=-1, keepdims=True))`.",
        "# %%\ng = p * (dp - (dp * p).sum(axis=-1, keepdims=True))",
    ],
)
def test_an_answer_above_its_stub_is_refused(lesson, cell):
    stub = '# %% exercise="softmax_backward"\n'
    lesson.path.write_text(SCRIPT.replace(stub, f"{stub}\n{cell}\n"), encoding="utf-8")
    lesson.build("student")
    lesson.path.write_text(SCRIPT.replace(stub, f"{cell}\n\n{stub}"), encoding="utf-8")
    with pytest.raises(BuildError, match="above the stub of 'softmax_backward' stands its answer"):
        lesson.build("student")


def test_what_is_for_the_teacher_is_in_the_solved_notebook_alone(lesson):
    lesson.path.write_text(SCRIPT + '\n# %% [markdown] tags=["teacher"]\n# The answer: 3.\n', encoding="utf-8")
    assert "The answer: 3." in sources(lesson.build("solved"))
    assert "The answer: 3." not in sources(lesson.build("student"))
    lesson.path.write_text(SCRIPT + '\n# %% tags=["techer"]\n1\n', encoding="utf-8")
    with pytest.raises(BuildError, match="the tag 'techer'"):
        lesson.build("student")


def test_asserts_run_at_build_and_are_not_in_the_notebook(lesson, monkeypatch):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setattr(Lesson, "_exercise", lambda *arguments: [])
    text = SCRIPT + '\n# %% tags=["assert"]\nassert np.arange(3).sum() == SUM\n'
    lesson.path.write_text(text.replace("SUM", "3"), encoding="utf-8")
    book = lesson.build("student", asserts=True)
    build.execute(book, lesson.path.parents[1], "student")
    assert sources(book) == sources(lesson.build("student"))
    write(lesson, "student", book)
    assert drift(lesson) == []
    lesson.path.write_text(text.replace("SUM", "4"), encoding="utf-8")
    with pytest.raises(BuildError, match="AssertionError"):
        build.execute(lesson.build("student", asserts=True), lesson.path.parents[1], "student")
    again = '# %% tags=["assert"]\nassert hidden == 3\n'
    lesson.path.write_text(f'{SCRIPT}\n# %% tags=["assert"]\nhidden = 3\n\n{again}', encoding="utf-8")
    build.execute(lesson.build("student", asserts=True), lesson.path.parents[1], "student")
    text = SCRIPT + '\n# %% tags=["assert"]\nhidden = 3\n\n# %%\nhidden\n'
    lesson.path.write_text(text, encoding="utf-8")
    with pytest.raises(BuildError, match="NameError"):
        build.execute(lesson.build("student", asserts=True), lesson.path.parents[1], "student")


LESSONS = sorted((NOTEBOOKS / "lessons").glob("[0-9][0-9]*_*.py"))
README = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")


def table(heading):
    """The rows of the table in notebooks/README.md whose first column has this heading."""
    _, _, text = README.partition(f"| {heading} |")
    rows = text.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_teachers_table_has_every_lesson_and_the_sums_of_its_exercises():
    from minitransformer.course.exercises import exercises

    wanted = []
    for path in LESSONS:
        own = [e for e in exercises().values() if e.lesson == Lesson(path).number]
        count = f"{len(own)} ({sum(e.backward for e in own)})"
        core, rest = (sum(e.minutes for e in own if e.optional == optional) for optional in (False, True))
        minutes = f"{core} + {rest}" if rest else f"{core}"
        wanted.append([Lesson(path).number, count, f"{sum(e.difficulty for e in own)}", minutes])
    assert [[row[0].split()[0], *row[2:5]] for row in table("notebook")] == wanted


def test_a_lesson_is_planned_for_45_to_75_minutes_a_sitting_and_the_capstone_needs_nothing_optional():
    for row in table("notebook"):
        if not row[0].startswith("12"):
            assert all(45 <= int(minutes) <= 75 for minutes in row[5].split(" and ")), row
            assert sum(map(int, row[5].split(" and "))) > int(row[4].split(" + ")[0]), row
    from minitransformer.course.capstone import PIECES
    from minitransformer.course.exercises import exercises

    assert not [name for name in PIECES if exercises()[name].optional]


def test_the_lessons_are_numbered_without_a_gap():
    numbers = sorted({int(path.name[:2]) for path in LESSONS})
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert len({Lesson(path).number for path in LESSONS}) == len(LESSONS)


WITH_A_BUG = [path for path in LESSONS if "find the bug" in path.read_text(encoding="utf-8").lower()]


def test_every_lesson_has_a_bug_to_find_but_the_capstone_and_its_neighbours():
    assert {path.stem[:3].rstrip("_") for path in set(LESSONS) - set(WITH_A_BUG)} == {"09b", "12", "13"}


@pytest.mark.parametrize("path", WITH_A_BUG, ids=lambda path: path.stem)
def test_a_bug_to_find_is_in_the_museum_and_its_thread_in_the_lesson(path):
    text = path.read_text(encoding="utf-8")
    rows = [row for row in table("lesson") if row[0] == Lesson(path).number]
    assert rows, "notebooks/README.md: the museum of errors has no row of this lesson"
    for row in rows:
        assert all(row)
        assert any(thread in text for thread in row[4].replace(";", ",").split(", ")), row[4]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_lesson_uses_the_name_of_an_exercise_for_something_else(path):
    """All of a student's notebooks are graded together: the last one that binds a name counts."""
    from minitransformer.course.exercises import exercises
    from minitransformer.course.grading import bound

    book = Lesson(path).build("student")
    code = [cell for cell in book.cells if cell.cell_type == "code" and cell.id.split("-")[1] != "exercise"]
    assert set(bound([cell.source for cell in code])) & set(exercises()) == set()


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_asserts_draw_no_numbers_from_the_notebooks_generator(path):
    cells = re.findall(r'# %% tags=\["assert"\]\n(.*?)(?=\n# %%|\Z)', path.read_text(encoding="utf-8"), re.DOTALL)
    assert not [cell for cell in cells if re.search(r"\brng\b", cell)]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_answer_stands_above_its_stub(path):
    Lesson(path).build("student")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_committed_notebooks_are_what_their_lessons_make(path):
    assert drift(Lesson(path)) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_its_headings_and_all_of_its_exercises(path):
    from minitransformer.course.exercises import exercises

    text = path.read_text(encoding="utf-8").lower().replace("’", "'")
    for heading in ("what you'll do", "what you'll learn", "what you'll need", "on your own"):
        assert heading in text, heading
    number = Lesson(path).number
    for name in (name for name, exercise in exercises().items() if exercise.lesson == number):
        assert f'# %% exercise="{name}"' in text


def test_the_student_notebooks_are_small():
    assert sum(Lesson(path).target("student").stat().st_size for path in LESSONS) < build.MOST_BYTES
