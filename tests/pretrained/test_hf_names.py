"""Names and layouts of Hugging Face: every parameter once, and back to what it was."""

import numpy as np
import pytest

from minitransformer.models import PreNormTransformer, TransformerConfig
from minitransformer.pretrained import names_of

from .cases import MODELS, made


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_has_one_name(name):
    model = made(name)
    entries = names_of(model)
    named = [id(parameter) for entry in entries for parameter in entry.parameters]
    assert len(named) == len(set(named)) == len(model.parameters())
    assert len({entry.name for entry in entries}) == len(entries)


@pytest.mark.parametrize("name", MODELS)
def test_a_tensor_of_theirs_has_the_shape_that_is_announced_and_comes_back_as_it_was(name):
    model = made(name)
    before = [parameter.value.copy() for parameter in model.parameters()]
    for entry in names_of(model):
        theirs = entry.theirs()
        assert theirs.shape == entry.shape
        for parameter in entry.parameters:
            parameter.value = np.zeros_like(parameter.value)
        entry.fill(theirs)
        assert all(parameter.value.flags.c_contiguous for parameter in entry.parameters)
    for parameter, value in zip(model.parameters(), before):
        np.testing.assert_array_equal(parameter.value, value)


def test_a_model_without_a_counterpart_is_named():
    model = PreNormTransformer(TransformerConfig(7, 7, 4, 2, 6, 1, 1), np.random.default_rng(0))
    with pytest.raises(TypeError, match="model is a PreNormTransformer: those with a counterpart are T5"):
        names_of(model)
