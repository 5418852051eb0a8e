"""Threads that draw together; numba lets go of the interpreter meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")

MOST_THREADS = 4
"""More only wait for memory, and the localizer needs the others."""


class DrawThreads:
    """The calling thread and its helpers.

    Parameters
    ----------
    n_threads
        All of them; None takes as many as there are cores, within reason.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n_threads = n_threads or min(os.cpu_count() or 1, MOST_THREADS)
        self._helpers: ThreadPoolExecutor | None = None
        if self.n_threads > 1:
            self._helpers = ThreadPoolExecutor(self.n_threads - 1, "rtsmlm-render")

    def map(
        self, jobs: Iterable[Job], do: Callable[[Job], None], deadline_s: float = float("inf")
    ) -> None:
        """Do the jobs in their order; none but the first begins after the deadline.

        Parameters
        ----------
        jobs
            What `do` is called with.
        do
            Called by several threads.
        deadline_s
            Of `time.perf_counter`.
        """
        waiting = list(jobs)[::-1]
        lock = threading.Lock()

        def take() -> Job | None:
            with lock:
                return waiting.pop() if waiting else None

        def take_part() -> None:
            while (job := take()) is not None:
                do(job)
                if time.perf_counter() > deadline_s:
                    return

        n_helpers = min(self.n_threads, len(waiting)) - 1
        futures = []
        if self._helpers is not None:
            futures = [self._helpers.submit(take_part) for _ in range(n_helpers)]
        try:
            take_part()
        finally:
            for future in futures:
                future.result()

    def close(self) -> None:
        """End the helpers."""
        if self._helpers is not None:
            self._helpers.shutdown()
            self._helpers = None
            self.n_threads = 1
