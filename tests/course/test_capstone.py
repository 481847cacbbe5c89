"""The capstone: functions are collected without loss, right files pass all gates, and wrong ones are told why not."""

import json
import time
from pathlib import Path

import pytest

from minitransformer.course import capstone, grading
from minitransformer.course.capstone import (
    GATES,
    LAYER_REFERENCE,
    MISTAKES,
    REFERENCE,
    CollectError,
    collect,
    collected,
    functions,
    gate,
)
from minitransformer.course.exercise import TODO
from minitransformer.course.exercises import exercises
from minitransformer.course.grading import Limits, grade_gates, submissions

from ..extent import exhaustive

QUICK = (1, 2, 3)  # gates that train nothing


def run_gate(number, text, tmp_path):
    path = tmp_path / "my_transformer.py"
    path.write_text(text, encoding="utf-8")
    return gate(number, path)


def cells():
    """The reference as cells of a notebook: a function each."""
    nodes = functions(REFERENCE).values()
    lines = REFERENCE.splitlines()
    return ["import numpy as np\n\nPAD, EPS = 0, 1e-5"] + ["\n".join(lines[n.lineno - 1 : n.end_lineno]) for n in nodes]


def notebook(path, sources):
    book = {
        "cells": [{"cell_type": "code", "source": s, "metadata": {}, "outputs": []} for s in sources],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(book), encoding="utf-8")


@pytest.mark.parametrize("number", [pytest.param(number, marks=exhaustive if number == 5 else ()) for number in GATES])
def test_the_solution_passes_every_gate_in_time(number, tmp_path):
    began = time.process_time()
    result = run_gate(number, LAYER_REFERENCE if number == 6 else REFERENCE, tmp_path)
    assert result, result
    assert time.process_time() - began < 60


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.reason[:50])
def test_a_gate_rejects_each_mistake_and_says_its_reason(mistake, tmp_path, monkeypatch):
    monkeypatch.setattr(capstone, "TRANSLATOR_STEPS", 60)  # what decoding is given does not matter
    monkeypatch.setattr(capstone, "RIGHT", 0)
    result = run_gate(mistake.gate, mistake.text, tmp_path)
    assert not result
    assert result.stage in ("value", "shape"), result
    if "alignment" not in mistake.reason:
        assert mistake.reason in result.message, result


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.reason[:50])
def test_a_mistake_is_no_matter_for_the_forward_gate_where_only_backward_or_training_has_it(mistake, tmp_path):
    result = run_gate(2, mistake.text, tmp_path)
    assert bool(result) == (mistake.gate > 2), result


def test_other_forms_of_the_same_functions_pass(tmp_path):
    others = {
        "return np.tri(length, dtype=bool)": "t = np.arange(length)\n    return t[:, None] >= t",
        "scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5": (
            "scores = np.einsum('bhtd,bhsd->bhts', q, k) / np.sqrt(q.shape[-1])"
        ),
        "return x.swapaxes(1, 2).reshape(B, T, H * d)": ("return np.concatenate([x[:, h] for h in range(H)], axis=-1)"),
        'np.maximum(linear(p, f"{name}.up_proj", x), 0)': 'relu(linear(p, f"{name}.up_proj", x))',
        "d_memory = decode_backward(p, g, d_logits, decoded)\n": (
            "d_memory = decode_backward(p, g, d_logits, decoded) * 1\n"
        ),
    }
    text = REFERENCE + "\n\ndef relu(x):\n    return x * (x.real > 0)\n"
    for old, new in others.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    for number in QUICK:
        assert (result := run_gate(number, text, tmp_path)), result


@pytest.mark.parametrize("number", GATES)
def test_a_gate_says_what_is_missing_and_needs_no_other_gate(number, tmp_path):
    assert run_gate(number, "import numpy as np\n", tmp_path).stage == "missing"
    assert gate(number, tmp_path / "nowhere.py").stage == "missing"
    assert run_gate(number, "def forward(:\n", tmp_path).stage == "exception"


def test_a_layer_of_the_package_or_another_library_is_no_part_of_the_file(tmp_path):
    for line in ("from minitransformer.layers import Softmax", "import torch", "from . import x", "import importlib"):
        result = run_gate(2, REFERENCE.replace("import numpy as np", f"import numpy as np\n{line}"), tmp_path)
        assert result.stage == "type"
        assert "NumPy alone" in result.message


def test_an_error_of_the_student_is_told_with_its_line(tmp_path):
    result = run_gate(2, REFERENCE.replace("weights = softmax(", "weights = softmaxx("), tmp_path)
    assert result.stage == "exception"
    assert any("softmaxx" in text for _, text in result.details), result


def test_what_a_forward_returns_must_be_an_output_and_a_cache(tmp_path):
    text = REFERENCE.replace(
        'return linear(p, f"{name}.output", merged), (x,', 'return linear(p, f"{name}.output", merged) #'
    )
    assert "two things" in run_gate(2, text, tmp_path).message


def test_a_forward_that_drops_the_imaginary_part_is_named(tmp_path):
    text = REFERENCE.replace(
        "    return logits, (encoded, decoded)", "    return logits.real.copy(), (encoded, decoded)"
    )
    assert "imaginary" in run_gate(3, text, tmp_path).message


def test_a_variance_that_takes_absolute_values_is_named(tmp_path):
    old = "(centred**2).mean(axis=-1, keepdims=True)"
    text = REFERENCE.replace(old, "x.var(axis=-1, keepdims=True)")
    assert run_gate(2, text, tmp_path)
    assert "uses var" in run_gate(3, text, tmp_path).message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("class GatedLinear(Layer)", "class GatedLinear", "inherits from Layer"),
        ("self.gate = Parameter", "self.gates = Parameter", "gates (3, 5)"),
        ("size = (in_features, out_features)", "size = (out_features, in_features)", "weight (5, 3)"),
        (
            "rng.standard_normal(size) * in_features**-0.5)\n        self.gate",
            "np.ones(size))\n        self.gate",
            "rng",
        ),
        (", Cache(x=x, linear=linear, opened=opened)", "", "two things"),
        ("return linear * opened,", "return linear + opened,", "y, for x (7, 3)"),
        ("linear = x @", "linear = x.copy() @", ""),
        ("* (1 - opened)", "", "dx, for x (7, 3)"),
        ("return d_linear @ self.weight.value.T +", "return", "dx, for x (7, 3)"),
        ("self.weight.grad +=", "self.weight.grad[...] =", "add to grad"),
        ("rows.T @ d_linear.reshape(-1, d_linear.shape[-1])", "x.T @ d_linear", "matmul"),
        ("return d_linear @", "dy *= 2\n        return d_linear @", "changes dy"),
        ("return d_linear @", "linear *= 2\n        return d_linear @", "changes cache"),
        ("opened = 1 / (1", "opened = np.ones(1) / (1", "float32"),
        ("linear = x @ self.weight.value\n", "linear = (x @ self.weight.value).real\n", "Complex numbers"),
    ],
)
def test_a_layer_that_breaks_the_contract_is_told_how(old, new, says, tmp_path):
    assert LAYER_REFERENCE.count(old) >= 1, old
    result = run_gate(6, LAYER_REFERENCE.replace(old, new, 1), tmp_path)
    assert bool(result) == (says == ""), result
    assert says in repr(result), result


def test_a_layer_that_keeps_what_a_call_computes_is_told_so(tmp_path):
    text = LAYER_REFERENCE.replace("linear = x @", "self.x = x\n        linear = x @")
    text = text.replace('x, linear, opened = cache["x"]', "x, linear, opened = self.x")
    assert "is anything of a call in self?" in run_gate(6, text, tmp_path).message


def test_the_stub_of_the_layer_has_its_contract_and_no_answer():
    stub = capstone.handed_out(["GatedLinear"], kind="student")
    assert stub.count(TODO) == 3
    assert "in_features, out_features" in stub
    assert "opened" not in stub
    compile(stub, "stub", "exec")


def test_functions_are_collected_from_notebooks_and_the_running_one(tmp_path, capsys):
    sources = cells()
    notebook(tmp_path / "04_self_attention.ipynb", ["%matplotlib inline", *sources[:12]])
    path = tmp_path / "my_transformer.py"
    collect(tmp_path, path=path, cells=[*sources[12:], "PAD, EPS = 0, 1e-5", "import numpy as np", LAYER_REFERENCE])
    assert "missing" not in capsys.readouterr().out
    for number in QUICK:
        assert gate(number, path)
    assert functions(path.read_text()).keys() == functions(REFERENCE).keys()


def test_stubs_are_missing_or_filled_from_the_solution_and_the_last_definition_counts(tmp_path):
    stub = f"def causal_mask(length):\n    {TODO}"
    text, missing = collected([("08", [stub]), ("09", ["def causal_mask(length):\n    return 1"]), ("10", [stub])])
    assert "causal_mask" not in missing
    assert "return 1" in text
    assert "greedy" in missing
    text, missing = collected([("08", [stub])], fill="all")
    assert not missing
    assert functions(text).keys() == functions(REFERENCE).keys()
    assert text.count(capstone.FROM_REFERENCE) == len(functions(REFERENCE)) + 1
    assert run_gate(6, text, tmp_path)
    text, missing = collected([], fill="pieces")
    wanted = [name for name in functions(REFERENCE) if name not in (*capstone.PIECES, "softmax")]
    assert missing == [*wanted, "GatedLinear"]
    assert run_gate(1, text, tmp_path)
    with pytest.raises(ValueError, match="fill='everything'"):
        collected([], fill="everything")


def test_helpers_and_constants_come_along_and_two_of_one_name_are_refused():
    one = ["SIZE = 3\n\ndef helper(x):\n    return x * SIZE", "def causal_mask(length):\n    return helper(length)"]
    text, _ = collected([("08", one)])
    namespace = {}
    exec(text, namespace)
    assert namespace["causal_mask"](2) == 6
    other = ["def helper(x):\n    return x", "def merge_heads(x):\n    return helper(x)"]
    with pytest.raises(CollectError, match="helper is defined in 09 and, differently, in 08"):
        collected([("08", one), ("09", other)])


def test_a_file_that_was_edited_or_would_lose_a_function_is_kept(tmp_path, capsys):
    path, sources = tmp_path / "my_transformer.py", cells()
    collect(tmp_path, path=path, cells=sources)
    collect(tmp_path, path=path, cells=sources)
    assert list(tmp_path.glob("*.backup*")) == []
    path.write_text(path.read_text() + "# my own line\n")
    collect(tmp_path, path=path, cells=sources)
    assert "# my own line" in (tmp_path / "my_transformer.backup.py").read_text()
    collect(tmp_path, path=path, cells=sources[:-1])
    assert "def alignment" in (tmp_path / "my_transformer.backup2.py").read_text()
    assert "is now my_transformer.backup2.py" in capsys.readouterr().out


def test_the_museum_runs_a_mistake_without_naming_it():
    result = gate(2, mistake=0)
    assert not result
    assert result.message == "This gate rejects it."
    assert gate(2, mistake=len(MISTAKES) - 1)


def test_a_stub_of_a_cell_has_shapes_and_no_answer_and_the_solved_one_is_the_reference():
    stub, whole = (capstone.handed_out(["greedy", "alignment"], kind) for kind in ("student", "solved"))
    assert stub.count(TODO) == 2
    assert "argmax" not in stub
    assert "ids" in stub
    assert whole in REFERENCE


@pytest.mark.parametrize("mistake", [None, 0])
def test_the_toy_task_is_learned_with_heads_that_are_split_wrongly_too(mistake):
    losses = capstone.toy_losses(mistake, n_steps=60)
    assert losses[-1] < losses[0] - 1


@exhaustive
def test_solved_notebooks_or_the_file_are_graded_by_gates_and_stubs_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(capstone, "TRANSLATOR_STEPS", 60)
    monkeypatch.setattr(capstone, "TOY_STEPS", 60)
    monkeypatch.setattr(capstone, "RIGHT", 0)
    monkeypatch.setattr(capstone, "ENOUGH", 0.0)
    for student in ("able", "filed", "begun", "absent"):
        (tmp_path / student).mkdir()
    notebook(tmp_path / "able" / "12_capstone.ipynb", [*cells(), LAYER_REFERENCE])
    filed = collected([("12", [*cells(), LAYER_REFERENCE])])[0]
    (tmp_path / "filed" / "my_transformer.py").write_text(filed, encoding="utf-8")
    stubs = [capstone.handed_out([*functions(REFERENCE), "GatedLinear"], "student")]
    notebook(tmp_path / "begun" / "12_capstone.ipynb", stubs)
    notebook(tmp_path / "absent" / "04.ipynb", ["x = 1"])
    results = {s.student: grade_gates(s, 1, Limits()) for s in submissions(tmp_path)}
    assert all(results["able"].values()), results["able"]
    assert all(results["filed"].values()), results["filed"]
    assert not any(results["begun"].values())
    assert {result.stage for result in results["absent"].values()} == {"name"}


@exhaustive
def test_an_endless_loop_in_the_file_is_a_zero_for_its_gates_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "GATE_SECONDS", 2.0)
    monkeypatch.setattr(grading, "GATES", {1: "", 2: ""})
    text = REFERENCE.replace("    memory, encoded = encode(p, source, n_heads)\n", "    while True:\n        pass\n")
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "my_transformer.py").write_text(text, encoding="utf-8")
    (submission,) = submissions(tmp_path)
    results = grade_gates(submission, 1, Limits())
    assert results["gate_1"]
    assert results["gate_2"].stage == "limit"


@pytest.mark.parametrize(("kind", "missing"), [("solved", 0), ("student", None)])
def test_the_notebooks_of_the_course_give_the_whole_file_once_they_are_solved(kind, missing, tmp_path):
    pytest.importorskip("jupytext")
    from minitransformer.course.build import lessons

    folder = Path(__file__).parents[2] / "notebooks"
    for lesson in lessons(folder):
        code = [cell.source for cell in lesson.build(kind).cells if cell.cell_type == "code"]
        notebook(tmp_path / f"{lesson.name}.ipynb", code)
    path = tmp_path / "my_transformer.py"
    collect(tmp_path, path=path, cells=[])
    written = functions(path.read_text(encoding="utf-8")).keys()
    if missing is None:  # what the capstone gives is all that there is before any work
        assert written == {"softmax", "linear", "linear_backward", "blocks", "embedding", "new_parameters"}
        return
    assert written >= functions(REFERENCE).keys()
    for number in (*QUICK, 6):
        assert (result := gate(number, path)), result


def test_no_function_of_the_capstone_has_the_name_of_an_exercise_that_it_is_not():
    assert set(functions(REFERENCE)) & set(exercises()) == set(capstone.PIECES)
