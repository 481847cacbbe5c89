"""The tables of words are complete, regular where French is regular, and balanced where the task needs it."""

import pytest

from minitransformer.data.english_french import lexicon
from minitransformer.data.english_french.lexicon import ADJECTIVES, NOUNS, VERBS


def test_every_noun_has_a_gender_and_its_own_english_name():
    assert {noun.gender for noun in NOUNS} == {"m", "f"}
    assert len({noun.english for noun in NOUNS}) == len(NOUNS)


@pytest.mark.parametrize(
    "name", ["PEOPLE", "ANIMALS", "FRUITS", "GOODS", "FURNITURE", "CONTAINERS", "OPENINGS", "SHOPS", "PLACES"]
)
def test_a_class_of_nouns_has_as_many_masculine_as_feminine_ones(name):
    genders = [noun.gender for noun in getattr(lexicon, name)]
    assert genders.count("m") == genders.count("f") > 1


def test_plurals_follow_the_french_rule_or_a_known_exception():
    for noun in NOUNS:
        if not noun.french_plural:
            continue
        singular = noun.french
        if singular[-1] in "sxz":
            expected = singular
        elif singular.endswith(("eau", "hibou")):
            expected = singular + "x"
        elif singular.endswith("al"):
            expected = singular[:-1] + "ux"
        else:
            expected = singular + "s"
        assert noun.french_plural == expected


def test_adjectives_form_their_plurals_by_rule():
    for adjective in ADJECTIVES.values():
        m, f, m_plural, f_plural = adjective.forms
        assert f.endswith("e")
        assert f_plural == f + "s"
        if m[-1] in "sx":
            assert m_plural == m
        elif m.endswith("eau"):
            assert m_plural == m + "x"
        else:
            assert m_plural == m + "s"


def test_only_three_adjectives_change_before_a_vowel():
    changing = {a.english: a.before_vowel for a in ADJECTIVES.values() if a.before_vowel != a.forms[0]}
    assert changing == {"beautiful": "bel", "new": "nouvel", "old": "vieil"}


def test_agreement_reads_the_right_column():
    white = ADJECTIVES["white"]
    assert [white.agree(g, p) for p in (False, True) for g in "mf"] == ["blanc", "blanche", "blancs", "blanches"]


def test_conjugations_have_the_endings_of_their_persons():
    for name, verb in VERBS.items():
        if not verb.present:
            continue
        je, tu, _, nous, ils = verb.present
        assert len(verb.present) == len(verb.future) == 5
        assert tu.endswith(("s", "x"))
        assert nous.endswith("ons")
        assert ils.endswith(("ent", "ont"))
        if je.endswith("e"):
            assert (tu, verb.present[2]) == (je + "s", je)
        assert [form[-2:] for form in verb.future] == ["ai", "as", "ra", "ns", "nt"], name


def test_future_and_participle_of_irregular_verbs_are_the_irregular_ones():
    assert VERBS["see"].future[0] == "verrai"
    assert VERBS["go"].future[2] == "ira"
    assert VERBS["have"].future[3] == "aurons"
    assert VERBS["open"].participle == "ouvert"
    assert VERBS["wait for"].particle == "for"
    assert {name for name, verb in VERBS.items() if verb.auxiliary == "être"} == {"go", "arrive", "return", "stay"}


def test_words_are_found_by_their_english_names():
    assert [noun.french for noun in lexicon.nouns("car apple")] == ["voiture", "pomme"]
    assert [a.forms[1] for a in lexicon.adjectives("old new")] == ["vieille", "nouvelle"]
    assert lexicon.verbs("look at")[0].participle == "regardé"
    with pytest.raises(KeyError):
        lexicon.nouns("unicorn")
