"""Localization tables as text, of any program and any spreadsheet, in our units and origin.

`text_lines` finds the column names, `text_columns` what they mean, `text_numbers` how numbers are
written, `text_programs` where a program counts from. A row that is damaged is left out and
counted; a column that is not read is named.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as pa_csv

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import table_from
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.text_columns import find_columns
from rtsmlm.files.tables.text_lines import TextHead, is_no_row, numbered_lines, read_head, split
from rtsmlm.files.tables.text_numbers import NO_NUMBER, NumberStyle, number_style, to_floats
from rtsmlm.files.tables.text_programs import challenge_names, convention_of, rapidstorm_names
from rtsmlm.files.tables.thunderstorm import read_protocol
from rtsmlm.files.tables.units import in_our_units, pixel_of, scales_of
from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]

NEEDED = ("frame", "x_nm", "y_nm")
_SPACES = re.compile(rb"[ \t]+")
_EDGES = re.compile(rb"(?:\A|(?<=[\r\n])) | (?=[\r\n]|\Z)")


def read_text_table(
    path: Path, pixel_nm: float | None = None, check: RowCheck | None = None
) -> tuple[Localizations, Metadata]:
    """Read any text table named in the docstring of `text_programs`.

    Parameters
    ----------
    path
        The table.
    pixel_nm
        Camera pixel; not given takes it from the table, or from the protocol file beside it.
    check
        Counts the rows that are left out, and takes what else the user should know; not given
        counts them for the error alone.

    Raises
    ------
    FileFormatError
        If the table is damaged or of another kind, or the pixel size is needed and not known.
    """
    check = check or RowCheck(path)
    head = read_head(path)
    names = _names(path, head)
    found = find_columns(names)
    missing = [name for name in NEEDED if name not in found.position]
    if missing:
        raise FileFormatError(
            f"{path} lacks {', '.join(missing)}; its columns are {', '.join(names)[:200]}"
        )
    convention = convention_of(names, head)
    metadata = read_protocol(path)
    pixel = pixel_of(pixel_nm, convention, metadata.get("pixel_nm"))
    scales = scales_of(path, found, convention, pixel)
    columns = _Rows(path, head, len(names), found.position, check).read()
    if convention.program != "ThunderSTORM":
        metadata["program"] = convention.program
    if pixel is not None and pixel[0] == pixel[1]:
        metadata["pixel_nm"] = pixel[0]
    if found.unused:
        check.note(f"columns of {path.name} that are not read: {', '.join(found.unused)}")
    ours = in_our_units(path, columns, scales, convention, pixel, check)
    return table_from(ours, check), metadata


def _names(path: Path, head: TextHead) -> tuple[str, ...]:
    """Return the column names, one for each column that rows have."""
    counts = Counter(len(row) for row in head.samples)
    n_columns = counts.most_common(1)[0][0] if counts else 0
    names = rapidstorm_names(head.comments) or head.header or challenge_names(n_columns)
    if names is None:
        raise FileFormatError(
            f"{path} has no line of column names: its first line holds {n_columns} numbers; write "
            "one above them, such as frame,x [nm],y [nm]"
        )
    if n_columns == len(names) + 1:
        # A separator at the end of each row.
        ends_empty = all(not row[-1] for row in head.samples if len(row) == n_columns)
        return (*names, "") if ends_empty else names
    if n_columns == len(names) - 1 and not names[-1]:
        return names[:-1]
    return names


@dataclass(slots=True)
class _Rows:
    """Reads the cells of the columns that are needed, and finds the first row that is damaged."""

    path: Path
    head: TextHead
    n_columns: int
    position: Mapping[str, int]
    check: RowCheck

    def read(self) -> dict[str, F64]:
        """Return the columns by our names, without rows of another length or with odd cells."""
        wanted = sorted(set(self.position.values()))
        style = number_style(
            row[k] for row in self.head.samples if len(row) == self.n_columns for k in wanted
        )
        other_length: list[int] = []

        def count(row: pa_csv.InvalidRow) -> str:
            if not is_no_row(row.text):
                other_length.append(row.actual_columns)
            return "skip"

        plain = not style.thousands and style.decimal != self.head.delimiter
        kind = pa.float64() if plain else pa.string()
        try:
            table = self._parse(wanted, kind, style, count)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error) or "Could not skip" in str(error):
                return {name: np.empty(0) for name in self.position}
            other_length.clear()
            table = self._parse_text(wanted, style, count)
        numbers = {}
        odd = np.zeros(len(table), dtype=np.bool_)
        empty = np.ones(len(table), dtype=np.bool_)
        for k in wanted:
            column = table.column(str(k))
            numbers[k], garbage = (
                (column.to_numpy(), np.zeros(len(table), dtype=np.bool_))
                if pa.types.is_floating(column.type)
                else to_floats(column, style)
            )
            odd |= garbage
            empty &= np.isnan(numbers[k]) & ~garbage
        # Spreadsheets write rows of nothing behind the last one.
        keep = np.flatnonzero(~odd & ~empty)
        self._account(len(other_length), odd, keep)
        return {name: numbers[k][keep] for name, k in self.position.items()}

    def _account(self, n_other: int, odd: NDArray[np.bool_], keep: NDArray[np.int64]) -> None:
        """Count the rows that are left out here, and prepare for those found out later."""
        n_odd = int(np.count_nonzero(odd))
        if n_other or n_odd:
            first_odd = int(np.argmax(odd)) if n_odd else None
            row, reason = self._first_damage(first_odd)
            self.check.leave_out(n_other + n_odd, reason, before=int(np.searchsorted(keep, row)))
        self.check.place = lambda row: f"line {self._line(int(keep[row]))}"

    def _first_damage(self, first_odd: int | None) -> tuple[int, str]:
        """Return the row behind the first damage, and what is wrong in one clause."""
        for number, row, cells in self._data_lines():
            if len(cells) != self.n_columns:
                values = f"{len(cells)} value" + "s" * (len(cells) != 1)
                return row, f"line {number} has {values} for {self.n_columns} columns"
            if row == first_odd:
                return row, f"line {number} has {', '.join(cells)[:80]!r}"
        return 0, "they are damaged"

    def _line(self, wanted: int) -> int:
        for number, row, cells in self._data_lines():
            if row == wanted and len(cells) == self.n_columns:
                return number
        return 0

    def _data_lines(self) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Yield number, row and cells of each line; a damaged one has the row of the next."""
        row = 0
        for number, line in numbered_lines(self.path, self.head.encoding):
            if number <= self.head.n_skip or not line.strip():
                continue
            cells = split(line, self.head.delimiter)
            if len(cells) != self.n_columns and is_no_row(line):
                continue
            yield number, row, cells
            row += len(cells) == self.n_columns

    def _parse_text(
        self, wanted: Sequence[int], style: NumberStyle, count: pa_csv.InvalidRowHandler
    ) -> pa.Table:
        try:
            return self._parse(wanted, pa.string(), style, count)
        except pa.ArrowInvalid as error:
            raise FileFormatError(f"{self.path} is damaged: {error}") from error

    def _parse(
        self,
        wanted: Sequence[int],
        kind: pa.DataType,
        style: NumberStyle,
        count: pa_csv.InvalidRowHandler,
    ) -> pa.Table:
        # Names by position, since foreign tables may hold one name twice.
        names = [str(k) for k in range(self.n_columns)]
        decimal = style.decimal if pa.types.is_floating(kind) else "."
        try:
            # A file, not its name: by a name that ends in .gz or .bz2 it would be decompressed.
            with pa.OSFile(str(self.path), "rb") as file:
                return pa_csv.read_csv(
                    _as_utf8(file, self.head),
                    read_options=pa_csv.ReadOptions(column_names=names, skip_rows=self.head.n_skip),
                    parse_options=pa_csv.ParseOptions(
                        delimiter=self.head.delimiter, invalid_row_handler=count
                    ),
                    convert_options=pa_csv.ConvertOptions(
                        include_columns=[str(k) for k in wanted],
                        column_types={str(k): kind for k in wanted},
                        null_values=NO_NUMBER,
                        strings_can_be_null=False,
                        decimal_point=decimal,
                        check_utf8=False,
                    ),
                )
        except pa.ArrowInvalid:
            raise
        except (OSError, pa.ArrowException) as error:
            raise FileFormatError(f"cannot read {self.path}: {error}") from error


def _as_utf8(file: pa.NativeFile, head: TextHead) -> pa.NativeFile:
    """Return a stream of the text in UTF-8, with one space where cells are separated by spaces."""
    # A damaged character spoils its cell, and no more.
    decoder = codecs.getincrementaldecoder(head.encoding)(errors="replace")
    is_alike = not head.encoding.startswith("utf-16")

    def in_utf8(part: pa.Buffer) -> bytes:
        raw = bytes(part)
        if is_alike and raw.isascii() and not decoder.getstate()[0]:
            return raw
        return decoder.decode(raw).encode()

    text = pa.TransformInputStream(file, in_utf8)
    if head.delimiter != " ":
        return text
    return pa.BufferReader(_EDGES.sub(b"", _SPACES.sub(b" ", text.read())))
