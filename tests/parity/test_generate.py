"""Decoders against Hugging Face's `generate` with the same weights: the options have its names, and mean the same.

Where the two searches are the same by definition, greedy and a beam that holds every sequence, so must be sequences and
scores. Between these the beams differ: theirs gives the slot of what has ended away.
"""

import importlib.util
import os
import warnings

import numpy as np
import pytest

from minitransformer.decoding import beam_search, greedy, next_word_distribution
from minitransformer.layers import Glorot
from minitransformer.models import GPT, T5, GPTConfig, T5Config
from minitransformer.pretrained import gpt_names, t5_names

from .wiring import float64_throughout, tensor, torch, value  # noqa: F401 (a fixture)

if importlib.util.find_spec("transformers") is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
    pytest.skip("transformers is not installed: there is nothing to compare with", allow_module_level=True)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what another library deprecates is not ours to mend
    import transformers

pytestmark = pytest.mark.filterwarnings("ignore")
V, EOS, MOST = 5, 2, 3
TREE = 1 + 4 + 16 + 64  # sequences of at most three tokens, that end or are cut


def pair(name, seed):
    """Our model and theirs with the same weights, sources or prompts, and what decoding starts with."""
    rng = np.random.default_rng(seed)
    if name == "gpt":
        model = GPT(GPTConfig(V, 12, 6, 2, 1, 7), Glorot(rng, np.float64))
        config = transformers.GPT2Config(vocab_size=V, n_positions=12, n_embd=6, n_head=2, n_layer=1, n_inner=7)
        theirs, names, start = transformers.GPT2LMHeadModel(config), gpt_names, None
    else:
        model = T5(T5Config(V, 6, 3, 2, 7, 1, 1, n_buckets=8, max_distance=11), Glorot(rng, np.float64))
        config = transformers.T5Config(
            vocab_size=V,
            d_model=6,
            d_kv=3,
            num_heads=2,
            d_ff=7,
            num_layers=1,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=11,
            dropout_rate=0.0,
            feed_forward_proj="relu",
            decoder_start_token_id=0,
        )
        theirs, names, start = transformers.T5ForConditionalGeneration(config), t5_names, 0
    for parameter in model.parameters():
        parameter.value = 0.7 * rng.standard_normal(parameter.shape)
    theirs = theirs.double().eval()
    parameters = dict(theirs.named_parameters())
    with torch.no_grad():
        for their_name, ours, layout in names(model):
            parameters[their_name].copy_(tensor(np.concatenate([layout.theirs(value(p)) for p in ours], axis=-1)))
    return model, theirs, rng.integers(1, V, (2, 4)), start


def generated(theirs, source, **settings):
    """Their sequences, without start or prompt, up to eos, and the scores."""
    out = theirs.generate(
        torch.tensor(source),
        attention_mask=torch.ones(source.shape, dtype=torch.long),
        max_new_tokens=MOST,
        do_sample=False,
        eos_token_id=EOS,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        **settings,
    )
    skipped = 1 if theirs.config.is_encoder_decoder else source.shape[1]
    sequences = [[int(i) for i in row] for row in out.sequences[:, skipped:]]
    ended = [row.index(EOS) if EOS in row else MOST for row in sequences]
    return [row[:n] for row, n in zip(sequences, ended)], getattr(out, "sequences_scores", None)


@pytest.mark.parametrize("name", ["gpt", "t5"])
def test_greedy_is_theirs(name):
    lengths = set()
    for seed in range(10):
        model, theirs, source, start = pair(name, seed)
        wanted, _ = generated(theirs, source, num_beams=1)
        found = greedy(model, source, start=start, eos=EOS, max_new_tokens=MOST)
        assert [h.ids for h in found] == wanted
        lengths |= {h.length for h in found}
    assert len(lengths) > 1


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("name", ["gpt", "t5"])
def test_the_best_of_all_sequences_and_its_score_are_theirs(name, length_penalty):
    lengths = set()
    for seed in range(6):
        model, theirs, source, start = pair(name, seed)
        settings = {"num_beams": TREE, "length_penalty": length_penalty, "num_return_sequences": 3}
        wanted, scores = generated(theirs, source, early_stopping="never", **settings)
        found = beam_search(model, source, start=start, eos=EOS, max_new_tokens=MOST, **settings)
        flat = [h for of_sentence in found for h in of_sentence]
        assert [h.ids for h in flat] == wanted
        np.testing.assert_allclose([h.score for h in flat], scores.numpy(), rtol=1e-9)
        lengths |= {h.length for h in flat}
    assert len(lengths) > 1 or length_penalty > 1  # of a square of the length the longest win


@pytest.mark.parametrize("settings", [{"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.7}, {"top_k": 4, "top_p": 0.55}])
def test_what_is_drawn_from_is_theirs(settings):
    warpers = {
        "temperature": transformers.TemperatureLogitsWarper,
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
    }
    logits = 2.0 * np.random.default_rng(0).standard_normal((20, 11))
    theirs = torch.tensor(logits)
    for name, number in settings.items():
        theirs = warpers[name](number)(None, theirs)
    np.testing.assert_allclose(next_word_distribution(logits, **settings), torch.softmax(theirs, -1), atol=1e-12)
