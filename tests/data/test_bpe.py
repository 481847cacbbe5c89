import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitransformer.data import BytePairVocabulary
from minitransformer.data.bpe import learn_merges

# The example of Sennrich et al. (2016), with the mark of the boundary before the word instead of after it.
TEXTS = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3


def test_merges_of_the_paper_s_example_are_those_found_by_hand():
    # es 9 = st 9 (e before s); es+t 9; w+e had 8, of which 6 are now w+est.
    # lo 7 = ow 7 = ▁l 7 (l before o before ▁); lo+w 7 = ▁+lo 7; ▁+low 7.
    # ew 6 = ne 6 = w+est 6 = ▁n 6; ew+est 6 = n+ew 6 = ▁n 6; n+ewest 6 = ▁n 6; ▁+newest 6.
    # de.. : d+est 3 = id 3 = wi 3 = ▁w 3; i+dest 3; w+idest 3; ▁+widest 3.  e+r 2 = w.. : ▁low+e 2; er first.
    expected = [
        "e s", "es t", "l o", "lo w", "▁ low",
        "e w", "ew est", "n ewest", "▁ newest",
        "d est", "i dest", "w idest", "▁ widest",
        "e r", "▁low er",
    ]  # fmt: skip
    vocabulary = BytePairVocabulary.train(TEXTS, size=100)
    assert [f"{left} {right}" for left, right in vocabulary.merges] == expected


def test_tokens_are_special_tokens_then_characters_then_merges():
    vocabulary = BytePairVocabulary.train(TEXTS, size=4 + 11 + 3)
    assert vocabulary.tokens[4:] == (*"deilnorstw", "▁", "es", "est", "lo")


def test_new_words_are_cut_by_the_merges_in_the_order_of_learning():
    vocabulary = BytePairVocabulary.train(TEXTS, size=4 + 11 + 5)  # es, est, lo, low, ▁low
    assert vocabulary.split("lowest") == ["▁low", "est"]
    assert vocabulary.split("slow newer") == ["▁", "s", "low", "▁", "n", "e", "w", "e", "r"]


def test_the_earlier_merge_wins_over_the_one_further_left():
    vocabulary = BytePairVocabulary("▁abc", [("b", "c"), ("a", "b")])
    assert vocabulary.split("abc ab") == ["▁", "a", "bc", "▁", "ab"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("L'un va-t-il ?", ["▁L'", "un", "▁va", "-t", "-il", "▁?"]),
        ("va\u202f? « Oui. »", ["▁va", "\u202f?", "▁«", "▁Oui", ".", "▁»"]),
        ("a  a\n\na ", ["▁a", "▁", "▁a", "\n\n", "a", "▁"]),
        (" ", ["▁", "▁"]),
        ("", []),
        ("▁a ▁", ["▁", "▁▁", "a", "▁", "▁▁"]),
    ],
)
def test_pieces_end_at_spaces_and_punctuation(text, pieces):
    vocabulary = BytePairVocabulary.train([text] * 2, size=99)
    assert vocabulary.split(text) == pieces
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_overlapping_pairs_are_merged_from_the_left():
    # a a a a a -> aa aa a; now aa+a 3 = aa+aa 3, and "a" comes before "aa": aa aaa.
    assert learn_merges({"aaaaa": 3}, 9) == [("a", "a"), ("aa", "a"), ("aa", "aaa")]


def test_pairs_rarer_than_min_frequency_stay_apart():
    assert BytePairVocabulary.train(["ab", "ab", "cd"], size=99, min_frequency=2).tokens[9:] == ("ab", "▁ab")
    assert "▁cd" in BytePairVocabulary.train(["ab", "ab", "cd"], size=99, min_frequency=1).tokens


def learn_slowly(word_counts, n_pieces, min_frequency):
    """The algorithm of the paper as it is printed there: every pair is counted anew before every merge."""
    words = {word: list(word) for word in word_counts}
    merges, made = [], set()
    while len(made) < n_pieces:
        pairs = Counter()
        for word, symbols in words.items():
            for i in range(len(symbols) - 1):
                pairs[symbols[i], symbols[i + 1]] += word_counts[word]
        frequent = [pair for pair in pairs if pairs[pair] >= min_frequency]
        if not frequent:
            break
        best = min(frequent, key=lambda pair: (-pairs[pair], pair))
        if best not in merges:
            merges.append(best)
        made.add("".join(best))
        for symbols in words.values():
            i = 0
            while i < len(symbols) - 1:
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i : i + 2] = ["".join(best)]
                i += 1
    return merges


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=9), st.integers(1, 5), max_size=12),
    st.integers(0, 12),
    st.integers(1, 4),
)
@settings(deadline=None, max_examples=100)
def test_incremental_counts_learn_what_counting_anew_learns(word_counts, n_pieces, min_frequency):
    assert learn_merges(word_counts, n_pieces, min_frequency) == learn_slowly(word_counts, n_pieces, min_frequency)


@given(st.lists(st.text("abc '▁", max_size=15), max_size=8), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_the_order_of_the_texts_does_not_matter(texts, random):
    shuffled = random.sample(texts, len(texts))
    assert BytePairVocabulary.train(texts, 30) == BytePairVocabulary.train(shuffled, 30)


def test_two_merges_may_make_the_same_piece():
    vocabulary = BytePairVocabulary("▁abc", [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")])
    assert vocabulary.tokens[4:] == ("▁", "a", "b", "c", "ab", "bc", "abc")


def test_unseen_characters_are_unknown_and_named_once():
    vocabulary = BytePairVocabulary.train(TEXTS, size=40)
    assert vocabulary.unknown("low zoo ▁ z!") == ["z", "▁", "!"]
    assert vocabulary.decode(vocabulary.encode("low z")) == "low <unk>"
    assert vocabulary.encode("z") == [vocabulary.token_id["▁"], 3]


def test_labels_keep_the_mark_of_the_boundary():
    vocabulary = BytePairVocabulary.train(TEXTS, size=100)
    assert vocabulary.labels(vocabulary.encode("low newest")) == ["▁low", "▁newest"]


def test_a_very_long_word_is_cut_quickly_and_comes_back():
    vocabulary = BytePairVocabulary.train(["ab" * 40] * 2, size=30)
    text = "ab" * 50_000
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_remembered_words_are_bounded(monkeypatch):
    monkeypatch.setattr("minitransformer.data.bpe._CACHED_CHUNKS", 10)
    vocabulary = BytePairVocabulary(["▁", *string.ascii_lowercase], [])
    text = " ".join(string.ascii_lowercase)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary._pieces) <= 10


def test_the_caller_may_change_what_split_returned():
    vocabulary = BytePairVocabulary.train(TEXTS, size=100)
    vocabulary.split("lower").clear()
    assert vocabulary.split("lower") == ["▁lower"]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="size is 14; the texts have 11 different characters, so at least 15"):
        BytePairVocabulary.train(TEXTS, size=14)
    with pytest.raises(ValueError, match="min_frequency is 0; allowed are whole numbers from 1"):
        BytePairVocabulary.train(TEXTS, size=40, min_frequency=0)
    with pytest.raises(TypeError, match="texts is the string 'low'"):
        BytePairVocabulary.train("low", size=40)
    with pytest.raises(TypeError, match="text is None"):
        BytePairVocabulary.train([None], size=40)
