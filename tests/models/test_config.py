"""Configurations: what they refuse and how they are stored."""

import json
from dataclasses import FrozenInstanceError

import pytest

from minitransformer.models import MinimalConfig, TransformerConfig

CONFIGS = [
    MinimalConfig(100, 90, d_model=16, n_heads=4),
    TransformerConfig(100, 90, n_encoder_blocks=2, dropout=0.0),
    TransformerConfig.base(),
    TransformerConfig.big(1000),
]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_a_configuration_survives_json(config):
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_key_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="TransformerConfig has no depth, width: it has d_ff, d_model, dropout, "):
        TransformerConfig.from_dict({"source_vocab": 10, "width": 3, "depth": 2})


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TransformerConfig(10).d_model = 7


@pytest.mark.parametrize("cls", [MinimalConfig, TransformerConfig])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source_vocab": 0}, "source_vocab=0: must be an integer of at least 1"),
        ({"target_vocab": -5}, "target_vocab=-5: must be an integer of at least 1"),
        ({"d_model": 0}, "d_model=0: must be an integer of at least 1"),
        ({"d_model": 8.0}, r"d_model=8\.0: must be an integer of at least 1"),
        ({"d_model": 7}, "d_model=7: sinusoids come in pairs, so it must be even"),
        ({"n_heads": 0}, "n_heads=0: must be an integer of at least 1"),
        ({"n_heads": 3}, "n_heads=3: must divide d_model=64"),
        ({"n_heads": True}, "n_heads=True: must be an integer of at least 1"),
        ({"n_encoder_blocks": 0}, "n_encoder_blocks=0: must be an integer of at least 1"),
        ({"n_decoder_blocks": "2"}, "n_decoder_blocks='2': must be an integer of at least 1"),
        ({"pad": -1}, "pad=-1: must be an integer of at least 0"),
    ],
)
def test_nonsense_is_refused_by_name_value_and_range(cls, values, words):
    with pytest.raises(ValueError, match=words):
        cls(**{"source_vocab": 10, "target_vocab": 10, "d_model": 64, **values})


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan"), "0.1"])
def test_a_dropout_out_of_range_is_refused(dropout):
    with pytest.raises(ValueError, match=r"dropout=.*: must be at least 0 and below 1"):
        TransformerConfig(10, dropout=dropout)


def test_the_presets_are_those_of_the_papers_table_3():
    base, big = TransformerConfig.base(), TransformerConfig.big()
    assert (base.d_model, base.d_ff, base.n_heads, base.n_encoder_blocks, base.dropout) == (512, 2048, 8, 6, 0.1)
    assert (big.d_model, big.d_ff, big.n_heads, big.n_encoder_blocks, big.dropout) == (1024, 4096, 16, 6, 0.3)
