"""lasers.csv: what was done to lasers and stages, and why; one row at a time, on disk at once."""

from __future__ import annotations

import csv
import math
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rtsmlm.errors import FileFormatError, SinkError, printable

COLUMNS = (
    "time_utc",
    "t_s",
    "actuator",
    "kind",
    "wanted",
    "sent",
    "unit",
    "measured",
    "dose",
    "frame",
    "latency_ms",
    "estimate_per_um2",
    "std_per_um2",
    "target_per_um2",
    "state",
    "reason",
)
"""`t_s` counts from the start of the run; `wanted`, `sent`, `measured` are in `unit`, `dose` in
`unit` times seconds; `latency_ms` is from the end of the exposure of `frame` to the command."""


class LaserLog:
    """Append rows; each is flushed, so that nothing is missing after a crash.

    Parameters
    ----------
    path
        File to append to; its header is written where it is new.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            is_new = not path.exists() or path.stat().st_size == 0
            self._file = path.open("a", encoding="utf-8", newline="")
            self._writer = csv.DictWriter(self._file, COLUMNS)
            if is_new:
                self._writer.writeheader()
                self._file.flush()
        except OSError as error:
            raise SinkError(f"the audit file {path} cannot be written: {error}") from error

    def write(self, row: Mapping[str, object]) -> None:
        """Append a row; what it does not hold, and NaN, stays empty.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        texts = {"time_utc": datetime.now(UTC).isoformat(timespec="milliseconds")}
        texts |= {name: _text(value) for name, value in row.items()}
        with self._lock:
            try:
                self._writer.writerow(texts)
                self._file.flush()
            except (OSError, ValueError) as error:
                raise SinkError(f"the audit of the lasers cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file. Safe to call more than once."""
        with self._lock:
            self._file.close()


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def read_laser_log(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a `lasers.csv` as texts by column; columns after a cut are empty.

    Raises
    ------
    FileFormatError
        If it is not such a file, or damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise FileFormatError(f"{path} is no lasers.csv of this version of rtsmlm")
            for row in reader:
                if len(row) != len(COLUMNS):
                    raise FileFormatError(f"{path} is damaged at line {reader.line_num}")
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error
