"""The checks catch every injected bug, name the reason where they can, and pass what is correct."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from minitransformer import verify
from minitransformer.data import Batch
from minitransformer.layers import LayerNorm, Linear

from ..cases import CASES
from ..definitions import PROPERTIES
from ..extent import extent
from . import MUTANTS, Edit, Mutant, injected, rejected_by, verdict


# All of them with --exhaustive; without it one in four.
@pytest.mark.parametrize("mutant", MUTANTS[:: extent(4, 1)], ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_mutant_is_rejected(mutant):
    words = rejected_by(mutant)
    assert words, f"not caught by {mutant.check!r}:\n{mutant.diff()}"
    assert mutant.diagnosis in words


def test_correct_code_passes_the_very_checks_that_reject_the_mutants():
    # Every case and every property is run on the correct code in test_cases.py; here is one of each.
    assert {mutant.check for mutant in MUTANTS} <= {*CASES, *PROPERTIES}
    assert verdict("LayerNorm") == verdict("padding is invisible, and nothing else is") == ""


def test_names_of_mutants_differ():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 300


def test_a_mutant_is_taken_out_again_even_after_an_error():
    original = Linear.backward
    mutant = Mutant("sign", (Edit(Linear, "backward", "self.weight.grad +=", "self.weight.grad -="),), "Linear")
    seen = []

    def use():
        with injected(mutant):
            seen.append(Linear.backward)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use()
    assert seen != [original]
    assert Linear.backward is original


def test_several_edits_of_one_function_build_on_each_other():
    edits = (
        Edit(LayerNorm, "backward", ") * inv_std", ") * 2.0"),
        Edit(LayerNorm, "backward", ") * 2.0", ") * 3.0"),
    )
    original = LayerNorm.backward
    with injected(Mutant("twice", edits, "LayerNorm")):
        assert ") * 3.0" in LayerNorm.backward.mutated_source
    assert LayerNorm.backward is original


def test_a_property_is_mutated_and_is_a_property_again():
    batch = Batch((), np.array([[3, 0], [0, 0]]))
    mutant = Mutant("padding counted", (Edit(Batch, "n_tokens", "!= self.pad", ">= self.pad"),), "Linear")
    with injected(mutant):
        assert batch.n_tokens == 4
    assert batch.n_tokens == 1


def test_verify_imports_layers_alone():
    # So what concerns the rest of the package is not loaded by `minitransformer.verify`.
    for path in sorted(Path(verify.__file__).parent.glob("*.py")):
        imported = re.findall(r"^from (\.[.\w]*) import|^import (.*)", path.read_text(encoding="utf-8"), re.M)
        assert not any(re.search("tests|data|models|training|decoding", name) for pair in imported for name in pair)


def test_a_mutant_whose_line_is_gone_says_so_and_leaves_nothing_behind():
    original = Linear.backward
    edits = (
        Edit(Linear, "backward", "self.weight.grad +=", "self.weight.grad -="),
        Edit(Linear, "backward", "no such line", "pass"),
    )
    with pytest.raises(ValueError, match="'no such line' 0 times"), injected(Mutant("stale", edits, "Linear")):
        pass
    assert Linear.backward is original


def test_a_mutant_prints_as_a_diff():
    mutant = Mutant("sign", (Edit(Linear, "backward", "grad += x", "grad -= x"),), "Linear")
    assert mutant.diff() == textwrap.dedent("""\
          Linear.backward
        - grad += x
        + grad -= x""")


def test_a_check_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="neither a case nor a property"):
        verdict("no such check")
