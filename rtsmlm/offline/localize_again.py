"""Localizing the first frames of a run again: with the PSF width that was measured on them.

Live they are localized at once, with a width that is assumed, so that nothing waits for the first
frames; the table is to be of one width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtsmlm.files.run.disk_sync import sync_folder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches, read_arrow_metadata
from rtsmlm.localizations import Localizations
from rtsmlm.offline.catch_up import Movie, merge_by_frame, read_windows
from rtsmlm.offline.parallel import OfflineLocalizers
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.ledger import Ledger

MOST_BYTES = 1 << 30
"""Of a table that is written anew for them; in a larger one they are a tiny part."""


def localize_again(
    movie: Movie,
    ledger: Ledger,
    table: Path,
    make_localizer: Callable[[], Localizer],
    before_frame: int,
    *,
    is_broken_off: Callable[[], bool] = lambda: False,
) -> bool:
    """Localize the frames before one again, and put their rows in place of those of the table.

    A frame that fails keeps its rows. Frames that were skipped are left to `catch_up`.

    Parameters
    ----------
    movie
        The recording of the run.
    ledger
        The frames are booked in it.
    table
        The `localizations.arrows` of the run, replaced in one step.
    make_localizer
        Makes one localizer for each thread.
    before_frame
        Frames with lower numbers.
    is_broken_off
        Asked now and then; once it is true, all stays as it was.

    Returns
    -------
    :
        Whether the table was replaced.
    """
    if not table.exists() or table.stat().st_size > MOST_BYTES:
        return False
    indices = movie.frame_index
    if indices is None:
        indices = np.arange(movie.n_frames, dtype=np.int64)
    wanted = indices < before_frame
    for start, stop in ledger.skipped():
        first, last = np.searchsorted(indices, (start, stop))
        wanted[first:last] = False
    positions = np.flatnonzero(wanted)
    if not len(positions):
        return False
    done, failed = FrameRanges(), FrameRanges()
    localizers = OfflineLocalizers(make_localizer)
    rows: list[Localizations] = []
    windows = read_windows(movie, indices, positions, localizers.neighbours)
    for batch, found in localizers.localize(windows, lambda k, _: failed.add(k, k + 1)):
        if is_broken_off():
            return False
        for index in batch.index.tolist():
            done.add(index, index + 1)
        rows.append(found)
    done = done.without(failed)
    _replace_rows(table, rows, done)
    for start, stop in done:
        ledger.localize_again(start, stop)
    return True


def _replace_rows(table: Path, rows: list[Localizations], frames: FrameRanges) -> None:
    """Put rows in place of those that the table has of these frames."""

    def others(part: Localizations) -> Localizations:
        is_old = np.zeros(len(part), dtype=bool)
        for start, stop in frames:
            is_old |= (part.frame >= start) & (part.frame < stop)
        return part.take(~is_old)

    fresh = table.with_name(table.name + ".partial")
    fresh.unlink(missing_ok=True)
    try:
        with ArrowStreamFile(fresh, read_arrow_metadata(table)) as file:
            for part in merge_by_frame(map(others, iter_arrow_batches(table)), rows):
                file.put(part)
        fresh.replace(table)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    sync_folder(table.parent)
