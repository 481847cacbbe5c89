"""Text of every kind: read, cut, numbered, put together again, or refused with a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitransformer.data import (
    BytePairVocabulary,
    CharacterVocabulary,
    DataError,
    LanguageVocabulary,
    WordVocabulary,
    read_aligned,
    read_pairs,
    split_by_source,
    vocabulary_from_dict,
)
from minitransformer.data.reading import read_lines

from .harness import JSON, NUMBER, TEXT, WHOLE, generated, holds

LINE_END = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b""])
FRAGMENT = st.one_of(
    TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=12),
    st.sampled_from(
        [b"\t", b"a\tb", b"\xef\xbb\xbf", b"\xff\xfea\0", b"\0", b"x" * 100_000, b"\xc3", b"\x85", b"\xe2\x80\xa8"]
    ),
)
FILES = st.lists(st.tuples(FRAGMENT, LINE_END), max_size=6).map(lambda parts: b"".join(a + b for a, b in parts))
BUILDERS = (
    CharacterVocabulary.build,
    WordVocabulary.build,
    lambda texts: WordVocabulary.build(texts, lowercase=True),
    lambda texts: BytePairVocabulary.train(texts, 40),
)


@given(FILES, FILES)
@generated(4)
def test_files_of_any_bytes(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("files", numbered=True)
    one, two = folder / "one", folder / "two"
    one.write_bytes(first)
    two.write_bytes(second)
    for call in (lambda: read_lines(one), lambda: read_pairs(one), lambda: read_aligned(one, two)):
        result = holds(call)
        for line in result or ():
            assert "\n" not in line
    assert (one.read_bytes(), two.read_bytes()) == (first, second)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8), st.lists(NUMBER, max_size=4), st.one_of(WHOLE, st.just(0.5)))
@generated(2)
def test_splits(pairs, fractions, seed):
    parts = holds(lambda: split_by_source(pairs, fractions, seed))
    if parts is not None:
        assert sorted(pair for part in parts for pair in part) == sorted(pairs)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=3, max_size=8))
@generated(2)
def test_no_source_is_in_two_parts(pairs):
    parts = holds(lambda: split_by_source(pairs, (0.6, 0.4)))
    if parts is not None:
        one, two = ({" ".join(source.casefold().split()) for source, _ in part} for part in parts)
        assert not one & two


@given(st.sampled_from(BUILDERS), st.lists(TEXT, max_size=5), TEXT)
@generated(4)
def test_vocabularies_of_any_text(build, texts, other):
    vocabulary = holds(lambda: build(texts))
    if vocabulary is None:
        return
    assert vocabulary_from_dict(vocabulary.to_dict()) == vocabulary
    encoded = holds(lambda: vocabulary.encode(other))
    assert all(0 <= i < len(vocabulary) for i in encoded)
    holds(lambda: vocabulary.decode(encoded))
    holds(lambda: vocabulary.unknown(other))
    assert all(label.isprintable() for label in vocabulary.labels(range(len(vocabulary))))
    if build is CharacterVocabulary.build:
        for text in texts:
            assert vocabulary.decode(vocabulary.encode(text)) == text


@given(st.lists(st.one_of(WHOLE, NUMBER, st.booleans(), st.text(max_size=2), st.none()), max_size=5))
@generated(2)
def test_ids_of_any_kind(ids):
    vocabulary = WordVocabulary(["a", "b"])
    holds(lambda: vocabulary.decode(ids))
    holds(lambda: vocabulary.labels(ids))
    holds(lambda: vocabulary.decode(np.array([i for i in ids if isinstance(i, int) and abs(i) < 2**62])))


@given(st.one_of(st.none(), WHOLE, TEXT, st.lists(st.one_of(WHOLE, TEXT), max_size=3)))
@generated()
def test_what_is_no_text(value):
    for vocabulary in (WordVocabulary(["a"]), CharacterVocabulary(["a"]), BytePairVocabulary(["a"], [])):
        holds(lambda vocabulary=vocabulary: vocabulary.encode(value))
    for build in BUILDERS:
        holds(lambda build=build: build(value if isinstance(value, (str, list)) else [value]))


@given(
    st.one_of(
        JSON,
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["word", "character", "bpe", "language", "x"])},
            optional={
                "tokens": st.one_of(JSON, st.lists(TEXT, max_size=3)),
                "lowercase": st.one_of(JSON, st.booleans()),
                "alphabet": st.one_of(JSON, st.lists(TEXT, max_size=3)),
                "merges": st.one_of(JSON, st.lists(st.lists(TEXT, max_size=3), max_size=3)),
                "language": st.one_of(JSON, st.sampled_from(["english", "french"])),
            },
        ),
    )
)
@generated(4)
def test_stored_vocabularies_of_anything(description):
    vocabulary = holds(lambda: vocabulary_from_dict(description))
    if vocabulary is not None:
        assert vocabulary_from_dict(vocabulary.to_dict()) == vocabulary


@given(st.lists(TEXT, max_size=3), st.text(max_size=8))
@generated()
def test_languages(tokens, language):
    holds(lambda: LanguageVocabulary(tokens, language))


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "/", "/dev/null/x"])
def test_paths_that_are_none(path):
    with pytest.raises(DataError, match="allowed"):
        read_pairs(path)
