"""What messages show of long lists and long values."""

from minitransformer.pretrained.errors import listed, shown


def test_four_names_are_listed_and_the_rest_is_counted():
    assert listed([]) == ""
    assert listed("abcd") == "a, b, c, d"
    assert listed("abcde") == "a, b, c, d and 1 more"
    assert listed(map(str, range(1500)), most=2) == "0, 1 and 1,498 more"
    assert listed(["a\nb'", "x" * 101]) == rf"a\nb', {'x' * 100}"


def test_a_value_is_cut_after_a_hundred_characters():
    assert shown([1, "a"]) == "[1, 'a']"
    assert shown("x" * 98) == repr("x" * 98)
    assert shown("x" * 99) == f"'{'x' * 99}..."
