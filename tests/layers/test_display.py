"""How caches, layers and parameters print themselves, letter by letter."""

import numpy as np

from minitransformer.layers import Chain, Dense, Dropout, Glorot, Linear, Parameter, Residual
from minitransformer.layers.display import _range, as_html, as_text, describe, entries, html_table, leaves

LEFT = 'style="text-align: left"'
CACHE = {
    "x": np.zeros((2, 3)),
    "in": {"m": np.zeros(2, bool), "deep": [{"w": 1.5}, {"w": 2}]},
    "none": {},
    "<b>": "x" * 50,
}


def test_a_cache_is_a_tree_without_what_is_empty():
    assert as_text(CACHE) == (
        "├─ x  (2, 3) float64\n"
        "├─ in\n"
        "│  ├─ m  (2,) bool\n"
        "│  └─ deep\n"
        "│     ├─ 0\n"
        "│     │  └─ w  1.5\n"
        "│     └─ 1\n"
        "│        └─ w  2\n"
        f"└─ <b>  '{'x' * 36}..."
    )
    assert as_text({}) == "(empty: this backward needs nothing from its forward)"
    assert [path for path, _ in leaves(CACHE)] == ["x", "in.m", "in.deep.0.w", "in.deep.1.w", "<b>"]


def test_in_jupyter_a_cache_is_a_table_whose_names_move_to_the_right():
    head = "".join(f'<th scope="col" {LEFT}>{name}</th>' for name in ("name", "shape", "dtype"))
    rows = [
        ("x", 1.0, "(2, 3)", "float64"),
        ("<b>in</b>", 1.0, "", ""),
        ("m", 2.5, "(2,)", "bool"),
        ("<b>deep</b>", 2.5, "", ""),
        ("<b>0</b>", 4.0, "", ""),
        ("w", 5.5, "1.5", ""),
        ("<b>1</b>", 4.0, "", ""),
        ("w", 5.5, "2", ""),
        ("&lt;b&gt;", 1.0, f"&#x27;{'x' * 36}...", ""),
    ]
    body = "".join(
        f'<tr><th scope="row" style="text-align: left; font-weight: normal; padding-left: {indent}em">{name}</th>'
        f"<td {LEFT}>{shape}</td><td {LEFT}>{dtype}</td></tr>"
        for name, indent, shape, dtype in rows
    )
    assert as_html(CACHE) == f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    assert as_html({}) == "<p>(empty: this backward needs nothing from its forward)</p>"


def model():
    init = Glorot(np.random.default_rng(0))
    inner = Chain(a=Linear(3, 3, init), drop=Dropout(0.5))
    return Chain(one=Dense(2, 3, init), two=Residual(inner, 0.0))


def test_a_layer_is_a_tree_of_its_parts():
    assert as_text(model()) == (
        "Chain: 18 parameters, float32\n"
        "├─ one  Dense: weight (2, 3), bias (3,)\n"
        "└─ two  Residual(Chain)\n"
        "   ├─ a  Linear: weight (3, 3)\n"
        "   └─ drop  Dropout 0.5"
    )
    leaf, inner = '<div style="margin-left: 2.6em">', '<details style="margin-left: 1.5em"><summary>'
    assert as_html(model()) == (
        "<details open><summary>Chain: 18 parameters, float32</summary>"
        f"{leaf}one  Dense: weight (2, 3), bias (3,)</div>{inner}two  Residual(Chain)</summary>"
        f"{leaf}a  Linear: weight (3, 3)</div>{leaf}drop  Dropout 0.5</div></details></details>"
    )


def test_a_parameter_is_a_line():
    parameter = Parameter(np.array([[1.0, -2.0]]))
    text = "Parameter((1, 2) float64, values -2 to 1, gradient 0)"
    assert as_text(parameter) == text
    assert as_html(parameter) == f"<code>{text}</code>"
    assert _range(np.array([0.123456])) == "0.123"
    assert _range(np.broadcast_to(1.0, (1,))) == "1"
    assert _range(np.broadcast_to(1.0, (2,))) == "not in memory"
    assert _range(np.zeros(0)) == "empty"


def test_values_are_described_in_forty_characters():
    assert describe("x" * 38) == repr("x" * 38)
    assert describe("x" * 39) == f"'{'x' * 36}..."
    assert describe("a\nb") == r"'a\nb'"
    assert entries([{"a": 1}, 2]) is None
    assert entries([]) is None
    assert entries(({"a": 1},)) == [("0", {"a": 1})]


def test_a_table_has_its_first_column_at_the_left_and_numbers_at_the_right():
    right = 'style="text-align: right"'
    head = f"<tr><th {LEFT}>a</th><th {right}>b</th></tr>"
    body = f"<tr><td {LEFT}>&lt;</td><td {right}>2</td></tr>"
    table = f"<thead>{head}</thead><tbody>{body}</tbody></table>"
    assert html_table("ab", [("<", "2")]) == f"<table>{table}"
    assert html_table("ab", [("<", "2")], "x & y") == f"<table><caption {LEFT}>x &amp; y</caption>{table}"
