"""`count`: published numbers, exactly."""

import json
import tracemalloc

import numpy as np
import pytest

from minitransformer.cli import main
from minitransformer.commands.count import count
from minitransformer.models import PRESETS, LSTMConfig, build_model, summary

PUBLISHED = {
    "gpt2": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "t5-small": 60_506_624,
    "t5-base": 222_903_552,
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "transformer-base": 63_082_496,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_are_counted_exactly(name):
    tracemalloc.start()
    counted = count(name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counted.parameters == PUBLISHED[name]
    assert peak < 100e6


@pytest.mark.parametrize("name", PRESETS)
def test_the_rows_add_up_to_the_model(name):
    from minitransformer.layers import Unallocated

    model_class, config = PRESETS[name]
    assert count(name).parameters == model_class(config, Unallocated()).n_parameters()


def test_a_token_of_llama_2_70b_costs_what_its_sizes_say():
    D, F, V, N, kv = 8192, 28672, 32000, 80, 8 * 128
    counted = count("llama-2-70b")
    assert counted.multiply_adds == N * (2 * D * D + 2 * D * kv + 3 * D * F) + D * V
    assert counted.kept_per_token == N * 2 * kv
    assert counted.kept_per_source_token == 0


def test_an_encoder_decoder_keeps_keys_of_both_sides():
    counted = count("transformer-base")
    assert counted.kept_per_token == counted.kept_per_source_token == 6 * 2 * 512


@pytest.mark.parametrize("name", ["lstm", "lstm-bahdanau", "lstm-input-feeding"])
def test_a_recurrent_decoder_keeps_memory_and_keys_of_the_source_and_nothing_of_what_it_wrote(name):
    sizes = {"n_encoder_layers": 2, "n_decoder_layers": 3}
    model = build_model(name, LSTMConfig(11, 13, d_model=5, d_embedding=4, **sizes), np.random.default_rng(0))
    counted = summary(model)
    assert (counted.kept_per_token, counted.kept_per_source_token) == (0, 2 * 5 + 5)

    def kept(tokens, steps):
        state, ids = model.start_decoding(np.full((1, tokens), 4), 1)
        for _ in range(steps):
            model.next_logits(ids, state)
        return sum(array.size for array in arrays(state) if array.dtype.kind == "f")

    assert kept(7, 1) - kept(6, 1) == counted.kept_per_source_token
    assert kept(7, 4) == kept(7, 1)


def arrays(state):
    for value in state.values() if isinstance(state, dict) else state:
        if isinstance(value, (dict, tuple)):
            yield from arrays(value)
        elif isinstance(value, np.ndarray):
            yield value


def test_the_table_shows_blocks_once_and_tied_weights_by_both_names(capsys):
    assert main(["count", "GPT2"]) == 0
    shown = capsys.readouterr().out
    assert "12 x 768 x 3,072" in shown
    assert "tied to embedding.tokens.weight: head.weight" in shown
    assert "124,439,808" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_the_lecture_notes_numbers_stand_beside_the_exact_ones(capsys):
    assert main(["count", "llama-2-70b", "--json"]) == 0
    shown = capsys.readouterr().out
    assert all(number in shown for number in ("201,326,592", "150,994,944", "262,144,000"))
    attention = 8192**2 + 2 * 8192 * 1024 + 8192**2
    assert attention == 150_994_944
    assert json.loads(shown.splitlines()[-1])["parameters"] == 68_976_648_192


def test_without_a_name_all_are_counted(capsys):
    assert main(["count"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(PRESETS)


def test_an_unknown_name_is_told_the_nearest(capsys):
    assert main(["count", "gpt-2"]) == 2
    assert "NAME 'gpt-2': did you mean gpt2?" in capsys.readouterr().err


def test_html_escapes_and_adds_up():
    page = count("t5-small")._repr_html_()
    assert page.startswith("<table>")
    assert "60,506,624" in page
