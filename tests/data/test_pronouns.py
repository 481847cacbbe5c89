"""The pronoun can be found by sense and gender, and by nothing simpler."""

from collections import Counter

import numpy as np
import pytest

from minitransformer.data.english_french.lexicon import NOUNS
from minitransformer.data.english_french.pronouns import CONSTRUCTIONS, noun_pair_held_out
from minitransformer.data.english_french.task import EnglishFrench

NOUN = {noun.english: noun for noun in NOUNS}


@pytest.fixture(scope="module")
def task():
    return EnglishFrench()


@pytest.fixture(scope="module")
def sentences(task):
    return [e for e in task.sample(np.random.default_rng(21), 40_000) if e.pronoun is not None]


def antecedent_of(example):
    return NOUN[example.english[example.antecedent]]


def distractor_of(example):
    return NOUN[example.english[example.distractor]]


def test_the_pronoun_has_the_gender_of_its_antecedent(task, sentences):
    for example in sentences + task.sample_hard(np.random.default_rng(0), 1_000):
        assert example.english[example.pronoun] == "it"
        assert example.english.count("it") == 1
        assert antecedent_of(example) is not distractor_of(example)
        assert max(example.antecedent, example.distractor) < example.pronoun
        expected = "il" if antecedent_of(example).gender == "m" else "elle"
        assert example.french[example.french_pronoun] == expected


def test_every_construction_keeps_all_gender_pairs_in_either_split():
    for construction in CONSTRUCTIONS:
        assert set(construction.train_pairs).isdisjoint(construction.test_pairs)
        for pairs in (construction.train_pairs, construction.test_pairs):
            assert len({(x.gender, y.gender) for x, y in pairs}) == 4


def test_a_predicate_fits_only_one_of_the_two_nouns():
    for construction in CONSTRUCTIONS:
        assert not set(construction.fits_x) & set(construction.fits_y)


def test_constructions_come_in_both_orders():
    assert Counter(construction.x_first for construction in CONSTRUCTIONS) == {True: 12, False: 12}


def test_no_simple_rule_finds_the_antecedent(sentences):
    n = len(sentences)
    nearest = sum(e.antecedent > e.distractor for e in sentences) / n
    assert 0.48 < nearest < 0.52  # so the first noun is no better a guess
    masculine = sum(e.french[e.french_pronoun] == "il" for e in sentences) / n
    assert 0.48 < masculine < 0.52
    with_noun_subjects = [e for e in sentences if "because" in e.english]
    subject = sum(e.antecedent < e.distractor for e in with_noun_subjects) / len(with_noun_subjects)
    assert 0.48 < subject < 0.52


def test_gender_says_nothing_about_order_or_role_and_differs_in_five_sentences_of_six(sentences):
    cells = Counter((e.antecedent > e.distractor, antecedent_of(e).gender, distractor_of(e).gender) for e in sentences)
    assert len(cells) == 8
    for (_, antecedent, distractor), count in cells.items():
        expected = 1 / 24 if antecedent == distractor else 5 / 24
        assert abs(count / len(sentences) - expected) < 0.015


def test_every_noun_is_seen_in_either_role(sentences):
    nouns = {noun for c in CONSTRUCTIONS for noun in c.x_nouns + c.y_nouns}
    assert {antecedent_of(e) for e in sentences} == {distractor_of(e) for e in sentences} == nouns


@pytest.mark.parametrize("split", ["train", "test"])
def test_hard_and_easy_differ_in_which_noun_is_nearer(task, split):
    for draw, antecedent_is_nearer in ((task.sample_hard, False), (task.sample_easy, True)):
        for example in draw(np.random.default_rng(5), 400, split=split):
            assert antecedent_of(example).gender != distractor_of(example).gender
            assert (example.antecedent > example.distractor) == antecedent_is_nearer
            held_out = noun_pair_held_out(antecedent_of(example), distractor_of(example))
            assert held_out == (split == "test")


def test_hard_sentences_come_from_every_construction(task):
    examples = task.sample_hard(np.random.default_rng(6), 1_000)
    assert {example.template for example in examples} == {construction.name for construction in CONSTRUCTIONS}
    masculine = sum(example.french[example.french_pronoun] == "il" for example in examples) / 1_000
    assert 0.4 < masculine < 0.6


def test_swapping_the_antecedent_flips_the_pronoun_and_changes_one_english_word(task):
    rng = np.random.default_rng(7)
    for example in task.sample_hard(rng, 300) + task.sample_easy(rng, 300):
        swapped = task.swap_antecedent(example, rng)
        pronouns = {e.french[e.french_pronoun] for e in (example, swapped)}
        assert pronouns == {"il", "elle"}
        changed = [i for i, pair in enumerate(zip(example.english, swapped.english)) if len(set(pair)) == 2]
        assert changed == [example.antecedent]


def test_swapping_the_distractor_leaves_pronoun_and_predicate(task):
    rng = np.random.default_rng(8)
    for example in task.sample_hard(rng, 300) + task.sample_easy(rng, 300):
        swapped = task.swap_distractor(example, rng)
        assert swapped.french[swapped.french_pronoun :] == example.french[example.french_pronoun :]
        changed = [i for i, pair in enumerate(zip(example.english, swapped.english)) if len(set(pair)) == 2]
        assert changed == [example.distractor]


def test_a_swapped_noun_pair_leaves_the_test_split_only_where_no_other_is_held_out(task):
    rng = np.random.default_rng(9)
    for example in task.sample_hard(rng, 300):
        swapped = task.swap_antecedent(example, rng)
        new, kept = antecedent_of(swapped), distractor_of(swapped)
        if not noun_pair_held_out(new, kept):
            pairs = example.derivation.construction.test_pairs
            partners = {x if y is kept else y for x, y in pairs if kept in (x, y)}
            role = 0 if example.derivation.means == "x" else 1
            candidates = {pair[role] for pair in pairs} & partners - {kept}
            assert not {noun for noun in candidates if noun.gender == new.gender}


def test_only_pronoun_sentences_can_be_swapped(task):
    plain = next(e for e in task.sample(np.random.default_rng(0), 50) if e.pronoun is None)
    with pytest.raises(ValueError, match="only pronoun sentences"):
        task.swap_antecedent(plain, np.random.default_rng(0))
