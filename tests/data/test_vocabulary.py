import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitransformer.data import (
    BytePairVocabulary,
    CharacterVocabulary,
    WordVocabulary,
    vocabulary_from_dict,
)

MARKED = st.text(st.sampled_from("⁀▁ aé1'’-?!.,«(»)\"\u00a0\u202f\n\u0301<unk>"), max_size=20)
TEXT = st.one_of(st.text(max_size=30), MARKED)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("C'est l'homme.", ["C'", "est", "l'", "homme", "."]),
        ("Avez-vous faim ?", ["Avez", "-vous", "faim", " ?"]),
        ("Où va-t-il\u202f?", ["Où", "va", "-t", "-il", "\u202f?"]),
        ("It's Tom, isn't it?", ["It", "'s", "Tom", ",", "isn", "'t", "it", "?"]),
        ("a  b", ["a", " ", " ", "b"]),
        ("3.5", ["3", ".", "⁀", "5"]),
        ("oui .", ["oui", " ", "."]),
        ('"no"', ['"', "⁀", "no", "⁀", '"']),
        ("a⁀b", ["a", "⁀", "⁀⁀", "⁀", "b"]),
        ("cafe\u0301 हिन्दी", ["cafe\u0301", "हिन्दी"]),
        ("", []),
    ],
)
def test_text_is_cut_into_words_punctuation_and_marks_of_spacing(text, pieces):
    vocabulary = WordVocabulary(())
    assert vocabulary.split(text) == pieces
    assert vocabulary.join(pieces) == text


@given(TEXT)
@settings(deadline=None)
@example("⁀")
@example("▁ ▁▁")
@example(" a ⁀⁀ b ")
@example("« a \u00a0?  !")
@example("<pad> <unk>")
def test_any_text_comes_back_exactly(text):
    for vocabulary in (
        WordVocabulary.build([text]),
        CharacterVocabulary.build([text]),
        BytePairVocabulary.train([text, text], size=60),
    ):
        ids = vocabulary.encode(text)
        assert vocabulary.unknown(text) == []
        assert all(i >= 4 for i in ids)
        assert vocabulary.decode(ids) == text
        assert len(vocabulary.labels(ids)) == len(ids)
        assert all(label.isprintable() and label for label in vocabulary.labels(ids))


@given(TEXT, TEXT)
@settings(deadline=None)
def test_text_without_unknown_pieces_comes_back_from_a_vocabulary_of_other_text(built_from, text):
    for vocabulary in (
        WordVocabulary.build([built_from]),
        CharacterVocabulary.build([built_from]),
        BytePairVocabulary.train([built_from], size=60, min_frequency=1),
    ):
        ids = vocabulary.encode(text)
        assert (vocabulary.unk in ids) == bool(vocabulary.unknown(text))
        if vocabulary.unk not in ids:
            assert vocabulary.decode(ids) == text


@given(TEXT)
@settings(deadline=None)
def test_a_lowercase_vocabulary_gives_the_text_back_in_lower_case(text):
    vocabulary = WordVocabulary.build([text], lowercase=True)
    assert vocabulary.decode(vocabulary.encode(text)) == text.lower()


def test_special_tokens_have_the_same_ids_in_every_vocabulary():
    for vocabulary in (
        WordVocabulary(["a"]),
        CharacterVocabulary(["a"]),
        BytePairVocabulary(["▁", "a"], [("▁", "a")]),
    ):
        assert vocabulary.tokens[:4] == ("<pad>", "<bos>", "<eos>", "<unk>")
        assert (vocabulary.pad, vocabulary.bos, vocabulary.eos, vocabulary.unk) == (0, 1, 2, 3)
        assert vocabulary.token_id["<eos>"] == 2
        assert [vocabulary.token_id[token] for token in vocabulary.tokens] == list(range(len(vocabulary)))


def test_text_that_spells_a_special_token_does_not_become_one():
    for vocabulary in (
        WordVocabulary.build(["<eos> <pad>"]),
        CharacterVocabulary.build(["<eos> <pad>"]),
        BytePairVocabulary.train(["<eos> x<eos><pad>"] * 9, size=40),
    ):
        assert min(vocabulary.encode("<eos> <pad>x<eos>")) >= 3


def test_decoding_drops_padding_and_stops_at_the_end_of_the_sequence():
    vocabulary = WordVocabulary(["l'", "homme", "?"])
    assert vocabulary.decode([1, 4, 5, 0, 3, 6, 2, 5, 2]) == "l'homme <unk>?"
    assert vocabulary.decode(np.array([[5, 2]])[0]) == "homme"
    assert vocabulary.decode([]) == ""


def test_frequent_words_come_first_and_equal_ones_by_alphabet():
    vocabulary = WordVocabulary.build(["b a c c", "c b a d"])
    assert vocabulary.tokens[4:] == ("⁀", " ", "c", "a", "b", "d")
    assert WordVocabulary.build(["b a c c", "c b a d"], min_count=2).tokens[6:] == ("c", "a", "b")
    assert WordVocabulary.build(["b a c c", "c b a d"], max_size=8).tokens[6:] == ("c", "a")


def test_unknown_words_are_named_once_in_order():
    vocabulary = WordVocabulary.build(["the cat ."])
    assert vocabulary.unknown('the "dog" saw the fox, the dog.') == ['"', "dog", "saw", "fox", ","]
    assert vocabulary.encode("the dog.") == [vocabulary.token_id["the"], 3, vocabulary.token_id["."]]
    assert CharacterVocabulary.build(["abc"]).unknown("xaxyb") == ["x", "y"]


def test_a_known_mark_stays_known_where_a_new_space_stands_before_it():
    vocabulary = WordVocabulary.build(["Is he?"])
    assert vocabulary.unknown("Is he ?") == []
    assert vocabulary.decode(vocabulary.encode("Is he ?")) == "Is he ?"
    assert WordVocabulary(["he", "?"]).encode("he ?") == [4, 5]


def test_token_lists_need_no_text():
    vocabulary = WordVocabulary(["0", "1", "2"])
    assert vocabulary.encode_tokens(["2", "0", "9"]) == [6, 4, 3]
    assert vocabulary.decode([6, 4]) == "2 0"


def test_labels_are_what_a_reader_sees():
    vocabulary = WordVocabulary.build(["Où ?\n\u200b"])
    pieces = ["Où", " ?", "\n", "\u200b", "⁀", " ", "<eos>"]
    assert vocabulary.labels(vocabulary.encode_tokens(pieces)) == ["Où", "?", "\\n", "\\u200b", "⁀", "␣", "<eos>"]


def test_description_survives_json():
    text = "Vous aimez l'été ? \ud800 ▁"
    for vocabulary in (
        WordVocabulary.build([text], lowercase=True),
        WordVocabulary.build([text]),
        CharacterVocabulary.build([text]),
        BytePairVocabulary.train([text] * 3, size=40),
    ):
        again = vocabulary_from_dict(json.loads(json.dumps(vocabulary.to_dict())))
        assert again == vocabulary
        assert hash(again) == hash(vocabulary)
        assert again.tokens == vocabulary.tokens
        assert again.encode(text) == vocabulary.encode(text)


def test_vocabularies_of_different_rules_or_tokens_differ():
    assert WordVocabulary(["a"]) != CharacterVocabulary(["a"])
    assert WordVocabulary(["a"]) != WordVocabulary(["b"])
    assert WordVocabulary(["a"]) != WordVocabulary(["a"], lowercase=True)
    assert WordVocabulary(["a"]) != ["a"]


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "kind of vocabulary is None; allowed are"),
        ({"kind": "words"}, "kind of vocabulary is 'words'"),
        ({"kind": ["word"]}, "kind of vocabulary is"),
        ({"kind": "word", "tokens": "abc", "lowercase": False}, "'tokens' of the stored vocabulary is a str"),
        ({"kind": "word", "tokens": ["a"]}, "'lowercase' of the stored vocabulary is a NoneType"),
        ({"kind": "word", "tokens": ["a", 3], "lowercase": False}, r"tokens\[1\] is 3"),
        ({"kind": "word", "tokens": ["a", "a"], "lowercase": False}, r"tokens\[1\] is 'a' once more"),
        ({"kind": "word", "tokens": ["<eos>"], "lowercase": False}, r"tokens\[0\] is '<eos>' once more"),
        ({"kind": "character", "tokens": ["ab"]}, r"tokens\[0\] is 'ab'; a token is one character"),
        ({"kind": "byte_pair", "alphabet": ["a"], "merges": [["a"]]}, r"merges\[0\] of the stored"),
        ({"kind": "byte_pair", "alphabet": ["a"], "merges": [["a", "b"]]}, "'b' is no piece"),
        ({"kind": "byte_pair", "alphabet": ["a", 1], "merges": []}, r"tokens\[1\] is 1"),
    ],
)
def test_a_wrong_description_is_refused(description, message):
    with pytest.raises(ValueError, match=message):
        vocabulary_from_dict(description)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([5], ValueError, "ids contains 5; allowed are 0 to 4"),
        ([-1], ValueError, "ids contains -1"),
        ([1.0], TypeError, "ids contains 1.0; allowed are whole numbers"),
        ([True], TypeError, "ids contains True"),
        (np.zeros((2, 2), int), TypeError, "ids contains array"),
        (4, TypeError, "ids is 4"),
    ],
)
def test_wrong_ids_are_named(ids, error, message):
    vocabulary = WordVocabulary(["a"])
    with pytest.raises(error, match=message):
        vocabulary.decode(ids)
    with pytest.raises(error, match=message):
        vocabulary.labels(ids)


def test_wrong_arguments_are_named():
    vocabulary = WordVocabulary(["a"])
    with pytest.raises(TypeError, match="text is b'a'"):
        vocabulary.encode(b"a")
    with pytest.raises(TypeError, match="tokens is the string 'a b'"):
        vocabulary.encode_tokens("a b")
    with pytest.raises(TypeError, match="texts is the string 'abc'"):
        WordVocabulary.build("abc")
    with pytest.raises(TypeError, match="texts is the string 'abc'"):
        CharacterVocabulary.build("abc")
    with pytest.raises(ValueError, match="min_count is 0; allowed are whole numbers from 1"):
        WordVocabulary.build(["a"], min_count=0)
    with pytest.raises(ValueError, match="max_size is 5; allowed are None and whole numbers from 6"):
        WordVocabulary.build(["a"], max_size=5)
