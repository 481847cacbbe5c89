"""What a model is made of, as `summary(model)` shows it."""

import re

import numpy as np

from minitransformer.layers import Chain, Dense, Embedding, Glorot, Linear, Parameter, ReLU, Unallocated, Unembedding
from minitransformer.models import GPT, GPTConfig, summary


def tied():
    init = Glorot(np.random.default_rng(0))
    tokens = Embedding(11, 5, init)
    return Chain(
        tokens=tokens,
        hidden=Dense(5, 7, init),
        activation=ReLU(),
        back=Linear(7, 5, init),
        head=Unembedding(tokens.weight),
    )


def test_a_summary_counts_every_weight_once_and_names_the_tied():
    found = summary(tied())
    assert [(row.name, row.shape, row.parameters) for row in found.rows] == [
        ("tokens.weight", (11, 5), 55),
        ("hidden.weight", (5, 7), 35),
        ("hidden.bias", (7,), 7),
        ("back.weight", (7, 5), 35),
    ]
    assert found.rows[0].tied == ("head.weight",)
    assert found.parameters == 132 == tied().n_parameters()
    assert found.multiply_adds == 35 + 35 + 55  # the table multiplies in the head; looking up multiplies nothing


def test_in_a_terminal_it_is_a_table_with_shares_that_add_up():
    shown = str(summary(tied()))
    assert shown.splitlines()[0].split() == ["weight", "shape", "parameters", "share"]
    assert "41.67 %" in shown
    assert "tied to tokens.weight: head.weight" in shown
    assert abs(sum(float(share) for share in re.findall(r"([\d.]+) %", shown)) - 100) < 0.03
    assert repr(summary(tied())) == shown


def test_in_a_notebook_it_is_a_table_whose_names_are_escaped():
    model = tied()
    vars(model)["<b>"] = Parameter(np.zeros(3))
    page = summary(model)._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("<tr>") == 1 + 5 + 1  # head, weights, total


def test_blocks_of_one_kind_are_one_row_and_nothing_is_allocated():
    found = summary(GPT(GPTConfig.gpt2(), Unallocated()))
    assert found.parameters == 124_439_808
    row = next(row for row in found.rows if row.name.endswith("up_proj.weight"))
    assert (row.name, row.count) == ("decoder.blocks.*.feed_forward.up_proj.weight", 12)
    assert found.kept_per_token == 12 * 2 * 768


def test_a_layer_without_weights_has_an_empty_table():
    found = summary(ReLU())
    assert (found.rows, found.parameters) == ((), 0)
    assert "total" in str(found)


def test_the_whole_table_stands_as_it_is_read():
    model = Chain(tokens=(tokens := Embedding(11, 5, Unallocated())), head=Unembedding(tokens.weight))
    assert str(summary(model)).splitlines() == [
        "weight          shape  parameters     share",
        "-------------  ------  ----------  --------",
        "tokens.weight  11 x 5          55  100.00 %",
        "                total          55",
        "",
        "multiply-adds a token, in linear maps: 55",
        "tied to tokens.weight: head.weight",
    ]


def test_a_weight_that_stands_alone_has_its_own_name_and_alike_ones_a_pattern():
    config = {"vocab": 5, "max_length": 3, "d_model": 4, "n_heads": 2}
    one = [row.name for row in summary(GPT(GPTConfig(**config, n_blocks=1), Unallocated())).rows]
    two = [row.name for row in summary(GPT(GPTConfig(**config, n_blocks=2), Unallocated())).rows]
    assert "decoder.blocks.0.attention.query.weight" in one
    assert not [name for name in one if "*" in name or "..." in name]
    assert "decoder.blocks.0.attention.query.weight" not in two
