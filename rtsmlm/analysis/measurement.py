"""Measurement: named quantities with their units, as text to paste and as a csv table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from rtsmlm.errors import SinkError, number_text

Kind: TypeAlias = Literal["distance", "profile", "region"]

_HEADER = ("measurement", "kind", "quantity", "value", "unit")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One value of a measurement."""

    name: str
    value: float | int | str
    unit: str = ""
    """Empty for counts and texts."""

    @property
    def text(self) -> str:
        """The value with four digits, and its unit."""
        shown = number_text(self.value, 4) if isinstance(self.value, float) else str(self.value)
        return f"{shown} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one tool found."""

    kind: Kind
    quantities: tuple[Quantity, ...]

    def get(self, name: str) -> float | int | str | None:
        """Return a value by its name; None where it is not there."""
        return next((q.value for q in self.quantities if q.name == name), None)


def csv_text(measurements: Sequence[Measurement], separator: str = ",") -> str:
    """Return a table with a line per quantity.

    Parameters
    ----------
    measurements
        Numbered from 1 in the first column.
    separator
        A tab makes a text that spreadsheets take from the clipboard.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(_HEADER)
    for number, measurement in enumerate(measurements, 1):
        for quantity in measurement.quantities:
            value = quantity.value
            shown = f"{value:.6g}" if isinstance(value, float) else value
            writer.writerow((number, measurement.kind, quantity.name, shown, quantity.unit))
    return out.getvalue()


def write_csv(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write a csv file in UTF-8, replaced if it is there.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    try:
        path.write_text(csv_text(measurements), encoding="utf-8", newline="")
    except OSError as error:
        reason = error.strerror or error
        raise SinkError(f"cannot write {path}: {reason}; choose another folder") from error
