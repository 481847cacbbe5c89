"""A record that a function returns does not change: every frozen dataclass is, and those that change say so here."""

import dataclasses
import importlib
import pkgutil

import pytest

import minitransformer

CHANGING = {  # what grows or is filled in after it was made
    *(
        "History",
        "LanguageModel",
        "LayerCall",
        "PretrainedLanguageModel",
        "PretrainedTranslator",
        "Table",
        "Translator",
    ),
    *("_Box", "_Frame", "_Label", "_Plus"),  # parts of a drawing, which are moved until they fit
}


def records():
    for module in pkgutil.walk_packages(minitransformer.__path__, "minitransformer."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.name:
                yield f"{module.name}.{name}", value


RECORDS = dict(records())


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_does_not_change(name):
    frozen = RECORDS[name].__dataclass_params__.frozen
    assert frozen != (name.rpartition(".")[2] in CHANGING)
