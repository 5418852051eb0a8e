"""Linking of a table that is whole: one row for each emitter, beside all rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.analysis.linking import LINKED_COLUMNS, Linker
from rtsmlm.files.run.disk_sync import sync_folder
from rtsmlm.files.run.statistics import state_statistics
from rtsmlm.files.tables.arrow_file import (
    ArrowStreamFile,
    iter_arrow_batches,
    read_arrow_metadata,
    read_arrow_table,
)
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import in_blocks
from rtsmlm.localizations import Localizations

LINKED_TABLE = "linked.arrows"
_BLOCK_ROWS = 20_000
"""Of the rows that are linked at once those that are still on are looked at again."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What linking has found."""

    statistics: dict[str, float | int]

    @property
    def sentence(self) -> str:
        """What there is to say of it."""
        emitters, rows = self.statistics["emitters"], self.statistics["rows"]
        on = self.statistics["on_time_frames"]
        time = f", on for {on:.1f} frames" if np.isfinite(on) else ""
        return f"linked: {rows} rows are {emitters} emitters{time}"


def link_table(table: Path, gap_frames: int) -> Linked:
    """Write `linked.arrows` beside `localizations.arrows`, and what it says to `statistics.json`.

    Raises
    ------
    FileFormatError
        If the table is damaged.
    SinkError
        If a file cannot be written; a linked table of before is as it was then.
    """
    path = table.with_name(LINKED_TABLE)
    partial = path.with_name(path.name + ".partial")
    linker = Linker(gap_frames)
    metadata = linked_metadata(read_arrow_metadata(table), gap_frames)
    try:
        with ArrowStreamFile(partial, metadata) as file:
            for rows in linked_rows(_in_order(table), linker):
                file.put(rows)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    sync_folder(path.parent)
    figures = linker.statistics.as_dict()
    state_statistics(table.parent, "linking", figures)
    return Linked(figures)


def linked_rows(batches: Iterable[Localizations], linker: Linker) -> Iterator[Localizations]:
    """Yield the linked rows of a table in order of frames, block by block."""
    for batch in in_blocks(batches, _BLOCK_ROWS):
        yield linker.add(batch)
    yield linker.finish()


def linked_metadata(metadata: Metadata, gap_frames: int) -> Metadata:
    """Return the metadata of a linked table."""
    columns = {**(metadata.get("extra_columns") or {}), **LINKED_COLUMNS}
    return {**metadata, "extra_columns": columns, "linked_gap_frames": gap_frames}


def _in_order(table: Path) -> Iterator[Localizations]:
    if _is_ordered(lambda: iter_arrow_batches(table)):
        return iter_arrow_batches(table)
    return iter([read_arrow_table(table)[0].sorted_by_frame()])


def _is_ordered(batches: Callable[[], Iterable[Localizations]]) -> bool:
    last = -1
    for batch in batches():
        if len(batch) and (batch.frame[0] < last or np.any(np.diff(batch.frame) < 0)):
            return False
        last = int(batch.frame[-1]) if len(batch) else last
    return True
