"""`rtsmlm link`: the emitters of a run that has ended, or of a table of any program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rtsmlm.analysis.linking import Linker
from rtsmlm.files.run.statistics import state_statistics
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.localizations import Localizations
from rtsmlm.offline.drift_of_run import Notes, opened_run
from rtsmlm.offline.linking import Linked, link_table, linked_metadata, linked_rows
from rtsmlm.offline.table_beside import write_beside


def link_run(path: Path, gap_frames: int, on_step: Callable[[str], None]) -> Notes:
    """Write the linked table of a run.

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
        on_step("linking")
        return Notes(link_table(folder.localizations, gap_frames).sentence)
    finally:
        folder.release()


def link_foreign_table(
    path: Path,
    formats: Sequence[str],
    pixel_nm: float | None,
    gap_frames: int,
    on_step: Callable[[str], None],
) -> tuple[Path, Notes]:
    """Write the linked rows of a table into a folder beside it; return the folder.

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
    on_step("linking")
    linker = Linker(gap_frames)
    rows = linked_rows([table.localizations.sorted_by_frame()], linker)
    linked = Localizations.concatenate(list(rows))
    made = Table(linked, linked_metadata(table.metadata, gap_frames))
    folder = write_beside(path, "_linked", made, formats, on_step)
    figures = linker.statistics.as_dict()
    state_statistics(folder, "linking", figures)
    return folder, Notes(Linked(figures).sentence, table.notes)
