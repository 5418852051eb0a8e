"""The head of a text table: encoding, comments, the line of column names, the first rows.

Tables pass through spreadsheets, Windows, old Macs and MATLAB. So the bytes decide on the encoding
(UTF-8 or UTF-16 with or without their mark, else a Western one), any line end counts,
and lines that begin with a mark of a comment are no rows. A program that puts its column names
into a comment, as numpy does, is understood too.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.errors import FileFormatError

HEAD_BYTES = 1 << 18
"""Read to find out; a line of column names is shorter."""
MOST_SAMPLES = 200
"""Rows that show how numbers are written."""
COMMENT_MARKS = ("#", "//", "%")
_MARKS_OF_ORDER = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_END = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)
"""What Excel writes as the first line, and hides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextHead:
    """What the first lines of a text table say."""

    encoding: str
    comments: tuple[str, ...]
    """Comments before the first row, without their marks."""
    header: tuple[str, ...] | None
    """Column names; None where the first line holds numbers."""
    header_line: str
    """The line that they are in, with its quotes; empty without."""
    delimiter: str
    """One character; a space stands for any number of spaces and tabs."""
    samples: tuple[tuple[str, ...], ...]
    """Cells of the first rows."""
    n_skip: int
    """Lines before the first row."""


def read_head(path: Path) -> TextHead:
    """Return what the first lines of a text table say.

    Raises
    ------
    FileFormatError
        If the file is no text, or holds neither column names nor numbers at its beginning.
    """
    try:
        with path.open("rb") as file:
            start = file.read(HEAD_BYTES)
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}") from error
    encoding = _encoding(path, start)
    lines = _lines_of(start, encoding, whole=len(start) < HEAD_BYTES)
    comments, separator, at = _preamble(lines)
    if at == len(lines):
        header_in_comment = comments[-1] if comments else ""
        delimiter = _delimiter(header_in_comment, separator)
        names = split(header_in_comment, delimiter)
        return _head(encoding, comments[:-1], names, header_in_comment, delimiter, (), at)
    delimiter = _delimiter(lines[at], separator)
    first = split(lines[at], delimiter)
    rows = tuple(
        split(line, delimiter) for line in lines[at : at + MOST_SAMPLES] if not is_no_row(line)
    )
    if not _are_numbers(first):
        return _head(encoding, comments, first, lines[at], delimiter, rows[1:], at + 1)
    # numpy.savetxt and others put the names into the last comment.
    names = split(comments[-1], _delimiter(comments[-1], None)) if comments else ()
    if len(names) == len(first) and not _are_numbers(names):
        return _head(encoding, comments[:-1], names, comments[-1], delimiter, rows, at)
    return _head(encoding, comments, None, "", delimiter, rows, at)


def _head(
    encoding: str,
    comments: tuple[str, ...],
    header: tuple[str, ...] | None,
    header_line: str,
    delimiter: str,
    samples: tuple[tuple[str, ...], ...],
    n_skip: int,
) -> TextHead:
    return TextHead(
        encoding=encoding,
        comments=comments,
        header=header,
        header_line=header_line,
        delimiter=delimiter,
        samples=samples,
        n_skip=n_skip,
    )


def _preamble(lines: list[str]) -> tuple[tuple[str, ...], str | None, int]:
    """Return comments, the separator that Excel states, and the number of lines before the rest."""
    comments: list[str] = []
    separator = None
    for at, line in enumerate(lines):
        stated = _SEPARATOR.fullmatch(line.strip())
        if stated and at == 0:
            separator = stated[1]
        elif not is_no_row(line):
            return tuple(comments), separator, at
        elif line.strip():
            comments.append(line.strip().lstrip("#/%").strip())
    return tuple(comments), separator, len(lines)


def is_no_row(line: str) -> bool:
    """Tell whether a line is empty or a comment."""
    text = line.strip().strip('"')
    return not text or text.startswith(COMMENT_MARKS)


def split(line: str, delimiter: str) -> tuple[str, ...]:
    """Return the cells of a line, without quotes and spaces around them."""
    if delimiter == " ":
        return tuple(line.split())
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        cells = line.split(delimiter)
    return tuple(cell.strip() for cell in cells)


def numbered_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield all lines of a text file with their numbers from 1."""
    with path.open("rb") as raw:
        text = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline=None)
        for number, line in enumerate(text, start=1):
            yield number, line.rstrip("\n")


def is_utf16(start: bytes) -> bool:
    """Tell whether bytes begin a text in UTF-16, with or without its mark."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    pairs = min(len(start), 4096) // 2
    halves = (start[0 : 2 * pairs : 2], start[1 : 2 * pairs : 2])
    # Text in a Latin script has a zero in every second byte, and in no other.
    zeros = sorted(half.count(b"\0") for half in halves)
    return pairs > 0 and zeros[0] == 0 and zeros[1] > 0.8 * pairs


def _encoding(path: Path, start: bytes) -> str:
    for mark, name in _MARKS_OF_ORDER:
        if start.startswith(mark):
            return name
    if is_utf16(start):
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "latin-1"
    if _CONTROL.search(start.decode(encoding, errors="replace")):
        raise FileFormatError(
            f"{path} is no text, and no other kind of table of localizations that is known"
        )
    return encoding


def _lines_of(start: bytes, encoding: str, *, whole: bool) -> list[str]:
    text = start.decode(encoding, errors="replace")
    lines = _LINE_END.split(text)
    if not whole or lines[-1] == "":
        lines.pop()  # cut in the middle, or behind the last line end
    return lines


def _delimiter(line: str, stated: str | None) -> str:
    """Return what separates the cells: a comma only if no tab or semicolon does."""
    outside = re.sub(r'"[^"]*"', "", line)
    return stated or next((mark for mark in "\t;,|" if mark in outside), " ")


def _are_numbers(cells: tuple[str, ...]) -> bool:
    return bool(cells) and all(_is_number(cell) for cell in cells)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return text == ""
    return True
