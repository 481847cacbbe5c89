"""The one door for text: files, standard input, arguments and prompts are read and normalised here, all alike."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator

from ..arguments import checked
from .errors import DataError

Path = str | os.PathLike[str]

UNSEEN = {ord(c): None for c in "\u00ad\u200b\u200e\u200f\u2060\ufeff"}  # not the joiners, which change letters
BETWEEN_WORDS = re.compile(r"(?<=[^\W_])[\u00a0\u2007\u202f](?=[^\W_])")
FOLDED = ("<compat>", "<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>")
UTF8 = "allowed is UTF-8 text"
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}


@checked
def normalize(text: str, name: str = "text") -> str:
    r"""The form in which all text is trained on and used.

    - Letters and accents are composed (NFC), so `e` and a combining accent are the same as `é`.
    - Letters and digits that are another way to write others become those: the ligature `ﬁ`, full-width `Ａ`. Signs
      that mean something else, such as `²`, stay.
    - Characters that nobody sees, such as a zero-width space, are dropped. A non-breaking space between words is a
      space; before punctuation, as in French, it stays.
    - `\r\n` and `\r` end a line as `\n` does.

    Raises TypeError where `text` is no string, and DataError for half a surrogate pair, which stands for a byte that
    was not UTF-8; `name` is what the message calls the text.
    """
    if not isinstance(text, str):
        raise TypeError(f"{name} is {text!r:.80}; a string is needed")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    other = {ord(c): folded for c in set(text) if (folded := _folded(c)) != c}
    text = unicodedata.normalize("NFC", text.translate({**UNSEEN, **other}))
    for i, c in enumerate(text):
        if "\ud800" <= c <= "\udfff":
            byte = f"byte 0x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else repr(c)
            raise DataError(f"{name}: character {i + 1} is {byte}, which is not UTF-8; {UTF8}")
    return BETWEEN_WORDS.sub(" ", text)


def _folded(character: str) -> str:
    """The usual form of a letter or digit; any other character as it is."""
    plain = unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nd")
    other = plain and unicodedata.decomposition(character).startswith(FOLDED)
    return unicodedata.normalize("NFKC", character) if other else character


@checked
def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file, normalised, without line ends or a byte-order mark.

    The file may be compressed: gzip, bzip2, xz, or a zip with one text in it.

    Raises
    ------
    DataError
        If the file cannot be opened, or is no UTF-8 text.
    """
    lines = read_text(path, allow_empty=True).split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


@checked
def read_text(path: Path, *, allow_empty: bool = False) -> str:
    """The whole text of a file that `read_lines` reads, with its line ends as newlines; raises DataError likewise."""
    # Not str.splitlines, which also cuts at characters that may stand inside a sentence.
    lines = _content(path).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    text = "\n".join(decoded_lines(lines, str(path)))
    if not text and not allow_empty:
        raise DataError(f"{path}: is empty; {UTF8}")
    return text


def standard_input() -> Iterator[str]:
    """The lines of standard input, normalised, as soon as they come; raises DataError as `read_lines` does."""
    if sys.stdin is None or sys.stdin.closed:
        raise DataError("standard input is closed: give the text as an argument, or through a pipe")
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:  # replaced by text, as a notebook does
        stream = (line.encode("utf-8", "surrogatepass") for line in sys.stdin)
    try:
        yield from decoded_lines((line.rstrip(b"\r\n") for line in stream), "standard input")
    except OSError as error:
        raise DataError(f"standard input: cannot be read: {error.strerror or error}") from None


def decoded_lines(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines of bytes as normalised text; DataError, with the line and the byte, where they are no UTF-8."""
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        if number == 1:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise DataError(f"{where}: the text is UTF-16; allowed is UTF-8: {converted('utf-16')}")
            for mark, program in COMPRESSED.items():
                if line.startswith(mark):
                    raise DataError(f"{where}: the text is compressed by {program}; {UTF8}: unpack it first")
            line = line.removeprefix(b"\xef\xbb\xbf")
        if b"\0" in line:
            byte = line.index(0) + 1
            raise DataError(
                f"{where}: byte {byte} is NUL, so the file is binary; {UTF8} (if it is UTF-16: {converted('utf-16')})"
            )
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            byte, wrong = error.start + 1, line[error.start]
            advice = f"if it is Latin-1: {converted('latin1')}"
            raise DataError(f"{where}: byte {byte} (0x{wrong:02x}) is not UTF-8; {UTF8} ({advice})") from None
        yield normalize(text, where)


def converted(encoding: str) -> str:
    """How to make UTF-8 of another encoding."""
    return f"iconv -f {encoding} -t utf-8"


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; allowed is a UTF-8 text file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory; allowed is a UTF-8 text file") from None
    except PermissionError:
        what = "is a directory" if os.path.isdir(path) else "may not be read (permission denied)"
        raise DataError(f"{path}: {what}; allowed is a UTF-8 text file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path!r}: cannot be read ({error}); allowed is a UTF-8 text file") from None
    program = next((program for mark, program in COMPRESSED.items() if content.startswith(mark)), None)
    if program is None:
        return content
    unpack = {"gzip": gzip.decompress, "bzip2": bz2.decompress, "xz": _of_xz, "zip": _of_zip}[program]
    try:
        return unpack(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: is compressed, and damaged or locked ({error}); unpack it by hand with {program}"
        ) from None


def _of_xz(content: bytes) -> bytes:
    try:
        import lzma
    except ImportError:  # a browser's Python is built without it
        raise DataError("is compressed by xz, which this Python cannot unpack: unpack it by hand") from None
    try:
        return lzma.decompress(content)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from None


def _of_zip(content: bytes) -> bytes:
    """The one text in a zip; what begins with an underscore or a dot, as remarks of the packer do, is none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if not re.search(r"(^|/)[_.]|/$", name)]
        if len(names) != 1:
            raise DataError(f"holds {len(names)} files; allowed is one: unpack it (unzip) and name the file")
        return archive.read(names[0])


def suffix(path: Path) -> str:
    """How a file's name ends, in lower case, without that of a compression: `.csv` of `pairs.CSV.gz`."""
    name = re.sub(r"\.(gz|bz2|xz|zip)$", "", os.fspath(path).lower())
    return os.path.splitext(name)[1]
