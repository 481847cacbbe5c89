"""The translator: text to text, saved and loaded."""

import numpy as np
import pytest

from minitransformer.data import CharacterVocabulary, WordVocabulary
from minitransformer.decoding import (
    Beam,
    Greedy,
    MinimumBayesRisk,
    Sampling,
    Translation,
    Translator,
    chrf,
    exact_match,
)
from minitransformer.decoding.translator import check_vocabularies
from minitransformer.models import MODELS, MinimalConfig, MinimalTransformer, build_model
from minitransformer.training import CheckpointError, save_checkpoint


def translator(name="minimal", shared=False, start="bos", dtype_seed=0):
    source = WordVocabulary.build(["the cat sleeps.", "the dog barks."])
    target = source if shared else CharacterVocabulary.build(["le chat dort"])
    sizes = {"d_model": 8, "n_heads": 2, "n_encoder_blocks": 1, "n_decoder_blocks": 1}
    n_target = len(target) if name == "minimal" or not shared else None
    vocab = {"source_vocab": len(source), "target_vocab": n_target}
    if name.startswith("t5"):  # one vocabulary for both languages
        target, vocab = source, {"vocab": len(source), "d_kv": 4}
    if name.startswith("lstm"):
        sizes = {"d_model": 8}
    config = MODELS[name][1](**vocab, **sizes)
    model = build_model(name, config, np.random.default_rng(dtype_seed))
    return Translator(name, model, source, target, target.bos if start == "bos" else target.eos)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shared", [False, True])
def test_what_is_loaded_translates_as_what_was_saved(tmp_path, name, shared):
    saved = translator(name, shared, start="eos")
    save_checkpoint(tmp_path / "checkpoint.npz", saved.arrays(), saved.description())
    texts = ["the cat barks.", "", "the dog", "the unicorn sleeps"]
    for run in (tmp_path, tmp_path / "checkpoint.npz"):
        loaded = Translator.load(run)
        assert loaded.start == saved.start
        assert loaded.translate(texts) == saved.translate(texts)
        assert loaded.model.n_parameters() == saved.model.n_parameters()
        assert loaded.translate(texts)[1] == ""


def test_the_order_and_size_of_batches_change_nothing():
    subject = translator()
    texts = ["the cat sleeps.", "the", "dog barks. the cat", "the dog"]
    together = subject.translate(texts)
    assert subject.translate(texts, batch_size=1) == together
    assert subject.translate(texts[::-1])[::-1] == together


DECODERS = [
    Greedy(),
    Beam(3, 0.5, 2),
    Sampling(7, 1.3, top_k=9, num_return_sequences=2),
    MinimumBayesRisk(Sampling(7, num_return_sequences=5), num_return_sequences=2),
]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
@pytest.mark.parametrize("name", ["minimal", "t5", "lstm-input-feeding"])
def test_every_decoder_gives_each_text_its_own_in_order_whatever_the_batch(name, decoder):
    subject = translator(name)
    texts = ["the cat sleeps.", "the", "", "dog barks. the cat", "the dog"]
    together = subject.decode(texts, decoder)
    assert [t.text for t in together[2]] == [""]
    for batch_size in (1, 2):
        for a, b in zip(subject.decode(texts, decoder, batch_size=batch_size), together):
            assert [t.text for t in a] == [t.text for t in b]
            assert [t.score for t in a] == pytest.approx([t.score for t in b], rel=1e-4)
    assert subject.translate(texts, strategy=decoder) == [found[0].text for found in together]
    limit = max(len(t.ids) for t in subject.decode(["the"], decoder, max_new_tokens=2)[0])
    assert limit <= 2


def test_a_decoder_s_text_is_that_of_its_ids_and_its_limit_that_of_its_sentence():
    subject = translator()
    texts = ["the", "the cat sleeps. the dog barks."]
    for decoder in DECODERS:
        for text, found in zip(texts, subject.decode(texts, decoder)):
            for t in found:
                assert t.text == subject.target_vocabulary.decode(t.ids)
                assert len(t.ids) + t.finished <= 2 * len(subject.source_vocabulary.encode(text)) + 10
    assert {t.finished for found in subject.decode(texts, Sampling(0, 3.0)) for t in found} <= {True, False}


def test_minimum_bayes_risk_ranks_distinct_texts_by_expected_utility():
    subject, samples = translator(), Sampling(3, 2.0, num_return_sequences=30)
    drawn = [t.text for t in subject.decode(["the"], samples, max_new_tokens=2)[0]]
    decoder = MinimumBayesRisk(samples, exact_match, num_return_sequences=4)
    found = subject.decode(["the"], decoder, max_new_tokens=2)[0]
    assert len({t.text for t in found}) == len(found) == 4
    assert [t.score for t in found] == pytest.approx([drawn.count(t.text) / 30 for t in found])
    assert [t.score for t in found] == sorted((t.score for t in found), reverse=True)
    assert found[0].score == max(drawn.count(text) for text in drawn) / 30


@pytest.mark.parametrize(
    ("decoder", "settings", "words"),
    [
        (Beam, {"num_beams": 0}, "num_beams=0"),
        (Beam, {"num_beams": 1, "length_penalty": 2.0}, "length_penalty=2.0"),
        (Sampling, {"seed": 0, "temperature": -1.0}, "temperature=-1.0"),
        (Sampling, {"seed": 0, "num_return_sequences": 0}, "num_return_sequences=0"),
        (MinimumBayesRisk, {"num_return_sequences": 33}, "num_return_sequences=33: .* at most the 32 samples"),
    ],
)
def test_settings_are_refused_before_anything_is_decoded(decoder, settings, words):
    with pytest.raises(ValueError, match=words):
        decoder(**settings)


def test_a_beam_s_tree_has_the_words_of_its_translation():
    subject, decoder = translator(), Beam(3)
    [[best]] = subject.decode(["the cat sleeps."], decoder)
    tree = subject.beam_tree("the cat sleeps.", decoder)
    words = [node.word for node in tree if node.winner]
    assert words == subject.target_vocabulary.labels([subject.start, *best.ids, *([2] if best.finished else [])])
    last = [node for node in tree if node.winner][-1]
    assert last.log_probability == pytest.approx(best.log_probability, rel=1e-5)
    assert any(not node.kept for node in tree)
    with pytest.raises(ValueError, match="no word"):
        subject.beam_tree("", decoder)


def test_the_next_word_is_that_of_greedy_decoding():
    subject = translator()
    [[best]] = subject.decode(["the cat sleeps."], Greedy())
    logits, words = subject.next_word("the cat sleeps.")
    assert logits.shape == (len(words),) == (len(subject.target_vocabulary),)
    assert int(logits.argmax()) == [*best.ids, 2][0]
    after = subject.target_vocabulary.decode(best.ids[:3])
    if subject.target_vocabulary.encode(after) == best.ids[:3]:
        assert int(subject.next_word("the cat sleeps.", after)[0].argmax()) == [*best.ids, 2][3]


def test_a_look_has_a_word_for_every_row_and_column_of_the_maps():
    look = translator().look("the cat sleeps.")
    weights = look.cache["decoder"]["blocks"][0]["cross_attention"]["weights"]
    assert weights.shape == (1, 2, len(look.target), len(look.source))
    assert look.source == ["the", "cat", "sleeps", ".", "<eos>"]
    assert look.target[-1] == "<eos>"
    with pytest.raises(ValueError, match="no word"):
        translator().look("")


def test_a_strategy_is_told_each_sentence_s_number_among_all_and_its_own_limit():
    asked = []

    class Asks(Greedy):
        def search(self, model, source, sentences, *, start, eos, max_new_tokens):
            asked.append(([list(map(int, row)) for row in source], list(sentences), max_new_tokens.tolist()))
            return super().search(model, source, sentences, start=start, eos=eos, max_new_tokens=max_new_tokens)

    subject = translator()
    found = subject.search([[5, 6, 7], [], [5], [8, 9]], Asks(), batch_size=2, first=10)
    assert asked == [
        ([[5, 2, 0], [8, 9, 2]], [12, 13], [12, 14]),  # the shortest first, eos behind each, then padding
        ([[5, 6, 7, 2]], [10], [16]),
    ]
    assert [len(hypotheses) for hypotheses in found] == [1, 1, 1, 1]
    assert (found[1][0].ids, found[1][0].finished) == ([], True)
    alone = subject.search([[8, 9]], Greedy())
    assert found[3][0].ids == alone[0][0].ids


def test_one_string_is_not_a_list_of_sentences():
    with pytest.raises(TypeError, match="give a list of sentences"):
        translator().translate("the cat")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "giant"}, "does not fit"),
        ({"config": {"source_vocab": 3}}, "does not fit"),
        ({"config": {"source_vocab": 9, "target_vocab": 7, "wings": 2}}, "has no wings"),
        ({"source_vocabulary": {"kind": "runes"}}, "runes"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named(tmp_path, change, message):
    saved = translator()
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, saved.arrays(), {**saved.description(), **change})
    with pytest.raises(CheckpointError, match=message) as caught:
        Translator.load(path)
    assert str(path) in str(caught.value)


def test_a_tensor_that_is_missing_or_misshapen_is_named(tmp_path):
    saved = translator()
    path = tmp_path / "checkpoint.npz"
    arrays = saved.arrays()
    name = "encoder.blocks.0.attention.query.weight"
    save_checkpoint(path, {**arrays, f"model.{name}": np.zeros((3, 3))}, saved.description())
    with pytest.raises(CheckpointError, match=rf"{name} is of shape \(3, 3\): minimal needs \(8, 8\)"):
        Translator.load(path)
    del arrays[f"model.{name}"]
    save_checkpoint(path, arrays, saved.description())
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        Translator.load(path)


def test_build_model_names_what_does_not_fit():
    with pytest.raises(ValueError, match="name='giant': must be one of"):
        build_model("giant", MinimalConfig(5, 5), np.random.default_rng(0))
    with pytest.raises(ValueError, match="takes a TransformerConfig"):
        build_model("transformer", MinimalConfig(5, 5), np.random.default_rng(0))
    assert isinstance(build_model("minimal", MinimalConfig(5, 5, 4), np.random.default_rng(0)), MinimalTransformer)


def test_a_look_and_a_translation_print_themselves():
    look = translator().look("the cat sleeps.")
    lines = repr(look).splitlines()
    assert lines[0] == " ".join(look.source)
    assert lines[1] == "-> " + " ".join(look.target)
    assert lines[2:] == repr(look.cache).splitlines()
    assert "<summary>cache</summary><table>" in look._repr_html_()
    page = Translation("<b>", [5, 6], -1.5, False, -0.75)._repr_html_()
    assert page == "<p>&lt;b&gt;<br><small>log-probability -1.5, score -0.75, 2 tokens, cut off</small></p>"
    assert "cut off" not in Translation("", [], -1.5, True, -0.75)._repr_html_()


def test_minimum_bayes_risk_is_of_32_samples_by_chrf_unless_told_otherwise():
    wanted = MinimumBayesRisk(Sampling(0, num_return_sequences=32), chrf, 1)
    assert MinimumBayesRisk() == wanted
    assert MinimumBayesRisk(Sampling(0, num_return_sequences=3), num_return_sequences=3).num_return_sequences == 3


def test_vocabularies_and_the_start_have_as_many_ids_as_the_model():
    check_vocabularies({"source_vocab": 5, "target_vocab": 7}, 5, 7, 6)
    check_vocabularies({"source_vocab": 5, "target_vocab": None}, 5, 5, 0)
    check_vocabularies({"vocab": 5}, 5, 5, 4)
    for source, target in ((4, 7), (5, 6), (7, 5)):
        with pytest.raises(ValueError, match=f"vocabularies of {source} and {target} tokens do not fit a model of"):
            check_vocabularies({"source_vocab": 5, "target_vocab": 7}, source, target, 0)
    for start in (-1, 7):
        with pytest.raises(ValueError, match=f"start={start}: must be an id of the target's 7 tokens"):
            check_vocabularies({"source_vocab": 5, "target_vocab": 7}, 5, 7, start)
