"""Boxes and arrows: what goes forward stands above an arrow, what comes back beneath."""

from minitransformer.course import diagram


def test_every_text_is_in_the_picture_and_in_its_place():
    ax = diagram(
        {"x": (0, 0, "x = 2"), "y": (2, 0, "y")}, [("x", "y", "forward", "back"), ("y", "x", "", "dy")], "Title"
    )
    texts = {text.get_text(): text for text in ax.texts}
    assert {"x = 2", "y", "forward", "back", "dy"} <= set(texts)
    assert ax.get_title(loc="left") == "Title"
    assert texts["forward"].xyann[1] > 0 > texts["back"].xyann[1]
    assert texts["forward"].get_color() != texts["back"].get_color()
