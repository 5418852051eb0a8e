"""Numbers in text tables: decimal commas, thousands, and what stands for no number.

Spreadsheets write numbers by the habits of the country: 1234.5, 1234,5, 1.234,5, 1 234,5, 1'234.5
and, quoted, 1,234.5. What a file does is read off its first rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NO_NUMBER = (
    "", "-", "--", "NA", "N/A", "n/a", "na", "<NA>", "null", "NULL", "None", "none",
    "#N/A", "#NUM!", "#DIV/0!", "#VALUE!", "#REF!", "1.#QNAN", "-1.#IND", "1.#IND", "-nan(ind)",
)  # fmt: skip
"""What programs and spreadsheets write where there is no number."""

_INFINITE = {"1.#INF": "inf", "-1.#INF": "-inf"}
_SPACES = " \u00a0\u202f"
_THOUSANDS = re.compile(r"[-+]?\d{1,3}([,.' \u00a0\u202f\u2019])\d{3}(\1\d{3})*([.,]\d+)?")
_COMMA = re.compile(r"[-+]?\d*,\d*([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a file writes numbers."""

    decimal: str = "."
    thousands: str = ""
    """Characters between groups of three digits; they are taken out."""


def number_style(cells: Iterable[str]) -> NumberStyle:
    """Return how cells of a file write numbers.

    Parameters
    ----------
    cells
        As in the file, without quotes.

    Notes
    -----
    A comma followed by three digits may be either sign; it separates thousands only where another
    cell has a point, or the same cell two commas.
    """
    cells = [cell for cell in cells if cell]
    commas = [cell for cell in cells if "," in cell]
    grouping = {
        match[1] for cell in cells if (match := _THOUSANDS.fullmatch(cell)) and match[1] not in ",."
    }
    others = "".join(sorted({*grouping, *(_SPACES if grouping & set(_SPACES) else "")}))
    last_is_comma = any(cell.rfind(",") > cell.rfind(".") >= 0 for cell in commas)
    last_is_point = any(cell.rfind(".") > cell.rfind(",") >= 0 for cell in commas)
    several_commas = any(cell.count(",") > 1 for cell in commas)
    has_point = any("." in cell for cell in cells if "," not in cell)
    if last_is_comma and not last_is_point:
        return NumberStyle(",", others + ".")
    groups_only = all(_THOUSANDS.fullmatch(cell) for cell in commas)
    if commas and groups_only and (last_is_point or several_commas or has_point):
        return NumberStyle(".", others + ",")
    if commas and all(_COMMA.fullmatch(_without(cell, others)) for cell in commas):
        return NumberStyle(",", others)
    return NumberStyle(".", others)


def to_floats(
    text: pa.ChunkedArray, style: NumberStyle
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the numbers of a column of text, and which cells hold something else.

    Parameters
    ----------
    text
        Strings, shape (n,).
    style
        How the file writes numbers.

    Returns
    -------
    :
        Numbers with NaN where there is none; and True where a cell is neither a number nor one of
        the signs for none. Both of shape (n,).
    """
    cells = pc.utf8_trim_whitespace(text)
    for sign in style.thousands:
        cells = pc.replace_substring(cells, sign, "")
    if style.decimal != ".":
        cells = pc.replace_substring(cells, style.decimal, ".")
    missing = pc.is_in(cells, value_set=pa.array(NO_NUMBER))
    for name, plain in _INFINITE.items():
        cells = pc.if_else(pc.equal(cells, name), plain, cells)
    cells = pc.if_else(pc.fill_null(missing, True), None, cells)
    try:
        numbers = cells.cast(pa.float64()).to_numpy()
        return np.asarray(numbers, dtype=np.float64), np.zeros(len(cells), dtype=np.bool_)
    except pa.ArrowInvalid:
        return _one_by_one(cells.to_pylist())


def _one_by_one(cells: list[str | None]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    numbers = np.full(len(cells), np.nan)
    garbage = np.zeros(len(cells), dtype=np.bool_)
    for k, cell in enumerate(cells):
        if cell is not None:
            try:
                numbers[k] = float(cell)
            except ValueError:
                garbage[k] = True
    return numbers, garbage


def _without(cell: str, signs: str) -> str:
    return cell.translate({ord(sign): None for sign in signs})
