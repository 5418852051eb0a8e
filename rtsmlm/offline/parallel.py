"""Localize recorded frames: whole movies, and what was skipped during a run.

The same localizers as live, on several threads, results in frame order.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.localizer import localize_each
from rtsmlm.protocols import Localizer

_BATCH_MB = 8  # frames per batch: long enough to keep a thread busy, short enough for memory


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
        self.neighbours = first.neighbours
        self._make_localizer = make_localizer
        self._spare = [first]
        self._n_threads = 1 if first.uses_all_cores else threads or os.cpu_count() or 1
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


def with_neighbours(
    batches: Iterable[FrameBatch], neighbours: int
) -> Iterator[tuple[FrameBatch, slice]]:
    """Yield each batch with the last frames of the one before and the first of the one after."""
    before: FrameBatch | None = None
    current: FrameBatch | None = None
    for after in chain(batches, (None,)):
        if current is not None:
            lead = (
                before.frames(len(before) - neighbours, len(before))
                if before and neighbours
                else None
            )
            tail = after.frames(0, neighbours) if after and neighbours else None
            pieces = [piece for piece in (lead, current, tail) if piece is not None]
            start = len(lead) if lead is not None else 0
            yield FrameBatch.concatenate(pieces), slice(start, start + len(current))
        before, current = current, after
