"""Localize frames that wait for nobody: whole movies, and what was skipped during a run.

The same localizers as live, on several threads, results in frame order.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.arrow_table import (
    ArrowStreamFile,
    iter_arrow_batches,
    read_arrow_metadata,
)
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.ledger import FrameRanges, Ledger
from rtsmlm.localizations import Localizations
from rtsmlm.prepare import localize_each
from rtsmlm.protocols import Localizer

_BATCH_MB = 8  # frames per batch: long enough to keep a thread busy, short enough for memory


class Movie(Protocol):
    """What catch-up needs of a recording."""

    @property
    def n_frames(self) -> int: ...
    @property
    def frame_index(self) -> NDArray[np.int64] | None: ...
    def read(self, indices: NDArray[np.int64]) -> Pixels: ...


def batch_frames(shape: tuple[int, int]) -> int:
    """Return a sensible number of frames per batch for frames of this shape."""
    return max(1, int(_BATCH_MB * 2**20 / (shape[0] * shape[1] * 2)))


def localize_in_order(
    batches: Iterable[FrameBatch],
    make_localizer: Callable[[], Localizer],
    on_failure: Callable[[int, str], None],
    *,
    threads: int | None = None,
) -> Iterator[tuple[FrameBatch, Localizations]]:
    """Localize batches on several threads and yield the results in their order.

    Parameters
    ----------
    batches
        Frames in order; only a few batches per thread are held at a time.
    make_localizer
        Makes one localizer for each thread.
    on_failure
        Called, from any thread, with the number of each frame that fails, and why.
    threads
        Number of threads; by default one per core.
    """
    n_threads = threads or os.cpu_count() or 1
    own = threading.local()

    def localize(batch: FrameBatch) -> tuple[FrameBatch, Localizations]:
        if not hasattr(own, "localizer"):
            own.localizer = make_localizer()
        return batch, localize_each(own.localizer, batch, on_failure)

    with ThreadPoolExecutor(n_threads, thread_name_prefix="rtsmlm-localize") as pool:
        waiting: deque[Future[tuple[FrameBatch, Localizations]]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(localize, batch))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def catch_up(
    movie: Movie,
    ledger: Ledger,
    table: Path,
    make_localizer: Callable[[], Localizer],
    on_progress: Callable[[int, int], None],
) -> None:
    """Localize the skipped frames of a run from its recording and merge them into the table.

    Parameters
    ----------
    movie
        The recording of the run.
    ledger
        Says which frames were skipped; those that are caught up are booked.
    table
        The `localizations.arrows` of the run, replaced in one step by the completed one.
    make_localizer
        Makes one localizer for each thread.
    on_progress
        Called with the number of frames done and the number to do.
    """
    skipped = ledger.skipped()
    indices = movie.frame_index
    if indices is None:
        indices = np.arange(movie.n_frames, dtype=np.int64)
    wanted = np.zeros(len(indices), dtype=bool)
    for start, stop in skipped:
        wanted |= (indices >= start) & (indices < stop)
    positions = np.flatnonzero(wanted)
    if not len(positions):
        return

    caught_up = FrameRanges()
    for index in indices[positions].tolist():
        caught_up.add(index, index + 1)
    failed = FrameRanges()

    def late() -> Iterator[Localizations]:
        done = 0
        batches = _read_batches(movie, indices, positions)
        for batch, localizations in localize_in_order(
            batches, make_localizer, lambda frame, _: failed.add(frame, frame + 1)
        ):
            done += len(batch)
            on_progress(done, len(positions))
            yield localizations

    merged = table.with_name(table.name + ".partial")
    merged.unlink(missing_ok=True)
    # An analysis that died between writing rows and giving their frames back has left rows of
    # frames that are done again here.
    wanted_frames = indices[positions]
    live = (p.take(~np.isin(p.frame, wanted_frames)) for p in iter_arrow_batches(table))
    with ArrowStreamFile(merged, read_arrow_metadata(table)) as file:
        for part in merge_by_frame(live, late()):
            file.put(part)
    merged.replace(table)
    for start, stop in caught_up.without(failed):
        ledger.catch_up(start, stop)


def _read_batches(
    movie: Movie, indices: NDArray[np.int64], positions: NDArray[np.int64]
) -> Iterator[FrameBatch]:
    first = movie.read(positions[:1])
    size = batch_frames((first.shape[1], first.shape[2]))
    for k in range(0, len(positions), size):
        chosen = positions[k : k + size]
        yield FrameBatch.from_pixels(movie.read(chosen), index=indices[chosen])


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
