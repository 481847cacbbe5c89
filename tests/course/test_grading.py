"""`grade`: marks that hostile submissions can neither crash, nor hang, nor forge."""

import csv
import json
import os
import sys

import numpy as np
import pytest

from minitransformer.cli import main
from minitransformer.course import grading
from minitransformer.course.attempts import Attempt
from minitransformer.course.cells import code_cells
from minitransformer.course.exercises import exercises
from minitransformer.course.grading import Limits, grade, submissions
from minitransformer.course.worker import decode, decode_attempt, encode, encode_attempt

from ..extent import exhaustive, extent

if sys.platform == "emscripten":
    pytest.skip("WebAssembly has no processes", allow_module_level=True)

NAME, OTHER = "softmax_backward", "split_heads"
ALL = exercises()
GOOD = ALL[OTHER].source
IMPORTS = "import numpy as np\nfrom minitransformer.course import check, hint, show_solution"
posix = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")


def notebook(*cells):
    code = [
        {"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None} for cell in cells
    ]
    return json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def hand_in(folder, student, *cells):
    (folder / student).mkdir()
    (folder / student / "04.ipynb").write_text(notebook(IMPORTS, *cells), encoding="utf-8")


def marks(folder, *cells, seconds=3.0, total=100.0):
    """The results of one student who handed in these cells, and whose other exercise is right."""
    hand_in(folder, "student", *cells, GOOD)
    (submission,) = submissions(folder)
    return grade(submission, [NAME, OTHER], Limits(seconds, total), seed=1)


def answer(body):
    return f"def {NAME}(dy, y):\n    " + body.replace("\n", "\n    ")


def test_solutions_are_right_and_stubs_are_not(tmp_path):
    hand_in(tmp_path, "able", ALL[NAME].source, GOOD)
    hand_in(tmp_path, "begun", ALL[NAME].stub, GOOD)
    able, begun = (grade(s, [NAME, OTHER], Limits(), seed=1) for s in submissions(tmp_path))
    assert all(able.values())
    assert [result.stage for result in begun.values()] == ["stub", "pass"]


def test_a_value_of_the_same_name_in_another_notebook_does_not_hide_a_function(tmp_path):
    hand_in(tmp_path, "able", ALL[NAME].source)
    (tmp_path / "able" / "07.ipynb").write_text(notebook(f"{NAME} = 3"), encoding="utf-8")
    (submission,) = submissions(tmp_path)
    assert grade(submission, [NAME], Limits(), seed=1)[NAME]


THREADS = "import threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\nreturn y"
MEMORY = "rows = []\nwhile True: rows.append(bytearray(10**7))"
DISK = "open('filler', 'wb').write(bytes(10**9))\nreturn y"


@pytest.mark.parametrize(
    ("body", "stages"),
    [
        ("return -1", {"type"}),
        pytest.param("return y * dy", {"value"}, marks=exhaustive),
        ("import os; os._exit(0)", {"exception"}),
        pytest.param("import sys; sys.exit(0)", {"exception"}, marks=exhaustive),
        ("while True: pass", {"limit"}),
        pytest.param("import time\ntime.sleep(1000)", {"limit"}, marks=exhaustive),
        pytest.param("return np.ones(10**11)", {"exception"}, marks=posix),
        pytest.param(
            "rows = []\nwhile True: rows.append(bytearray(10**7))", {"exception", "limit"}, marks=[posix, exhaustive]
        ),
        pytest.param("import os\nos.kill(os.getpid(), 9)", {"exception", "limit"}, marks=[posix, exhaustive]),
        pytest.param("import ctypes\nctypes.string_at(0)", {"exception"}, marks=exhaustive),
        (f"return {NAME}(dy, y)", {"exception"}),
        pytest.param("rows = []\nrows.append(rows)\nreturn rows", {"exception"}, marks=exhaustive),
        ("return iter(int, 1)", {"type"}),
        pytest.param("return np.array([object()])", {"type"}, marks=exhaustive),
        pytest.param(
            "import threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\nreturn y",
            {"value"},
            marks=exhaustive,
        ),
        pytest.param("print('x' * 10**8)\nreturn y", {"value"}, marks=exhaustive),
        pytest.param(
            "open('filler', 'wb').write(bytes(10**9))\nreturn y", {"exception", "limit"}, marks=[posix, exhaustive]
        ),
        ("from minitransformer.course.exercises import find\nreturn 1", {"exception"}),
        ("raise NotImplementedError", {"stub"}),
        ("return 1 +", {"exception"}),
    ],
)
def test_a_bad_answer_is_a_zero_for_its_exercise_and_nothing_else(tmp_path, body, stages):
    result = marks(tmp_path, answer(body))
    assert result[NAME].stage in stages, result[NAME]
    assert result[OTHER], result[OTHER]


PASSED = '[{"output": {"plain": null}, "stage": "pass", "message": "", "details": [], "changed": []}]'
FORGERIES = [
    f"open('answer.json', 'w').write({PASSED!r}); import os; os._exit(0)",
    "import os; os.symlink('/dev/zero', 'answer.json'); os._exit(0)",
    "import os; os.mkfifo('answer.json'); os._exit(0)",
    "import os; os.mkdir('answer.json'); os._exit(0)",
    "import minitransformer.course as c; c.judge = c.check = lambda *a: True",
    "import builtins; builtins.all = lambda x: True; builtins.any = lambda x: False",
    "np.argmax = np.isfinite = np.abs = lambda *a, **k: 0",
    "import sys\nfor m in list(sys.modules.values()):\n    setattr(m, 'compare', lambda *a: None)",
    "import os, glob\nfor p in glob.glob('*'):\n    os.remove(p)",
    "open('answer.json', 'w').write('[]'); import os; os._exit(0)",
    "open('answer.json', 'w').write('[{\"stage\": \"pass\"}]'); import os; os._exit(0)",
    "open('answer.json', 'w').write('{' * 10**6); import os; os._exit(0)",
]


@pytest.mark.parametrize("trick", extent(FORGERIES[::4], FORGERIES))
def test_a_mark_cannot_be_forged_where_the_students_code_runs(tmp_path, trick):
    hand_in(tmp_path, "student", answer(f"{trick}\nreturn y"))
    (submission,) = submissions(tmp_path)
    assert not grade(submission, [NAME], Limits(3.0), seed=1)[NAME]


class Always:
    pass


def test_an_object_that_equals_everything_equals_nothing(tmp_path):
    everything = "class Yes:\n    def __eq__(self, other): return True\n    def __array__(self, *a): return self"
    assert not marks(tmp_path, everything, answer("return Yes()"))[NAME]


def test_helpers_and_constants_of_the_notebook_are_there_but_nothing_else_runs(tmp_path):
    cells = [
        "%matplotlib inline\nimport numpy as np",
        "!rm -rf everything",
        "%%timeit\n1 / 0",
        "import no_such_module",
        "AXIS = -1",
        "while True:\n    pass",
        "trained = np.ones(10**12)",
        "def row_sum(x):\n    return x.sum(axis=AXIS, keepdims=True)",
        "this is no Python",
        f"{answer('return y * (dy - row_sum(dy * y))')}\n\ncheck('{NAME}', {NAME})",
    ]
    assert marks(tmp_path, *cells)[NAME]


def test_the_last_definition_counts(tmp_path):
    assert marks(tmp_path, answer("return y"), ALL[NAME].source)[NAME]


def test_other_inputs_than_the_notebooks_own_are_used(tmp_path):
    case = ALL[NAME].cases(np.random.default_rng(0))
    table = {dy.tobytes(): ALL[NAME].solution(dy, y) for dy, y in case}
    assert table
    hand_in(tmp_path, "copied", answer("return TABLE[dy.tobytes()]"))
    (copied,) = submissions(tmp_path)
    assert not grade(copied, [NAME], Limits(), seed=1)[NAME]


def test_a_student_who_uses_up_the_total_time_gets_zeros_for_the_rest(tmp_path):
    result = marks(tmp_path, answer("while True: pass"), seconds=2.0, total=1.0)
    assert [r.stage for r in result.values()] == ["limit", "limit"]


def test_folders_and_files_are_submissions_and_checkpoints_are_not(tmp_path):
    hand_in(tmp_path, "b", GOOD)
    (tmp_path / "b" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "b" / ".ipynb_checkpoints" / "04-checkpoint.ipynb").write_text(notebook("old"), encoding="utf-8")
    (tmp_path / "a.ipynb").write_text(notebook(GOOD), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    found = submissions(tmp_path)
    assert [s.student for s in found] == ["a", "b"]
    assert [len(s.notebooks) for s in found] == [1, 1]


def test_a_file_that_is_no_notebook_is_told(tmp_path):
    for i, text in enumerate(("", "{", "[]", '{"cells": 3}', "[" * 100000)):
        (tmp_path / f"{i}.ipynb").write_text(text, encoding="utf-8")
    (tmp_path / "9.ipynb").write_bytes(b"\xff\xfe\x00")
    for submission in submissions(tmp_path):
        assert "no notebook" in submission.problems[0]
        assert not grade(submission, [NAME], Limits(), seed=1)[NAME]


def test_a_percent_that_is_no_magic_stays(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(notebook("x = (7\n% 4)", "%time\ny = 1"), encoding="utf-8")
    one, two = code_cells(path)
    assert one.strip() == "x = (7\n% 4)"
    namespace = {}
    exec(two, namespace)
    assert namespace["y"] == 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        float("inf"),
        "text",
        np.float32(2.5),
        np.array(3),
        np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
        np.array(["a", "bc"]),
        np.zeros((0, 3)),
        (np.ones(2), [1, {"a": np.ones(1)}]),
    ],
)
def test_outputs_travel_as_they_are(value):
    there = decode(json.loads(json.dumps(encode(value))))
    assert type(there) is type(value)
    if isinstance(value, (np.ndarray, np.generic)):
        assert there.dtype == value.dtype
        np.testing.assert_array_equal(there, value)
    else:
        assert repr(there) == repr(value)


def test_an_object_travels_by_its_name_alone():
    attempt = decode_attempt(json.loads(json.dumps(encode_attempt(Attempt(Always(), changed=(1,))))))
    assert type(attempt.output).__name__ == "Always"
    assert attempt.changed == (1,)


def test_the_command_writes_a_table_of_students_and_exercises(tmp_path, capsys):
    handed_in = tmp_path / "in"
    handed_in.mkdir()
    hand_in(handed_in, "able", *(e.source for e in ALL.values() if e.lesson == "05"))
    hand_in(handed_in, "=cmd()", ALL["split_heads"].source)
    options = ["--lesson", "5", "--out", str(tmp_path / "marks.csv"), "--reasons", str(tmp_path / "why.csv")]
    assert main(["grade", str(handed_in), *options]) == 0
    heading, *rows = csv.reader((tmp_path / "marks.csv").read_text(encoding="utf-8").splitlines())
    names = [name for name, exercise in ALL.items() if exercise.lesson == "05"]
    assert heading == ["student", *names, "total"]
    assert rows == [
        ["'=cmd()", *(str(int(name == "split_heads")) for name in names), "1"],
        ["able", *("1" for _ in names), str(len(names))],
    ]
    reasons = list(csv.reader((tmp_path / "why.csv").read_text(encoding="utf-8").splitlines()))
    assert ["'=cmd()", "output_backward", "name", "It was not handed in."] in reasons
    assert len(reasons) == 1 + len(names) - 1
    capsys.readouterr()


def test_the_command_refuses_a_folder_without_submissions(tmp_path, capsys):
    assert main(["grade", str(tmp_path / "none")]) == 2
    assert main(["grade", str(tmp_path)]) == 2
    assert "student.ipynb" in capsys.readouterr().err


def test_what_the_module_says_of_its_limits_is_there():
    assert "no sandbox" in (grading.__doc__ or "")
