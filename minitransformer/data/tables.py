"""Tables of text: tab-separated, CSV, JSON lines and Anki's exports become rows of cells."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import DataError
from .reading import Path, normalize, read_lines, suffix

Row = tuple[int, list[str]]  # the number of its line, and its cells

ANKI = re.compile(r"#(separator|html|tags|columns|notetype|deck|guid|\w+ column):(.*)", re.IGNORECASE)
SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "colon": ":", "space": " "}
NUMBER = re.compile(r"[-+]?\d[\d.,]*")

ROLES = (("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output"), ("question", "answer"))

# A first line of such words, another in each column, holds names. Not all languages: a pair may be of one word each.
NAMES = frozenset(
    re.findall(
        r"\w+",
        "source src target tgt trg sentence text translation translated input output question answer front "
        "back id lang language english french german spanish italian portuguese dutch russian polish turkish "
        "arabic hebrew chinese japanese korean hindi swedish en fr de es it pt nl ru pl tr ar zh ja ko sv eng "
        "fra deu spa ita por nld rus cmn",
    )
)


@dataclass
class Table:
    """What a file holds.

    Attributes
    ----------
    path : path
    rows : list of (int, list of str)
        Without blank lines and without the line of names.
    names : list of str
        Of the columns, where the file has them.
    shape : str
        What a line is to look like, for messages.
    """

    path: Path
    rows: list[Row]
    names: list[str]
    shape: str

    def choose(self, columns: Sequence[str | int] | None) -> tuple[int, int]:
        """The places of source and target in a row; DataError where there are no such columns, or numbers in them."""
        if columns is not None:
            if isinstance(columns, str) or len(columns) != 2:
                raise DataError(f"columns is {columns!r}; allowed are two, for source and target")
            source, target = (self._place(str(column)) for column in columns)
            if source == target:
                raise DataError(f"{self.path}: columns {columns[0]} and {columns[1]} are one: two are needed")
            return source, target
        for pair in ROLES:
            if set(pair) <= set(lowered := [name.casefold() for name in self.names]):
                return lowered.index(pair[0]), lowered.index(pair[1])
        for i in (0, 1):
            if self.rows and _is_numbers(row[i : i + 1] for _, row in self.rows):
                width = min(len(row) for _, row in self.rows)
                of_text = [k for k in range(width) if not _is_numbers([row[k]] for _, row in self.rows)]
                if len(of_text) > 1:
                    given = ",".join(str(k + 1) for k in of_text[:2])
                    raise DataError(
                        f"{self.path}: column {i + 1} holds nothing but numbers, and columns "
                        f"{' and '.join(str(k + 1) for k in of_text[:4])} hold text: give --columns {given}"
                    )
        return 0, 1

    def wanted(self, columns: Sequence[str | int] | None) -> str:
        """What a line is to hold."""
        return self.shape if columns is None else f"columns {columns[0]} and {columns[1]} (--columns)"

    def _place(self, column: str) -> int:
        if column.isdecimal() and int(column) > 0:
            return int(column) - 1
        if column in self.names:
            return self.names.index(column)
        known = f"numbers from 1, and the names {', '.join(self.names)}" if self.names else "numbers from 1"
        raise DataError(f"{self.path}: has no column {column!r}; allowed are {known}")


def read_table(path: Path, columns: Sequence[str | int] | None = None) -> Table:
    """The rows of a file; DataError, which names the line, where it is none.

    `columns`, where they are names, tell that the first line holds names, whatever they are.
    """
    lines = read_lines(path)
    kind = suffix(path)
    if kind == ".json":
        lines, kind = _elements(lines), ".jsonl"
    if kind in (".jsonl", ".ndjson"):
        return _of_json_lines(path, lines, columns)
    settings: dict[str, str] = {}
    while len(settings) < len(lines) and (match := ANKI.fullmatch(lines[len(settings)])):
        settings[match[1].lower()] = match[2].strip()
    shape = "source, a tab, target"
    names: list[str] = []
    if settings:
        rows = _of_anki(path, lines, settings, keep=columns is not None)
    elif kind == ".csv":
        rows, shape = _of_csv(path, lines), "source, a comma, target"
    else:
        rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1)]
    stripped = [(number, [cell.strip() for cell in row]) for number, row in rows]
    rows = [(number, row) for number, row in stripped if len(row) > 1 or any(row)]
    if rows and _are_names(rows[0][1], columns):
        names = rows.pop(0)[1]
    return Table(path, rows, names, shape)


def _are_names(row: list[str], columns: Sequence[str | int] | None) -> bool:
    if columns is not None and all(column in row and not column.isdecimal() for column in map(str, columns)):
        return True
    words = [set(re.findall(r"[^\W_]+", cell.casefold())) for cell in row]
    return len(row) > 1 and len(set(map(frozenset, words))) == len(row) and all(w and w <= NAMES for w in words)


def _is_numbers(cells: Any) -> bool:
    return all(cell and NUMBER.fullmatch(cell[0]) for cell in cells)


def _records(path: Path, lines: list[str], first: int, delimiter: str) -> Iterator[Row]:
    """Records whose fields may stand in quotes; a line break in a field becomes a space."""
    reader = csv.reader((f"{line}\n" for line in lines[first:]), delimiter=delimiter, strict=True)
    while True:
        number = first + reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}:{number}: is no record of fields in quotes: {error}") from None
        yield number, [cell.replace("\n", " ") for cell in row]


def _of_csv(path: Path, lines: list[str]) -> list[Row]:
    """Rows of CSV, whose separator is the one that gives every row as many cells: comma, semicolon or tab."""
    first = 0
    separators = ",;\t"
    if lines and (match := re.fullmatch(r"sep=(.)", lines[0])):  # Excel's
        first, separators = 1, match[1]
    wrong: DataError | None = None
    for separator in separators:
        try:
            rows = [row for row in _records(path, lines, first, separator) if row[1]]
        except DataError as error:
            wrong = wrong or error
            continue
        widths = {len(cells) for _, cells in rows}
        if len(widths) < 2 and 1 not in widths:
            return rows
        if wrong is None:
            width = len(rows[0][1])
            number, cells = next((row for row in rows if len(row[1]) != width), rows[0])
            said = f"{len(cells)} columns, and {width} in the first line" if len(widths) > 1 else "one column"
            wrong = DataError(
                f"{path}:{number}: {said}; allowed is source, a comma, target, in quotes where they hold a comma"
            )
    assert wrong is not None
    raise wrong


def _of_anki(path: Path, lines: list[str], settings: dict[str, str], keep: bool) -> list[Row]:
    """Rows of a text that Anki exports: its first lines name the separator, HTML and the columns that hold no text.

    Those columns are left out, unless they are to be kept so that numbers of columns are those of the file.
    """
    said = settings.get("separator", "tab")
    separator = SEPARATORS.get(said.lower(), said)
    if len(separator) != 1:
        raise DataError(f"{path}:1: separator is {said!r}; allowed are {', '.join(SEPARATORS)} and single characters")
    left_out = {int(value) - 1 for key, value in settings.items() if key.endswith("column") and value.isdecimal()}
    left_out |= {int(value) - 1 for key, value in settings.items() if key in ("tags", "deck") and value.isdecimal()}
    clean: Callable[[str], str] = _plain if settings.get("html", "").lower() == "true" else str
    return [
        (number, [clean(cell) for i, cell in enumerate(row) if keep or i not in left_out])
        for number, row in _records(path, lines, len(settings), separator)
    ]


def _plain(cell: str) -> str:
    """The text of a cell of HTML."""
    broken = re.sub(r"<(br|/?div|/?p)\b[^>]*>", " ", cell, flags=re.IGNORECASE)
    without = re.sub(r"</?[a-zA-Z][^>]*>|\[sound:[^\]]*\]", "", broken)
    return re.sub(" {2,}", " ", normalize(html.unescape(without)).replace("\n", " "))


def _elements(lines: list[str]) -> list[str]:
    """The elements of a JSON list, a line each; what is none is left as it is, to be read as JSON lines."""
    try:
        content = json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return lines
    return [json.dumps(element) for element in content] if isinstance(content, list) else lines


def _of_json_lines(path: Path, lines: list[str], columns: Sequence[str | int] | None) -> Table:
    """A JSON object, or a list, a line; those of Hugging Face's data sets have the pair in "translation"."""
    rows: list[Row] = []
    names: list[str] = []
    shape = 'an object with two texts, as {"source": "...", "target": "..."}'
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: is no JSON: {error}; allowed is {shape}") from None
        if isinstance(value, dict) and isinstance(value.get("translation"), dict):
            value = value["translation"]
        if isinstance(value, list):
            value = {str(i): cell for i, cell in enumerate(value, 1)}
        if not isinstance(value, dict):
            raise DataError(f"{path}:{number}: is {line[:40]!r}; allowed is {shape}")
        texts = {name: cell for name, cell in value.items() if isinstance(cell, str)}
        names = names or list(texts)
        if not set(names) <= set(texts):
            raise DataError(f"{path}:{number}: has {', '.join(texts) or 'no text'}; allowed is {' and '.join(names)}")
        cells = [normalize(texts[name], f"{path}:{number}").replace("\n", " ").strip() for name in names]
        rows.append((number, cells))
    roles = any(set(pair) <= {name.casefold() for name in names} for pair in ROLES)
    if columns is None and len(names) > 2 and not roles:
        raise DataError(f"{path}:1: has {len(names)} texts, {', '.join(names)}: choose two with --columns")
    return Table(path, rows, names, shape)
