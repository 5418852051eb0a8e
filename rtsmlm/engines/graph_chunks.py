"""Any number of boxes or images through a graph of fixed sizes: in chunks, the last one filled.

Spots differ in number from batch to batch: a graph whose sizes are known as it is compiled takes
half the time of one that is open (OpenVINO, float32; a third of it in bf16).
Several chunks are under way at once, each in a lane of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol, TypeAlias

import numpy as np

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32

BOX_LIMIT_PX = 64 * 64
"""Smaller items are boxes, of which many go through a graph at once; larger ones are images."""

Inputs: TypeAlias = Mapping[str, F32]


class Lane(Protocol):
    """One graph of a fixed size with memory of its own; used by one thread at a time."""

    def start(self, inputs: Inputs) -> None:
        """Begin with one chunk, whose arrays stay as they are until `finish`."""
        ...

    def finish(self) -> F32:
        """Wait, and return the answer, which the next `start` overwrites."""
        ...


Lanes: TypeAlias = Callable[[int], SimpleQueue[Lane]]
"""Free lanes of a chunk size."""


def is_box(inputs: Inputs) -> bool:
    """Tell whether the items are boxes."""
    shape = next(iter(inputs.values())).shape
    return int(np.prod(shape[-2:])) < BOX_LIMIT_PX


def run_in_chunks(inputs: Inputs, sizes: Sequence[int], lanes: Lanes) -> F32:
    """Return the answers for all items, (n, ...).

    Parameters
    ----------
    inputs
        By name, (n, ...) each, at least one item.
    sizes
        Sizes of the chunks, largest first.
    lanes
        Where they are computed; a thread holds several lanes only while others are free, so that
        no two wait for each other.
    """
    n = len(next(iter(inputs.values())))
    answer: F32 | None = None
    under_way: deque[tuple[int, int, SimpleQueue[Lane], Lane]] = deque()

    def collect() -> None:
        nonlocal answer
        start, stop, free, lane = under_way.popleft()
        try:
            part = lane.finish()
            if answer is None:
                answer = np.empty((n, *part.shape[1:]), dtype=np.float32)
            answer[start:stop] = part[: stop - start]
        finally:
            free.put(lane)

    try:
        start = 0
        while start < n:
            size = next((size for size in sizes if 2 * (n - start) > size), sizes[-1])
            stop = min(start + size, n)
            chunk = {name: _chunk(values, start, stop, size) for name, values in inputs.items()}
            free = lanes(size)
            while (lane := _free_lane(free, wait=not under_way)) is None:
                collect()
            under_way.append((start, stop, free, lane))
            lane.start(chunk)
            start = stop
        while under_way:
            collect()
    finally:  # after a failure nothing is left running
        for *_, free, lane in under_way:
            with suppress(RuntimeError, LocalizerError):
                lane.finish()
            free.put(lane)
    if answer is None:
        raise ValueError("no items")
    return answer


def _free_lane(free: SimpleQueue[Lane], *, wait: bool) -> Lane | None:
    try:
        return free.get(block=wait)
    except Empty:
        return None


def _chunk(values: F32, start: int, stop: int, size: int) -> F32:
    if stop - start == size:
        return np.ascontiguousarray(values[start:stop], dtype=np.float32)
    chunk = np.zeros((size, *values.shape[1:]), dtype=np.float32)
    chunk[: stop - start] = values[start:stop]
    return chunk
