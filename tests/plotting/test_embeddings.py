"""Principal components: coordinates agree with the eigenvectors of the covariance, another road to the same."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import embedding_map, embeddings_before_after


def points_of(ax):
    return np.vstack([np.column_stack(line.get_data()) for line in ax.lines if line.get_linestyle() == "None"])


def test_points_lie_where_the_covariance_says(rng):
    vectors = rng.standard_normal((7, 5)) * [3, 1, 1, 2, 1]
    words = list("abcdefg")
    ax = embedding_map(vectors, words)
    centred = vectors - vectors.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    wanted = centred @ directions[:, [-1, -2]]
    points = points_of(ax)
    np.testing.assert_allclose(np.abs(points), np.abs(wanted), atol=1e-12)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()  # always the same sign
    share = variances[-1] / variances.sum()
    assert f"{share:.0%}" in ax.get_xlabel()


def test_groups_share_a_mark_and_a_name(rng):
    ax = embedding_map(rng.standard_normal((4, 3)), ["cat", "dog", "I", "."], {"nouns": ["cat", "dog"], "we": ["I"]})
    sizes = {line.get_label(): len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"}
    assert sizes == {"nouns": 2, "we": 1, "other": 1}


def test_labels_do_not_touch(rng, twenty, assert_legible):
    vectors = np.repeat(rng.standard_normal((5, 6)), 4, axis=0) + 0.05 * rng.standard_normal((20, 6))  # crowded
    assert_legible(embedding_map(vectors, twenty, {"a": twenty[:4], "b": twenty[4:9]}).figure)


def test_where_there_is_no_room_beside_a_mark_its_word_stands_farther_off_with_a_line_to_it(rng, assert_legible):
    crowd = 0.3 * rng.standard_normal((7, 4))
    far = 8 * np.array([[1, 1, 0, 0], [-1, 1, 0, 0], [1, -1, 0, 0], [-1, -1, 0, 0]])
    words = [f"word{i}" for i in range(11)]
    ax = embedding_map(np.vstack([crowd, far]), words)
    assert sorted(text.get_text() for text in ax.texts) == sorted(words)
    assert any(text.arrow_patch is not None for text in ax.texts)
    assert all(text.arrow_patch is not None for text in ax.texts if abs(text.xyann[1]) > 8)  # points
    assert_legible(ax.figure)


def test_before_and_after_stand_side_by_side(rng, twenty, assert_legible):
    before, after = rng.standard_normal((2, 20, 6))
    axes = embeddings_before_after(before, after, twenty, {"a": twenty[:4], "b": twenty[4:9]})
    assert [ax.get_title(loc="left").split()[0] for ax in axes] == ["before", "after"]
    for ax, vectors in zip(axes, (before, after)):
        alone = embedding_map(vectors, twenty, {"a": twenty[:4], "b": twenty[4:9]})
        np.testing.assert_array_equal(points_of(ax), points_of(alone))
    assert_legible(axes[0].figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: embedding_map(np.zeros(3), ["a"]), r"vectors has shape \(3,\)"),
        (lambda: embedding_map(np.zeros((3, 2)), ["a"]), "words has 1 words: .* asks for 3"),
        (lambda: embeddings_before_after(np.zeros((3, 2)), np.zeros((3, 4)), ["a"]), r"after has shape \(3, 4\)"),
        (lambda: embeddings_before_after(np.zeros((3, 2)), np.zeros((3, 2)), ["a"]), "words has 1 words"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not plt.get_fignums()
