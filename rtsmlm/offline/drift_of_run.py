"""`rtsmlm drift`: the drift of a run that has ended, or of a table of any program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.analysis.drift_trace import without_drift
from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.owner import owner_of
from rtsmlm.files.run.state import run_state
from rtsmlm.files.tables.arrow_file import iter_arrow_batches, read_arrow_metadata
from rtsmlm.files.tables.export import FILE_NAMES
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.offline.drift import (
    correct_table,
    measure_drift,
    put_back,
    with_raw_columns,
    write_drift_files,
)
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.results import draw_table
from rtsmlm.offline.table_beside import write_beside
from rtsmlm.settings.load import load

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Notes:
    """What is to be printed."""

    verdict: str
    warnings: tuple[str, ...] = ()


def correct_run(path: Path, on_step: Step) -> Notes:
    """Take the drift off the table of a run, and draw its image anew.

    Raises
    ------
    ConfigError
        If there is no run, or it goes on.
    FileFormatError
        If the table is damaged.
    SinkError
        If a file cannot be written.
    """
    folder = opened_run(path)
    try:
        on_step("drift")
        measured = measure_drift(lambda: iter_arrow_batches(folder.localizations))
        if not measured.is_known:
            return Notes("nothing was changed", (measured.sentence,))
        correct_table(folder.localizations, measured)
        on_step("image")
        _draw(folder)
    finally:
        folder.release()
    return Notes(measured.sentence, _exports_left(path))


def restore_run(path: Path, on_step: Step) -> Notes:
    """Give the rows of a run the places where they were localized; raises as `correct_run`."""
    folder = opened_run(path)
    try:
        on_step("table")
        put_back(folder.localizations)
        on_step("image")
        _draw(folder)
    finally:
        folder.release()
    return Notes("all rows are where they were localized", _exports_left(path))


def correct_foreign_table(
    path: Path, formats: Sequence[str], pixel_nm: float | None, on_step: Step
) -> tuple[Path, Notes]:
    """Write a table without its drift, and the drift, into a folder beside it; return the folder.

    Raises
    ------
    ConfigError
        If a format is unknown.
    FileFormatError
        If the table is damaged, or states places in pixels and `pixel_nm` is not given.
    SinkError
        If a file cannot be written.
    """
    table = read_table(path, pixel_nm)
    on_step("drift")
    measured = measure_drift(lambda: [table.localizations])
    if not measured.is_known:
        return path.parent, Notes("nothing was written", (*table.notes, measured.sentence))
    rows = without_drift(table.localizations, measured.trace.at(table.localizations.frame))
    corrected = Table(rows, with_raw_columns(table.metadata))
    folder = write_beside(path, "_drift", corrected, formats, on_step)
    write_drift_files(folder, measured, table.metadata)
    return folder, Notes(measured.sentence, table.notes)


def opened_run(path: Path) -> RunFolder:
    """Return the folder of a run that has ended, owned until `release`; raises as `correct_run`."""
    folder = RunFolder(path)
    if run_state(path).stage == "running":
        raise ConfigError(f"the run in {path} goes on ({owner_of(path)}); wait for its end")
    if not folder.settings.is_file() or not folder.localizations.is_file():
        raise ConfigError(
            f"{path} holds no run; give the folder of one, with its run.toml and "
            f"{folder.localizations.name}, or a table of localizations"
        )
    folder.claim_existing()
    return folder


def _draw(folder: RunFolder) -> None:
    metadata, settings = read_arrow_metadata(folder.localizations), load(folder.settings, [])
    height, width = metadata["shape"]
    draw_table(
        folder.localizations,
        (int(height), int(width)),
        TableSummary(),
        pixel_nm=float(metadata["pixel_nm"]),
        image_pixel_nm=settings.results.image_pixel_nm,
    )


def _exports_left(path: Path) -> tuple[str, ...]:
    left = [name for name in FILE_NAMES.values() if (path / name).exists()]
    if not left:
        return ()
    return (f"{', '.join(left)} in {path} are exports of the table as it was before",)
