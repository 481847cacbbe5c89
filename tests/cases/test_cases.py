"""Every layer and every model has a case, and passes the gradient check by two methods."""

import pytest

from minitransformer.layers import Identity, Layer
from minitransformer.verify import check_gradients

from ..definitions import PROPERTIES
from ..extent import extent
from . import CASES, case, concrete_layers, layers_without_case, line_to_write


@pytest.mark.parametrize("package", ["minitransformer.layers", "minitransformer.models"])
def test_every_concrete_layer_has_a_case(package):
    missing = layers_without_case(package)
    assert not missing, "\n\n".join(line_to_write(cls) for cls in missing)


def test_discovery_finds_the_layers_and_not_their_abstract_base():
    found = concrete_layers("minitransformer.layers")
    names = {cls.__name__ for cls in found}
    assert {"Linear", "Dense", "SelfAttention", "CrossEntropy", "PostNorm", "Decoder"} <= names
    assert Layer not in found


def test_discovery_finds_the_models():
    assert {"Transformer", "MinimalTransformer"} <= {c.__name__ for c in concrete_layers("minitransformer.models")}


def test_a_layer_without_a_case_is_named_with_the_line_to_write():
    forgotten = type("Forgotten", (Identity,), {"__module__": "minitransformer.layers.made_up_for_a_test"})
    try:
        assert forgotten in layers_without_case("minitransformer.layers")
        assert "made_up_for_a_test.Forgotten has no case" in line_to_write(forgotten)
        assert "@case(Forgotten)" in line_to_write(forgotten)
    finally:
        forgotten.__module__ = "tests"


def test_two_cases_of_one_name_are_refused():
    with pytest.raises(ValueError, match="has a case of this name already"):
        case(Identity)(lambda rng: (Identity(),))


@pytest.mark.parametrize("name", list(CASES))
def test_complex_step_agrees_to_1e_12(name):
    layer, inputs = CASES[name].build()
    check_gradients(layer, *inputs).raise_if_failed()


# The second witness; of whole models, whose layers it has seen, with --exhaustive.
@pytest.mark.parametrize(
    "name", [name for name in CASES if extent(".layers." in CASES[name].layer_class.__module__, True)]
)
def test_central_differences_agree_to_1e_6(name):
    layer, inputs = CASES[name].build()
    check_gradients(layer, *inputs, method="central").raise_if_failed()


@pytest.mark.parametrize("name", list(PROPERTIES))
def test_property_holds(name):
    PROPERTIES[name]()
