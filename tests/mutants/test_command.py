"""`python -m tests.mutants`: its table, its total, its exit status."""

import json

import pytest

from minitransformer.layers import Linear

from . import MUTANTS, Edit, Mutant
from . import __main__ as command
from .__main__ import main


def test_the_table_names_mutant_place_check_and_reason(capsys):
    assert main(["--only", "Noam"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "Rejected by: schedules are what their formulas say, step by step"
    row = next(i for i, line in enumerate(lines) if line.startswith("  Noam grows with the width"))
    assert lines[row].endswith("Noam.__call__")
    assert lines[row + 1] == "      AssertionError: Noam at step 1: off by 3"
    assert lines[-1] == "5 of 5 mutants rejected (100 %); correct code passes 1 of 1 checks."
    assert err == ""


def test_lines_fit_a_hundred_columns(capsys):
    assert main(["--only", "greedy"]) == 0
    assert all(len(line) <= 100 for line in capsys.readouterr().out.splitlines())


def test_every_name_fits_beside_its_place():
    assert all(len(mutant.name) + len(mutant.where()) <= 96 for mutant in MUTANTS)


def test_json_is_the_last_line(capsys):
    assert main(["--only", "momentum", "--first", "1", "--json"]) == 0
    wanted = {"mutants": 1, "rejected": 1, "survivors": [], "checks": 1, "failing_checks": []}
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == wanted


def test_a_mutant_that_survives_is_shown_as_a_diff_and_fails_the_command(capsys, monkeypatch):
    harmless = Mutant("harmless", (Edit(Linear, "backward", "dx.reshape(x.shape)", "dx.reshape(*x.shape)"),), "Linear")
    monkeypatch.setattr(command, "MUTANTS", [harmless])
    assert main([]) == 1
    out = capsys.readouterr().out
    assert "NOT REJECTED: harmless\n  Linear.backward\n- dx.reshape(x.shape)\n+ dx.reshape(*x.shape)" in out
    assert "0 of 1 mutants rejected (0 %)" in out


def test_a_mutant_whose_line_is_gone_counts_as_not_rejected_and_says_so(capsys, monkeypatch):
    stale = Mutant("stale", (Edit(Linear, "backward", "no such line", "pass"),), "Linear")
    monkeypatch.setattr(command, "MUTANTS", [stale])
    assert main([]) == 1
    assert "NOT REJECTED: stale\nLinear.backward holds 'no such line' 0 times" in capsys.readouterr().out


def test_correct_code_that_fails_a_check_fails_the_command(capsys, monkeypatch):
    monkeypatch.setattr(command, "verdict", lambda check, seed: "AssertionError: off by 3")
    assert main(["--only", "momentum", "--first", "1"]) == 1
    out = capsys.readouterr().out
    assert "CORRECT CODE FAILS: SGD is what its formula says, number by number\n    AssertionError: off by 3" in out
    assert "correct code passes 0 of 1 checks" in out


@pytest.mark.parametrize("word", ["no such word"])
def test_a_word_that_no_mutant_has_is_refused(capsys, word):
    with pytest.raises(SystemExit, match="2"):
        main(["--only", word])
    assert "none of the" in capsys.readouterr().err
