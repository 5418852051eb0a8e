"""BacklogWatch: whether frames come faster than they are localized, and for how long."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

GROWS_S = 2.0
"""So long a backlog must grow. A disk or a program beside us that takes the cores is done sooner,
and what has piled up meanwhile becomes less again."""
_PARTS = 5
"""Of that time: the least backlog of each is no lower than that of the part before."""
_LEAST_GROWTH = 4
"""Frames by which it has grown at least: fewer come and go with the batches."""
_FULL = 0.9
"""A ring that is full to this part cannot show that more frames come."""


class BacklogWatch:
    """Watches the number of frames that wait.

    Parameters
    ----------
    capacity
        Most frames that can wait.
    """

    def __init__(self, capacity: int) -> None:
        self._full = _FULL * capacity
        self._part_ns = int(GROWS_S * 1e9 / _PARTS)
        self._parts: deque[tuple[int, int]] = deque(maxlen=_PARTS)
        """When each part of the time began, and its least backlog."""

    def grows(self, backlog: int, t_ns: int) -> bool:
        """Note a backlog; True once it has grown, or has filled the ring, for `GROWS_S`.

        Parameters
        ----------
        backlog
            Frames that wait.
        t_ns
            The time now.
        """
        if self._parts and t_ns - self._parts[-1][0] < self._part_ns:
            start_ns, least = self._parts[-1]
            self._parts[-1] = start_ns, min(least, backlog)
            return False
        grows = len(self._parts) == _PARTS and self._has_grown()
        self._parts.append((t_ns, backlog))
        return grows

    def _has_grown(self) -> bool:
        least = [backlog for _, backlog in self._parts]
        if min(least) >= self._full:
            return True
        rises = all(a <= b for a, b in pairwise(least))
        return rises and least[-1] - least[0] >= _LEAST_GROWTH

    def reset(self) -> None:
        """Forget what was: another localizer is in force."""
        self._parts.clear()
