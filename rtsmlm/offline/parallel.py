"""Localize recorded frames: whole movies, and what was skipped during a run.

The same localizers as live, on several threads, results in frame order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.localizer import localize_each
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.cores import usable_cores

_BATCH_MB = 8  # frames per batch: long enough to keep a thread busy, short enough for memory


class Movie(Protocol):
    """What is needed of a movie."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def n_frames(self) -> int: ...
    def batches(
        self, frames_per_batch: int, start: int = 0, stop: int | None = None
    ) -> Iterator[FrameBatch]: ...


def batch_frames(shape: tuple[int, int]) -> int:
    """Return a sensible number of frames per batch for frames of this shape."""
    return max(1, int(_BATCH_MB * 2**20 / (shape[0] * shape[1] * 2)))


class OfflineLocalizers:
    """One localizer per thread; results come in the order of the frames.

    Parameters
    ----------
    make_localizer
        Makes one localizer for each thread.
    threads
        Number of threads; by default one per core.
    """

    def __init__(
        self, make_localizer: Callable[[], Localizer], *, threads: int | None = None
    ) -> None:
        first = make_localizer()
        self.name = first.name
        """That of every localizer of these."""
        self.neighbours = first.neighbours
        self._make_localizer = make_localizer
        self._spare = [first]
        self._n_threads = 1 if first.uses_all_cores else threads or usable_cores()
        self._own = threading.local()

    def localize(
        self,
        windows: Iterable[tuple[FrameBatch, slice]],
        on_failure: Callable[[int, str], None],
    ) -> Iterator[tuple[FrameBatch, Localizations]]:
        """Localize batches and yield their target frames and rows, in their order.

        Parameters
        ----------
        windows
            Frames in order, and which of them are to be localized; only a few batches per thread
            are held at a time.
        on_failure
            Called, from any thread, with the number of each frame that fails, and why.
        """

        def localize(window: tuple[FrameBatch, slice]) -> tuple[FrameBatch, Localizations]:
            batch, targets = window
            if not hasattr(self._own, "localizer"):
                self._own.localizer = self._spare.pop() if self._spare else self._make_localizer()
            rows = localize_each(self._own.localizer, batch, on_failure, targets)
            return batch.frames(*targets.indices(len(batch))[:2]), rows

        n = self._n_threads
        with ThreadPoolExecutor(n, thread_name_prefix="rtsmlm-localize") as pool:
            waiting: deque[Future[tuple[FrameBatch, Localizations]]] = deque()
            try:
                for window in windows:
                    waiting.append(pool.submit(localize, window))
                    if len(waiting) > n:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def localize_part(
    movie: Movie,
    localizers: OfflineLocalizers,
    on_failure: Callable[[int, str], None],
    start: int = 0,
    stop: int | None = None,
) -> Iterator[tuple[FrameBatch, Localizations]]:
    """Localize frames of a movie, all of them or a part, and yield batches and rows in their order.

    Parameters
    ----------
    movie
        The movie.
    localizers
        What localizes.
    on_failure
        Called, from any thread, with the number of each frame that fails, and why.
    start, stop
        Positions in the movie. A part starts at a multiple of `batch_frames`: its frames then have
        the batches and the neighbours that they have in the whole.
    """
    size = batch_frames(movie.shape)
    if start % size:
        raise ValueError(f"a part of batches of {size} frames starts within one, at {start}")
    stop = movie.n_frames if stop is None else min(stop, movie.n_frames)
    margin = -(-localizers.neighbours // size) * size
    first = max(start - margin, 0)
    windows = with_neighbours(movie.batches(size, first, stop + margin), localizers.neighbours)
    own = islice(windows, (start - first) // size, -((first - stop) // size))
    yield from localizers.localize(own, on_failure)


def with_neighbours(
    batches: Iterable[FrameBatch], neighbours: int
) -> Iterator[tuple[FrameBatch, slice]]:
    """Yield each batch with the last frames before it and the first ones after it.

    Batches may be shorter than that: the neighbours come from as many of them as it takes.
    """
    source = iter(batches)
    waiting = deque(islice(source, 1))
    lead: list[FrameBatch] = []
    while waiting:
        current = waiting.popleft()
        while not waiting or sum(map(len, waiting)) < neighbours:
            if (after := next(source, None)) is None:
                break
            waiting.append(after)
        tail: list[FrameBatch] = []
        missing = neighbours
        for after in waiting:
            if missing > 0:
                tail.append(after.frames(0, min(missing, len(after))))
                missing -= len(tail[-1])
        start = sum(map(len, lead))
        yield FrameBatch.concatenate([*lead, current, *tail]), slice(start, start + len(current))
        if neighbours:
            past = current
            if len(current) < neighbours:
                past = FrameBatch.concatenate([*lead, current])
            lead = [past.frames(max(len(past) - neighbours, 0), len(past))]
