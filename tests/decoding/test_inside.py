"""`look_inside`: its numbers are the model's own, its gradients those of a small change made by hand."""

import json
import time

import numpy as np
import pytest

from minitransformer.data import WordVocabulary
from minitransformer.decoding import LanguageModel, Translator, inside, look_inside, outcomes
from minitransformer.decoding.inside import outcome, pack, unpacked
from minitransformer.experiments.coreference import SHOWROOM, stored_pronoun_translator
from minitransformer.interventions import NoHead, Patch, TakeWeight, intervene, recorded
from minitransformer.models import LlamaConfig, T5Config, TransformerConfig, build_model

from ..extent import exhaustive

WORDS = WordVocabulary(["the", "cat", "sees", "a", "dog", "."])
V = len(WORDS)
PAIR = TransformerConfig(V, V, 8, 2, 6, n_encoder_blocks=2, n_decoder_blocks=2, dropout=0.0)
TEXT = "the cat sees a dog ."


def grown(name, config):
    """A model in float64 with weights large enough that attention is far from even."""
    model = build_model(name, config, np.random.default_rng(3))
    draw = np.random.default_rng(4)
    for parameter in model.parameters():
        parameter.value = parameter.value + 0.3 * draw.standard_normal(parameter.shape)
        parameter.grad = draw.standard_normal(parameter.shape)
    return model


def translator(name="pre-norm"):
    config = PAIR if name != "t5" else T5Config(V, 8, 3, 2, 6, 2, 2, n_buckets=8, dropout=0.0)
    return Translator(name, grown(name, config), WORDS, WORDS, start=WORDS.bos)


def language_model():
    return LanguageModel("llama", grown("llama", LlamaConfig(V, 20, 8, 4, n_kv_heads=2, d_ff=6, n_blocks=2)), WORDS)


MODELS = {"pre-norm": translator, "t5": lambda: translator("t5"), "llama": language_model}


# Each is looked into with hundreds of changes: a newcomer waits for two of the three.
@pytest.fixture(params=[name if name != "t5" else pytest.param(name, marks=exhaustive) for name in MODELS])
def case(request):
    """(model, its data, a function: log P of every output word under changes)."""
    model = MODELS[request.param]()
    data = look_inside(model, TEXT)
    words = WORDS.encode_tokens if hasattr(WORDS, "encode_tokens") else WORDS.encode
    if isinstance(model, Translator):
        ids = list(model.translate_ids([model.encode(TEXT)])[0])
        target = [*ids, WORDS.eos]
        inputs = (np.array([[*model.encode(TEXT), WORDS.eos]]), np.array([[model.start, *ids]]))
    else:
        prompt = model.prompt_ids(TEXT)
        inputs = (np.array([prompt]),)
        target = [*prompt[1:], words([data["target"][-1]])[0]]

    def log_p(*changes):
        with intervene(model.model, *changes):
            logits = model.model(*inputs)[0]
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        return np.log(p[np.arange(len(target)), target])

    return model, data, log_p


def test_the_gradient_of_every_weight_is_what_taking_a_little_of_it_away_does(case):
    _, data, log_p = case
    before, little = log_p(), 1e-6
    for kind in data["kinds"]:
        for layer, where in enumerate(kind["paths"]):
            weights = np.array(kind["weights"][layer])
            got = np.zeros((len(data["target"]), *weights.shape))
            for y, packed in enumerate(kind["gradients"][layer]):
                found = unpacked(packed)
                got[y, :, : found.shape[1]] = found
            for head, query, key in list(np.ndindex(weights.shape))[::3]:
                if kind["name"] == "decoder" and key > query:  # masked
                    assert not got[:, head, query, key].any()
                if weights[head, query, key] < 1e-3:  # less than this cannot be taken from it
                    continue
                change = TakeWeight(where, query, key, head, amount=little)
                wanted = (before - log_p(change)) / little
                np.testing.assert_allclose(got[:, head, query, key], wanted, rtol=0, atol=1e-4 * np.abs(got).max())


def gradient(model, log_p, where, y, position, D=8):
    """That of log P(y) for the output of a layer at one position, by central differences."""
    with recorded(model.model, where) as outputs:
        log_p()
    vector, step = outputs[-1][0, position], 1e-5
    return [
        (log_p(Patch(where, position, vector + step * e))[y] - log_p(Patch(where, position, vector - step * e))[y])
        / (2 * step)
        for e in np.eye(D)
    ]


def test_what_arrives_at_a_layer_and_at_the_input_is_the_norm_of_the_gradient_there(case):
    model, data, log_p = case
    places = [("read", "target_embedding" if isinstance(model, Translator) else "embedding")]
    places += [("source", "source_embedding")] if isinstance(model, Translator) else []
    for y, position in ((2, 1), (4, 3)):
        for name, where in places:
            wanted = np.linalg.norm(gradient(model, log_p, where, y, position))
            np.testing.assert_allclose(data["saliency"][name][y][position], wanted, rtol=2e-3)
        for kind in data["kinds"]:
            wanted = np.linalg.norm(gradient(model, log_p, kind["paths"][0], y, position))
            np.testing.assert_allclose(kind["arriving"][0][y][position], wanted, rtol=2e-3)


def test_scores_weights_and_probabilities_are_the_models(case):
    _, data, log_p = case
    np.testing.assert_allclose([c["probability"] for c in data["choices"]], np.exp(log_p()), atol=0.6e-4)
    np.testing.assert_allclose(data["log_probability"], log_p().sum(), atol=0.6e-4)
    for kind in data["kinds"]:
        for packed, weights in zip(kind["scores"], kind["weights"]):
            scores = np.exp(unpacked(packed))
            np.testing.assert_allclose(weights, scores / scores.sum(axis=-1, keepdims=True), atol=2e-3)
            assert np.shape(weights)[1:] == (len(kind["queries"]), len(kind["keys"]))


def test_the_outcomes_are_those_of_the_interventions_one_by_one(case):
    model, data, log_p = case
    found = outcomes(model, TEXT, weights=5, vectors=0)
    heads = sum(len(layer) for kind in data["kinds"] for layer in kind["weights"])
    assert len(found) == heads + 5
    for one in found:
        place = [one[name] for name in ("where", "query", "key", "head") if name in one]
        change = TakeWeight(*place) if "key" in one else NoHead(*place)
        np.testing.assert_allclose(one["log_probability"], log_p(change).sum(), atol=0.6e-4)
        assert one["output"] == look_inside(model, TEXT, [change])["output"]


def test_other_words_vectors_are_put_where_the_weights_that_matter_look_from(case):
    model, data, log_p = case
    taken = outcomes(model, TEXT, weights=2, vectors=0)[-2:]
    put = outcomes(model, TEXT, weights=2, vectors=100)
    put = [one for one in put if "of" in one]
    places = {(one["where"].rpartition(".")[0], one["query"]) for one in taken}
    assert {(one["where"], one["position"]) for one in put} == places
    for block, position in places:
        words = data["source"] if "encoder" in block else data["read"]
        own = [one for one in put if (one["where"], one["position"]) == (block, position)]
        assert [one["of"] for one in own] == [of for of in range(len(words)) if of != position]
        with recorded(model.model, block) as outputs:
            log_p()
        for one in own:
            change = Patch(block, position, outputs[0][0, one["of"]])
            np.testing.assert_allclose(one["log_probability"], log_p(change).sum(), atol=1e-6)
    assert len([one for one in outcomes(model, TEXT, weights=2, vectors=3) if "of" in one]) == 3


def test_a_page_may_ask_for_another_texts_activation(case):
    model, _, log_p = case
    where = "encoder.blocks.0" if isinstance(model, Translator) else "decoder.blocks.0"
    asked = {"where": where, "position": 2, "text": "a dog sees", "of": 1}
    with recorded(model.model, where) as outputs:
        if isinstance(model, Translator):
            model.model(np.array([[*model.encode("a dog sees"), WORDS.eos]]), np.array([[1]]))
        else:
            model.model(np.array([model.prompt_ids("a dog sees")]))
    wanted = log_p(Patch(where, 2, outputs[0][0, 1])).sum()
    found = outcome(model, TEXT, asked)
    np.testing.assert_allclose(found["log_probability"], wanted, atol=0.6e-4)
    assert {name: found[name] for name in asked} == asked
    for change, message in (
        ({"where": where}, "change has where: give"),
        (asked | {"of": 9}, "of=9: must be at least"),
    ):
        with pytest.raises(ValueError, match=message):
            outcome(model, TEXT, change)


def test_one_output_word_that_is_asked_alone_has_the_same_gradients(case):
    model, data, _ = case
    alone = look_inside(model, TEXT, asked=[3, 1])
    assert data["asked"] == list(range(len(data["target"])))
    assert alone["asked"] == [3, 1]
    for one, all_of_them in zip(alone["kinds"], data["kinds"]):
        for layer, packed in enumerate(one["gradients"]):
            for i, y in enumerate(alone["asked"]):
                wanted = unpacked(all_of_them["gradients"][layer][y])
                np.testing.assert_allclose(unpacked(packed[i]), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
                np.testing.assert_allclose(one["arriving"][layer][i], all_of_them["arriving"][layer][y], rtol=1e-3)
    with pytest.raises(ValueError, match="asked=99: must be positions of output words"):
        look_inside(model, TEXT, asked=[99])


def test_nothing_of_the_model_changes_and_all_is_plain_data(case):
    model, data, _ = case
    before = [(p.value.copy(), p.grad, p.grad.copy()) for p in model.model.parameters()]
    assert json.loads(json.dumps(look_inside(model, TEXT))) == data
    for parameter, (value, grad, numbers) in zip(model.model.parameters(), before):
        assert parameter.grad is grad
        np.testing.assert_array_equal(grad, numbers)
        np.testing.assert_array_equal(parameter.value, value)
    assert not any({"forward", "backward", "next_logits"} & set(vars(layer)) for _, layer in model.model.named_layers())


def test_packed_numbers_come_back_to_one_part_in_65534():
    array = np.random.default_rng(0).standard_normal((2, 3, 5)) * 1e-9
    np.testing.assert_allclose(unpacked(pack(array)), array, rtol=0, atol=np.abs(array).max() / 65533)
    assert unpacked(pack(np.array([[-np.inf, 2.0, 0.0]]))).tolist() == [[-np.inf, 2.0, 0.0]]
    assert not unpacked(pack(np.zeros((2, 2)))).any()


def test_of_the_showrooms_sentence_it_finds_the_weight_that_makes_elle_and_in_time():
    translator = stored_pronoun_translator()
    data = look_inside(translator, SHOWROOM)
    it, car = data["source"].index("it"), data["source"].index("car")
    (found,) = [o for o in outcomes(translator, SHOWROOM) if (o.get("query"), o.get("key")) == (it, car)]
    assert found["where"] == "encoder.blocks.1.attention"
    assert found["output"] == "J'ai eu ma voiture directement du salon, il était neuf."
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        look_inside(translator, SHOWROOM, [TakeWeight("encoder.blocks.1.attention", it, car)], asked=[9])
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.15


def test_a_text_without_a_word_or_too_long_is_refused():
    with pytest.raises(ValueError, match="there is no word in it"):
        look_inside(translator(), "")
    with pytest.raises(ValueError, match="text has 24 tokens: this model reads at most 20"):
        look_inside(language_model(), " ".join([TEXT] * 4))


def test_so_many_words_are_asked_as_the_gradients_of_all_their_weights_have_room(case, monkeypatch):
    model, data, _ = case
    per_word = sum(np.size(weights) for kind in data["kinds"] for weights in kind["weights"])
    assert data["asked"] == list(range(len(data["target"])))
    for numbers, asked in ((0, 1), (2 * per_word - 1, 1), (2 * per_word, 2), (3 * per_word + 1, 3)):
        monkeypatch.setattr(inside, "NUMBERS", numbers)
        assert look_inside(model, TEXT)["asked"] == list(range(asked))
