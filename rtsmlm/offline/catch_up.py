"""Catching up: frames that were recorded and skipped are localized from the recording."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.run.disk_sync import sync_folder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches, read_arrow_metadata
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import Localizations
from rtsmlm.offline.parallel import OfflineLocalizers, batch_frames
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.ledger import Ledger

_MOST_PX_AT_ONCE = 2**19
"""A slow network is done with them within a second or two, and may then be broken off."""


class Movie(Protocol):
    """What catch-up needs of a recording."""

    @property
    def n_frames(self) -> int: ...
    @property
    def frame_index(self) -> NDArray[np.int64] | None: ...
    def read(self, indices: NDArray[np.int64]) -> Pixels: ...


def catch_up(
    movie: Movie,
    ledger: Ledger,
    table: Path,
    make_localizer: Callable[[], Localizer],
    on_progress: Callable[[int, int], None],
    *,
    is_broken_off: Callable[[], bool] = lambda: False,
) -> None:
    """Localize the skipped frames of a run from its recording and merge them into the table.

    Parameters
    ----------
    movie
        The recording of the run.
    ledger
        Lists the skipped frames; those that are caught up are booked in it.
    table
        The `localizations.arrows` of the run, replaced in one step by the completed one.
    make_localizer
        Makes one localizer for each thread.
    on_progress
        Called with the number of frames done and the number to do.
    is_broken_off
        Asked now and then; once it is true, the frames that are left stay skipped.
    """
    skipped = ledger.skipped()
    indices = movie.frame_index
    if indices is None:
        indices = np.arange(movie.n_frames, dtype=np.int64)
    wanted = np.zeros(len(indices), dtype=bool)
    for start, stop in skipped:
        first, last = np.searchsorted(indices, (start, stop))
        wanted[first:last] = True
    positions = np.flatnonzero(wanted)
    if not len(positions):
        return

    caught_up, failed = FrameRanges(), FrameRanges()

    localizers = OfflineLocalizers(make_localizer)

    def late() -> Iterator[Localizations]:
        done = 0
        windows = itertools.takewhile(
            lambda _: not is_broken_off(),
            read_windows(movie, indices, positions, localizers.neighbours),
        )
        for batch, localizations in localizers.localize(
            windows, lambda frame, _: failed.add(frame, frame + 1)
        ):
            for index in batch.index.tolist():
                caught_up.add(index, index + 1)
            done += len(batch)
            on_progress(done, len(positions))
            yield localizations

    merged = table.with_name(table.name + ".partial")
    merged.unlink(missing_ok=True)
    # An analysis that died between writing rows and releasing their frames has left rows of
    # frames that are localized again here.
    wanted_frames = indices[positions]
    live = (p.take(~np.isin(p.frame, wanted_frames)) for p in iter_arrow_batches(table))
    try:
        with ArrowStreamFile(merged, read_arrow_metadata(table)) as file:
            for part in merge_by_frame(live, late()):
                file.put(part)
        merged.replace(table)
    except BaseException:
        with contextlib.suppress(OSError):
            merged.unlink()
        raise
    sync_folder(table.parent)
    for start, stop in caught_up.without(failed):
        ledger.catch_up(start, stop)


def read_windows(
    movie: Movie, indices: NDArray[np.int64], positions: NDArray[np.int64], neighbours: int
) -> Iterator[tuple[FrameBatch, slice]]:
    """Read runs of consecutive positions with the neighbours that lie beside them in the movie."""
    shape = movie.read(positions[:1]).shape
    most = max(1, _MOST_PX_AT_ONCE // (shape[1] * shape[2]))
    size = min(batch_frames((shape[1], shape[2])), most)
    starts = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) != 1)
    for run in np.split(positions, starts[1:]):
        for k in range(0, len(run), size):
            part = run[k : k + size]
            first = max(int(part[0]) - neighbours, 0)
            chosen = np.arange(first, min(int(part[-1]) + neighbours + 1, len(indices)))
            batch = FrameBatch.from_pixels(movie.read(chosen), index=indices[chosen])
            start = int(part[0]) - first
            yield batch, slice(start, start + len(part))


def merge_by_frame(
    first: Iterable[Localizations], second: Iterable[Localizations]
) -> Iterator[Localizations]:
    """Merge two series of tables, each ordered by frame and sharing no frame, into one."""
    late = iter(second)
    held = next(late, None)
    for part in first:
        if not len(part):
            continue
        pieces = [part]
        last_frame = int(part.frame[-1])
        while held is not None and (not len(held) or int(held.frame[0]) <= last_frame):
            early = held.frame <= last_frame
            pieces.append(held.take(early))
            if not early.all():
                held = held.take(~early)
                break
            held = next(late, None)
        yield Localizations.concatenate(pieces).sorted_by_frame()
    if held is not None and len(held):
        yield held
    yield from (part for part in late if len(part))
