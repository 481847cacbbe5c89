"""The table of a gradient check, letter by letter."""

import numpy as np
import pytest

from minitransformer.verify import GradientCheck, GradientCheckFailed, Row

ROWS = [
    Row("what backward returns", True),
    Row("x", True, (2, 3), (1, 2), 0.123456789, -12.5, 3.21e-15),
    Row("bias", False, (4,), (0,), 1234567.0, 2.0, 0.25, "a <sum> & more"),
    Row("scale", True, (), (), 0.0, 0.0, 0.0),
]
TEXT = """
Some, complex step: FAIL (1 of 4 rows)
tensor                 shape   worst entry          got  wanted  relative error  verdict
---------------------  ------  -----------  -----------  ------  --------------  -------
what backward returns                                                            PASS
x                      (2, 3)  (1, 2)          0.123457   -12.5         3.2e-15  PASS
bias                   (4,)    (0,)         1.23457e+06       2         2.5e-01  FAIL
    -> a <sum> & more
scale                  scalar  scalar                 0       0         0.0e+00  PASS
"""
HTML = (
    "<p>Some, complex step: FAIL (1 of 4 rows)</p><table><thead><tr><th>tensor</th><th>shape</th><th>worst entry</th>"
    "<th>got</th><th>wanted</th><th>relative error</th><th>verdict</th></tr></thead><tbody>"
    "<tr><td>what backward returns</td><td></td><td></td><td></td><td></td><td></td>"
    '<td style="color: #0072B2; font-weight: bold">PASS</td></tr>'
    "<tr><td>x</td><td>(2, 3)</td><td>(1, 2)</td><td>0.123457</td><td>-12.5</td><td>3.2e-15</td>"
    '<td style="color: #0072B2; font-weight: bold">PASS</td></tr>'
    "<tr><td>bias</td><td>(4,)</td><td>(0,)</td><td>1.23457e+06</td><td>2</td><td>2.5e-01</td>"
    '<td style="color: #D55E00; font-weight: bold">FAIL</td></tr>'
    '<tr><td colspan="7">&rarr; a &lt;sum&gt; &amp; more</td></tr>'
    "<tr><td>scale</td><td>scalar</td><td>scalar</td><td>0</td><td>0</td><td>0.0e+00</td>"
    '<td style="color: #0072B2; font-weight: bold">PASS</td></tr></tbody></table>'
)
CHECK = GradientCheck("Some, complex step", ROWS)


def test_the_whole_table_in_a_terminal():
    assert repr(CHECK) == TEXT.strip()


def test_the_whole_table_in_jupyter():
    assert CHECK._repr_html_() == HTML


def test_a_check_passes_if_it_has_rows_and_all_of_them_pass():
    assert not GradientCheck("empty").passed
    assert GradientCheck("right", [ROWS[0], ROWS[1]]).passed
    assert bool(GradientCheck("right", [ROWS[3]]))
    assert not CHECK
    assert [row.name for row in CHECK.failures] == ["bias"]
    assert GradientCheck("right", [ROWS[0]]).summary() == "right: PASS"


def test_the_worst_error_is_that_of_any_tensor():
    assert CHECK.worst_error == 0.25
    assert GradientCheck("properties", [ROWS[0]]).worst_error == 0.0
    assert GradientCheck("one", [ROWS[1]]).worst_error == 3.21e-15


def test_rows_are_found_by_name():
    assert CHECK["bias"] is ROWS[2]
    with pytest.raises(KeyError, match=r"'gain': there are what backward returns, x, bias, scale"):
        CHECK["gain"]


def test_a_failure_is_raised_with_the_whole_table_and_a_pass_is_the_check_itself():
    with pytest.raises(GradientCheckFailed) as caught:
        CHECK.raise_if_failed()
    assert str(caught.value) == TEXT.rstrip()
    right = GradientCheck("right", [ROWS[1]])
    assert right.raise_if_failed() is right


def test_numbers_that_are_not_finite_are_shown_as_such():
    assert Row("x", False, (1,), (0,), np.nan, np.inf, np.inf).cells()[3:6] == ("nan", "inf", "inf")
