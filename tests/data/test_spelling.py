"""What happens where French words meet, and the way from tokens to text and back."""

import pytest

from minitransformer.data.english_french.spelling import contract, detokenize, starts_with_vowel, tokenize


@pytest.mark.parametrize(
    ("thought", "said"),
    [
        ("de le chat", "du chat"),
        ("de le homme", "de l' homme"),
        ("de les hommes", "des hommes"),
        ("à le héros", "au héros"),
        ("à les oies", "aux oies"),
        ("de le hibou", "du hibou"),
        ("à la héroïne", "à l' héroïne"),
        ("je ne y vais pas", "je n' y vais pas"),
        ("je y vais", "j' y vais"),
        ("ce homme et ma oie", "cet homme et mon oie"),
        ("parce que elle", "parce qu' elle"),
        ("que est-ce que il a vu", "qu' est-ce qu' il a vu"),
        ("la fille de les rois parle à le roi de la école", "la fille des rois parle au roi de l' école"),
        ("je la", "je la"),
        ("", ""),
    ],
)
def test_contraction_comes_after_elision(thought, said):
    assert " ".join(contract(thought.split())) == said


def test_contraction_leaves_its_argument_alone():
    words = ["de", "le", "chat"]
    contract(words)
    assert words == ["de", "le", "chat"]


def test_an_aspirated_h_is_a_consonant():
    assert starts_with_vowel("héroïne")
    assert starts_with_vowel("homme")
    assert not starts_with_vowel("héros")
    assert not starts_with_vowel("hiboux")
    assert not starts_with_vowel("")


def test_text_is_written_as_a_person_writes_it():
    french = ["qu'", "est-ce", "qu'", "elle", "a", "vu", "aujourd'hui", "?"]
    assert detokenize(french, "french") == "Qu'est-ce qu'elle a vu aujourd'hui ?"
    assert detokenize(["à", "l'", "école", ",", "j'", "y", "vais", "."], "french") == "À l'école, j'y vais."
    assert detokenize(["did", "i", "see", "a", "french", "car", "?"], "english") == "Did I see a French car?"
    assert detokenize([], "french") == ""


def test_any_french_text_can_be_cut():
    text = "L\u2019École d\u2019Aujourd\u2019hui: jusqu'à 10 h!"
    expected = ["l'", "école", "d'", "aujourd'hui", ":", "jusqu'", "à", "10", "h", "!"]
    assert tokenize(text, "french") == expected


def test_any_english_text_can_be_cut():
    text = "  I DON\u2019T know\u2026 (well-known) \n"
    assert tokenize(text, "english") == ["i", "don't", "know", "\u2026", "(", "well-known", ")"]


@pytest.mark.parametrize("language", ["english", "french"])
@pytest.mark.parametrize("text", ["", "'", "''' - ", "\x00 \U0001f600", "a'", "-'-", "l'l'l'", "\u00a0?"])
def test_strange_text_does_not_crash(text, language):
    assert detokenize(tokenize(text, language), language) is not None


def test_an_unknown_language_is_named():
    with pytest.raises(ValueError, match="'german'"):
        tokenize("ja", "german")
    with pytest.raises(ValueError, match="'german'"):
        detokenize(["ja"], "german")
