"""What students hand in, as editors save it and IPython reads it: graded, or answered with a reason."""

import json

import pytest

from minitransformer.course.cells import code_cells
from minitransformer.course.grading import Limits, grade, submissions

pytest.importorskip("IPython")

from .test_grading import ALL, GOOD, IMPORTS, NAME, OTHER, answer, hand_in, marks, notebook

BODY = "return y * (dy - (dy * y).sum(axis=-1, keepdims=True))"
RIGHT = answer(BODY)
MINE = RIGHT.replace(NAME, "mine")


@pytest.mark.parametrize(
    "cell",
    [
        f"%%time\n{RIGHT}",
        f"%%timeit -n 1\n{RIGHT}",
        f"%%capture out\n{RIGHT}",
        f"%%prun -q\n{RIGHT}",
        f"%%time\n%%capture\n{RIGHT}",
        f"%matplotlib inline\n{RIGHT}",
        f"!pip install numpy\nfiles = !ls\nt = %timeit -o 1 + 1\n{RIGHT}",
        f"{RIGHT}\n\n{NAME}?",
        f"np.sum??\n{RIGHT}",
        f"{RIGHT}\n\nresult = await later()\ndisplay({NAME});",
        f"{RIGHT};",
        answer(f"%timeit 1\n!ls\nfiles = !ls\ndisplay(y)\n{BODY}"),
        f"%load_ext autoreload\n%autoreload 2\n{RIGHT}",
    ],
)
def test_what_ipython_understands_costs_no_marks(tmp_path, cell):
    result = marks(tmp_path, cell)
    assert result[NAME], result[NAME]
    assert result[OTHER]


def test_cells_in_other_languages_are_skipped(tmp_path):
    result = marks(tmp_path, "%%bash\nrm -rf everything", "%%html\n<b>", "%%writefile a.py\n1 / 0", RIGHT, "f = ")
    assert result[NAME], result[NAME]


def test_the_statement_that_is_timed_counts(tmp_path):
    assert marks(tmp_path, "%time AXIS = -1", RIGHT.replace("axis=-1", "axis=AXIS"))[NAME]


@pytest.mark.parametrize(
    "cells",
    [
        [MINE, f"{NAME} = mine"],
        [f"{NAME} = lambda dy, y: y * (dy - np.sum(dy * y, axis=-1, keepdims=True))"],
        [f"def same(f):\n    return f\n\n@same\n{RIGHT}"],
        [f"import functools\n{MINE}\n{NAME} = functools.partial(mine)"],
        [f"import functools\n{MINE}\nhalf = functools.partial(mine)\n{NAME} = half"],
        [f"def {NAME}(dy, y, axis=-1, *, keep=True):\n    return y * (dy - (dy * y).sum(axis=axis, keepdims=keep))"],
        ["if True:\n    " + RIGHT.replace("\n", "\n    ")],
        ["if __name__ == '__main__':\n    " + RIGHT.replace("\n", "\n    ")],
        ["try:\n    " + RIGHT.replace("\n", "\n    ") + "\nexcept Exception:\n    pass"],
        ["try:\n    import numpy as np\nexcept ImportError:\n    np = None", RIGHT],
        ["this is no Python", RIGHT, "def other(:"],
        [answer("return y"), RIGHT],
        [answer("return 1 +"), RIGHT],
        [f"class Mine:\n    def __call__(self, dy, y):\n        {BODY}\n{NAME} = Mine()"],
        [f"{NAME}: object = lambda dy, y: y * (dy - (dy * y).sum(axis=-1, keepdims=True))"],
        [ALL[NAME].stub, RIGHT],
    ],
)
def test_a_function_may_be_handed_in_in_any_form(tmp_path, cells):
    result = marks(tmp_path, *cells)
    assert result[NAME], result[NAME]
    assert result[OTHER]


@pytest.mark.parametrize(
    ("cells", "stage", "words"),
    [
        ([RIGHT, answer("return 1 +")], "exception", "SyntaxError in line 2"),
        ([RIGHT, answer("return y")], "value", ""),
        ([f"@unknown\n{RIGHT}"], "exception", "NameError where it is defined"),
        ([f"{NAME} = missing"], "exception", "NameError where it is defined"),
        ([f"{NAME} = 3"], "type", "int is no function"),
        ([f"async {RIGHT}"], "type", ""),
        ([f"if False:\n    {RIGHT}".replace("\n    return", "\n        return")], "name", "no function"),
        ([f"x = {NAME}"], "name", "not handed in"),
        ([ALL[NAME].stub], "stub", "as it was handed out"),
    ],
)
def test_what_does_not_work_is_answered_with_a_reason(tmp_path, cells, stage, words):
    result = marks(tmp_path, *cells)
    assert result[NAME].stage == stage, result[NAME]
    assert words in result[NAME].message
    assert result[OTHER]


def cells_of(book):
    return [{key: value for key, value in cell.items() if key != "execution_count"} for cell in book["cells"]]


def as_format_3(book):
    cells = [{"cell_type": "code", "language": "python", "input": c["source"], "outputs": []} for c in book["cells"]]
    cells.append({"cell_type": "heading", "level": 1, "source": "x"})
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}


def as_colab(book):
    cells = [{**cell, "metadata": {"id": "x1"}, "source": cell["source"].splitlines(True)} for cell in cells_of(book)]
    return {**book, "nbformat_minor": 0, "metadata": {"colab": {"provenance": []}}, "cells": cells}


def as_vs_code(book):
    cells = [{**cell, "metadata": {"vscode": {"languageId": "python"}}} for cell in cells_of(book)]
    return {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 2}


def with_outputs(book):
    image = {"output_type": "display_data", "data": {"image/png": "A" * 10_000_000}, "metadata": {}}
    return {**book, "cells": [{**cell, "outputs": [image] * 5} for cell in book["cells"]]}  # 100 MB


@pytest.mark.parametrize("change", [as_format_3, as_colab, as_vs_code, with_outputs])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_notebooks_of_every_editor_are_read(tmp_path, change, mark):
    book = change(json.loads(notebook(IMPORTS, RIGHT)))
    path = tmp_path / "student.ipynb"
    path.write_bytes(mark + json.dumps(book).encode())
    assert [cell.strip() for cell in code_cells(path)] == [IMPORTS, RIGHT]
    if change is as_format_3:
        (submission,) = submissions(tmp_path)
        assert grade(submission, [NAME], Limits(), seed=1)[NAME]


def test_the_last_notebook_that_defines_it_counts(tmp_path):
    hand_in(tmp_path, "student", RIGHT)
    (tmp_path / "student" / "05.ipynb").write_text(notebook(IMPORTS, GOOD), encoding="utf-8")
    (submission,) = submissions(tmp_path)
    assert all(grade(submission, [NAME, OTHER], Limits(), seed=1).values())
