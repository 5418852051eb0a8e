"""Drift of a table that is whole: measured, taken off, or put back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.analysis.drift_refine import drift_of
from rtsmlm.analysis.drift_trace import (
    AXES,
    RAW_COLUMNS,
    DriftTrace,
    as_localized,
    raw_places,
    without_drift,
)
from rtsmlm.files.run.disk_sync import sync_folder
from rtsmlm.files.run.drift_file import (
    DRIFT_FILE,
    PICASSO_DRIFT,
    write_drift,
    write_picasso_drift,
)
from rtsmlm.files.run.statistics import state_statistics
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches, read_arrow_metadata
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import positive
from rtsmlm.localizations import Localizations

METHOD = "the likelihood of each block under all others"
_MOST_ROWS = 2_000_000
"""Looked at; of a larger table every second frame, every third, and so on."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The drift of a table."""

    trace: DriftTrace
    n_frames: int
    """From frame 0 to the last one with rows."""

    @property
    def is_known(self) -> bool:
        """False where the rows repeat no structure, or are too few."""
        return len(self.trace.frame) > 1

    @property
    def sentence(self) -> str:
        """What there is to say of it."""
        if not self.is_known:
            return (
                "the drift is not known and none is taken off: the localizations repeat no "
                "structure, or are too few"
            )
        low, high = self.trace.drift_nm.min(axis=0), self.trace.drift_nm.max(axis=0)
        x, y, z = high - low
        depth = f", {z:.0f} nm in z" if z else ""
        return f"drift: within {x:.0f} nm in x, {y:.0f} nm in y{depth}"


def measure_drift(batches: Callable[[], Iterable[Localizations]]) -> Measured:
    """Return the drift of a table.

    Parameters
    ----------
    batches
        Starts the rows anew; those of one frame in one batch.
    """
    n_rows = sum(len(batch) for batch in batches())
    every = max(1, -(-n_rows // _MOST_ROWS))
    parts, last = [], -1
    for batch in batches():
        last = max(last, int(batch.frame.max(initial=-1)))
        parts.append(batch.take(batch.frame % every == 0) if every > 1 else batch)
    rows = Localizations.concatenate(parts).sorted_by_frame()
    known = rows.take(np.isfinite(rows.x_nm) & np.isfinite(rows.y_nm))
    if not len(known):
        return Measured(DriftTrace.none(), last + 1)
    side_nm = max(1.0, float(np.ptp(raw_places(known)[:, :2], axis=0).max()))
    return Measured(drift_of(known, side_nm), last + 1)


def correct_drift(table: Path) -> str:
    """Measure the drift of `localizations.arrows` and take it off; return what there is to say.

    Raises
    ------
    FileFormatError
        If the table is damaged.
    SinkError
        If a file cannot be written; the table is as it was then.
    """
    measured = measure_drift(lambda: iter_arrow_batches(table))
    if measured.is_known:
        correct_table(table, measured)
    else:
        put_back(table)
    return measured.sentence


def correct_table(table: Path, measured: Measured) -> None:
    """Take a drift off the rows of `localizations.arrows`, and write it beside them.

    Raises
    ------
    SinkError
        If a file cannot be written; the table is as it was then.
    """
    rewrite(table, lambda rows: without_drift(rows, measured.trace.at(rows.frame)), corrected=True)
    write_drift_files(table.parent, measured, read_arrow_metadata(table))
    state_statistics(table.parent, "drift", statistics_of(measured, taken_off=True))


def statistics_of(measured: Measured, *, taken_off: bool) -> dict[str, object]:
    """Return what `statistics.json` states of a drift."""
    ranges = np.ptp(measured.trace.drift_nm, axis=0)
    return {
        "method": METHOD,
        "taken_off": taken_off,
        **{f"range_{axis}_nm": round(float(r), 1) for axis, r in zip(AXES, ranges, strict=True)},
    }


def write_drift_files(folder: Path, measured: Measured, metadata: Metadata) -> None:
    """Write `drift.csv`, and the drift file of Picasso where the pixel is known."""
    write_drift(folder / DRIFT_FILE, measured.trace.frame, measured.trace.drift_nm)
    pixel_nm = positive(metadata.get("pixel_nm"))
    if pixel_nm is not None and measured.n_frames:
        n_frames = max(measured.n_frames, int(metadata.get("n_frames", 0)))
        drift_nm = measured.trace.at(np.arange(n_frames))
        write_picasso_drift(folder / PICASSO_DRIFT, drift_nm, pixel_nm)


def put_back(table: Path) -> None:
    """Give all rows of a table the places where they were localized, bit by bit."""
    rewrite(table, as_localized, corrected=False)
    state_statistics(table.parent, "drift", None)
    for name in (DRIFT_FILE, PICASSO_DRIFT):
        (table.parent / name).unlink(missing_ok=True)


def rewrite(
    table: Path, change: Callable[[Localizations], Localizations], *, corrected: bool
) -> None:
    """Replace a table in one step by one of changed rows.

    Raises
    ------
    SinkError
        If it cannot be written; the table is as it was then.
    """
    partial = table.with_name(table.name + ".partial")
    metadata = with_raw_columns(read_arrow_metadata(table), corrected=corrected)
    try:
        with ArrowStreamFile(partial, metadata) as file:
            for batch in iter_arrow_batches(table):
                file.put(change(batch))
        partial.replace(table)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    sync_folder(table.parent)


def with_raw_columns(metadata: Metadata, *, corrected: bool = True) -> Metadata:
    """Return metadata that state the columns of places as localized, or do not."""
    columns = dict(metadata.get("extra_columns") or {})
    for name in RAW_COLUMNS:
        columns.pop(name, None)
    if corrected:
        columns |= dict.fromkeys(RAW_COLUMNS, "nm")
    stated = {key: value for key, value in metadata.items() if key != "extra_columns"}
    return {**stated, "extra_columns": columns} if columns else stated
