"""What a check found, as a table that can be read: in a terminal, in Jupyter and by a program."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field

HEADINGS = ("tensor", "shape", "worst entry", "got", "wanted", "relative error", "verdict")
COLOURS = {"PASS": "#0072B2", "FAIL": "#D55E00"}  # blue and vermilion: told apart by colour-blind readers too


@dataclass(frozen=True)
class Row:
    """One tensor's gradient, or one property that every backward keeps.

    Attributes
    ----------
    name : str
        The tensor ("attention.query.weight", "x") or the property ("backward twice").
    passed : bool
    shape, index : tuple of int, optional
        Of the tensor, and of its entry with the largest error.
    got, wanted : float, optional
        That entry by backward and by the check.
    error : float, optional
        The largest difference over the largest wanted entry.
    diagnosis : str
        Where it fails: why, perhaps.
    """

    name: str
    passed: bool
    shape: tuple[int, ...] | None = None
    index: tuple[int, ...] | None = None
    got: float | None = None
    wanted: float | None = None
    error: float | None = None
    diagnosis: str = ""

    @property
    def verdict(self) -> str:
        return "PASS" if self.passed else "FAIL"

    def cells(self) -> tuple[str, ...]:
        """The row's texts, one for each of `HEADINGS`."""
        numbers = [_number(self.got, ".6g"), _number(self.wanted, ".6g"), _number(self.error, ".1e")]
        return (self.name, _tuple(self.shape), _tuple(self.index), *numbers, self.verdict)


class GradientCheckFailed(AssertionError):
    """A backward disagrees with its forward; the message is the table."""


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """The result of a check.

    Attributes
    ----------
    title : str
        What was checked and how.
    rows : list of Row
    """

    title: str
    rows: list[Row] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return bool(self.rows) and all(row.passed for row in self.rows)

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if not row.passed]

    @property
    def worst_error(self) -> float:
        """The largest relative error of any tensor."""
        return max((row.error for row in self.rows if row.error is not None), default=0.0)

    def __bool__(self) -> bool:
        return self.passed

    def __getitem__(self, name: str) -> Row:
        """The row of a tensor or property by its name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r}: there are {', '.join(row.name for row in self.rows)}")

    def raise_if_failed(self) -> GradientCheck:
        """Raise GradientCheckFailed with the table, or return the check itself."""
        if not self.passed:
            raise GradientCheckFailed(f"\n{self}")
        return self

    def summary(self) -> str:
        verdict = "PASS" if self.passed else f"FAIL ({len(self.failures)} of {len(self.rows)} rows)"
        return f"{self.title}: {verdict}"

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        table = [HEADINGS, *(row.cells() for row in self.rows)]
        widths = [max(len(cells[i]) for cells in table) for i in range(len(HEADINGS))]
        yield self.summary()
        for i, cells in enumerate(table):
            yield "  ".join(_align(j, cell, width) for j, (cell, width) in enumerate(zip(cells, widths))).rstrip()
            if i == 0:
                yield "  ".join("-" * width for width in widths)
            elif diagnosis := self.rows[i - 1].diagnosis:
                yield f"    -> {diagnosis}"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(heading)}</th>" for heading in HEADINGS)
        body = "".join(_html_row(row) for row in self.rows)
        return f"<p>{html.escape(self.summary())}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_row(row: Row) -> str:
    *cells, verdict = row.cells()
    plain = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    marked = f'<td style="color: {COLOURS[verdict]}; font-weight: bold">{verdict}</td>'
    reason = f'<tr><td colspan="{len(HEADINGS)}">&rarr; {html.escape(row.diagnosis)}</td></tr>' if row.diagnosis else ""
    return f"<tr>{plain}{marked}</tr>{reason}"


def _align(column: int, cell: str, width: int) -> str:
    return cell.rjust(width) if HEADINGS[column] in ("got", "wanted", "relative error") else cell.ljust(width)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _tuple(values: tuple[int, ...] | None) -> str:
    if values is None:
        return ""
    return "scalar" if values == () else "(" + ", ".join(map(str, values)) + ("," if len(values) == 1 else "") + ")"
