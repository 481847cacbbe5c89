"""Parts that a configuration chooses: what they build, and that a checkpoint keeps them."""

import json

import numpy as np
import pytest

import minitransformer
from minitransformer.data import CharacterVocabulary
from minitransformer.decoding import LanguageModel, beam_search, greedy, sample
from minitransformer.layers import (
    Glorot,
    LearnedPositions,
    Linear,
    PreNorm,
    ScaledDotProductAttention,
    SinusoidalPositions,
    Unembedding,
)
from minitransformer.models import (
    GPT,
    GPTConfig,
    Learned,
    PreNormTransformer,
    Sinusoidal,
    Tied,
    Transformer,
    TransformerConfig,
    Untied,
)
from minitransformer.training import save_checkpoint
from minitransformer.verify import check_gradients

SIZES = {"d_model": 6, "n_heads": 2, "d_ff": 5, "n_encoder_blocks": 1, "n_decoder_blocks": 1, "dropout": 0.0}


def init():
    return Glorot(np.random.default_rng(0), np.float64)


def gpt(head=None):
    settings = {} if head is None else {"head": head}
    return GPT(GPTConfig(9, 8, 6, 2, 1, 5, dropout=0.0, **settings), init())


def test_the_head_of_a_gpt_is_tied_unless_it_is_said():
    assert isinstance(gpt().head, Unembedding)
    untied = gpt(Untied())
    assert isinstance(untied.head, Linear)
    assert untied.n_parameters() == gpt().n_parameters() + 6 * 9
    check_gradients(untied, np.array([[1, 2, 3], [4, 5, 6]])).raise_if_failed()


def test_positions_of_a_transformer_are_sinusoids_unless_it_is_said():
    assert isinstance(
        Transformer(TransformerConfig(9, **SIZES), init()).source_embedding.positions, SinusoidalPositions
    )
    learned = Transformer(TransformerConfig(9, positions=Learned(7), **SIZES), init())
    for embedding in (learned.source_embedding, learned.target_embedding):
        assert isinstance(embedding.positions, LearnedPositions)
        assert embedding.positions.weight.shape == (7, 6)
    assert learned.source_embedding.positions.weight is not learned.target_embedding.positions.weight
    check_gradients(learned, np.array([[1, 2, 3]]), np.array([[4, 5]])).raise_if_failed()


def test_pre_norm_is_the_transformer_with_another_residual():
    config = TransformerConfig(9, **SIZES)
    a, b = Transformer(config, init(), residual=PreNorm), PreNormTransformer(config, init())
    assert [name for name, _ in a.named_parameters()] == [name for name, _ in b.named_parameters()]
    source, target = np.array([[1, 2, 3]]), np.array([[4, 5]])
    assert np.array_equal(a(source, target), b(source, target))


@pytest.mark.parametrize(
    "config",
    [
        GPTConfig(9, 8, 6, 2, 1, head=Untied()),
        GPTConfig(9, 8, 6, 2, 1, head=Tied(0.5)),
        TransformerConfig(9, positions=Learned(7), **SIZES),
        TransformerConfig(9, positions=Sinusoidal(), **SIZES),
    ],
    ids=repr,
)
def test_a_configuration_with_parts_comes_back_from_json(config):
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_run_with_an_untied_head_is_loaded_as_it_was(tmp_path):
    vocabulary = CharacterVocabulary.build(["abcde"])
    saved = LanguageModel("gpt", gpt(Untied()), vocabulary)
    save_checkpoint(tmp_path / "checkpoint.npz", saved.arrays(), saved.description())
    loaded = minitransformer.load(tmp_path)
    assert loaded.model.config.head == Untied()
    ids = np.array([[1, 2, 3]])
    assert np.array_equal(loaded.model(ids), saved.model(ids))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"head": {"part": "Nobody"}}, "part='Nobody': must be one of Sinusoidal, Learned, Tied, Untied"),
        ({"head": {"part": "Tied", "size": 3}}, "Tied does not take 'size'"),
    ],
)
def test_a_part_that_is_not_known_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        GPTConfig.from_dict(values)


def test_a_part_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"head=True: must be Tied\(\) or Untied\(\)"):
        GPTConfig(head=True)
    with pytest.raises(TypeError, match=r"positions=Tied.*: must be Sinusoidal\(\) or Learned\(\)"):
        TransformerConfig(9, positions=Tied(), **SIZES)
    with pytest.raises(ValueError, match="max_length=0"):
        Learned(0)


def test_without_an_end_token_all_tokens_are_written():
    model, prompt = gpt(), np.array([[1, 2], [3, 4]])
    (one, two) = greedy(model, prompt, max_new_tokens=5)
    assert len(one.ids) == len(two.ids) == 5
    assert not one.finished
    assert all(h.length == 5 for found in beam_search(model, prompt, max_new_tokens=5) for h in found)
    assert all(h.length == 5 for found in sample(model, prompt, max_new_tokens=5) for h in found)


def test_a_scale_of_zero_is_not_taken_for_none_given():
    q = np.random.default_rng(0).standard_normal((1, 1, 2, 3))
    _, cache = ScaledDotProductAttention(scale=0.0).forward(q, q, q)
    assert np.array_equal(cache["weights"], np.full((1, 1, 2, 2), 0.5))
