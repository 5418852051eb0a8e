"""DiskSpace: whether the disk takes the next frames, and a warning before it does not.

A part of the disk is reserved for table, ledger and report: raw frames never take it. Where it is
reached, or where the disk refuses a frame, the recording pauses; it continues by itself.
"""

from __future__ import annotations

import errno
import math
from collections import deque
from collections.abc import Callable
from pathlib import Path

from rtsmlm.errors import number_text
from rtsmlm.files.run.folder import free_mb
from rtsmlm.realtime.clock import now_ns

_MB = 2**20
_MEASURE_NS = 500_000_000
_RETRY_NS = 1_000_000_000
"""A disk that has refused a frame is tried again so often."""
_RATE_NS, _RATE_LEAST_NS = 10_000_000_000, 1_000_000_000
"""Span over which the rate of writing is measured, and the shortest at the start."""
_NOTICE_MIN = (math.inf, 10.0, 1.0)
"""The user is warned when the disk will be full in so many minutes, the first for runs whose end is
known."""
_RESUME_S, _RESUME_BYTES = 1.0, 16 * _MB
"""The recording continues when there is room for so long, or for so much: with less it would pause
again at once."""
_MOST_PAUSES = 5
"""That are reported one by one; a disk that fills again and again would flood the report."""
_FREE_SPACE = "free space, and it continues"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskSpace:
    """Admits frames to the disk. For the thread that writes them.

    Parameters
    ----------
    folder
        The run folder.
    reserve_mb
        Free space that raw frames leave alone.
    warn
        Called with one sentence.
    total_bytes
        All that will be written, infinite if unknown.
    seconds
        Length of the run, infinite if unknown.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reserve_mb: float,
        warn: Callable[[str], None],
        total_bytes: float = math.inf,
        seconds: float = math.inf,
    ) -> None:
        self._folder, self._reserve_mb, self._warn = folder, reserve_mb, warn
        self._total_bytes, self._seconds = total_bytes, seconds
        self._started_ns = now_ns()
        self._written = 0
        self._room = 0.0
        """Bytes that may be written before the disk is measured again."""
        self._due_ns = 0
        """When it is measured again, whatever was written."""
        self._samples: deque[tuple[int, int]] = deque()
        self._rate = 0.0
        """Bytes per second, over the last seconds in which something was written."""
        self._notices_left = list(_NOTICE_MIN)
        self.paused = False
        """True while nothing is written."""
        self.reason = ""
        """Why the recording paused the last time."""
        self._n_pauses = 0

    def admits(self, n_bytes: int, frame: int) -> bool:
        """Tell whether so much may be written now.

        Parameters
        ----------
        n_bytes
            Size of what is to be written.
        frame
            Camera number of its first frame, for the user.
        """
        now = now_ns()
        if self.paused:
            if now < self._due_ns:
                return False
            self._measure(now)
            self._due_ns = now + _RETRY_NS
            return self._room >= max(n_bytes, min(self._rate * _RESUME_S, _RESUME_BYTES))
        if now >= self._due_ns or self._room < n_bytes:
            self._measure(now)
            if self._room < n_bytes:
                self._pause(self._at_reserve(), _FREE_SPACE, frame, now)
                return False
            self._give_notice(now)
        return True

    def wrote(self, n_bytes: int, frame: int) -> None:
        """Count what was admitted and written; a pause ends with it.

        Parameters
        ----------
        n_bytes
            Size of what was written.
        frame
            Camera number of its first frame.
        """
        self._written += n_bytes
        self._room -= n_bytes
        if self.paused:
            self.paused = False
            self._samples.clear()
            if self._n_pauses <= _MOST_PAUSES:
                self._warn(f"recording continues with frame {frame}")

    def refused(self, error: OSError, frame: int) -> None:
        """Take note that the disk did not take a frame; it is tried again a little later.

        Parameters
        ----------
        error
            What the disk answered.
        frame
            Camera number of the first frame that was not written.
        """
        if error.errno in _FULL:
            self._pause(f"the disk of {self._folder} is full", _FREE_SPACE, frame, now_ns())
        else:
            reason = f"{self._folder}: {error.strerror or error}"
            self._pause(reason, "it is tried again every second", frame, now_ns())

    def try_now(self) -> None:
        """Let the next frames be tried without a wait: they are the last."""
        self._due_ns = 0

    def _pause(self, reason: str, advice: str, frame: int, now: int) -> None:
        self._due_ns = now + _RETRY_NS
        if not self.paused:
            self._n_pauses += 1
            if self._n_pauses <= _MOST_PAUSES:
                self._warn(
                    f"recording paused at frame {frame}: {reason}; {advice}. Localization continues"
                )
        self.paused, self.reason = True, reason

    def _at_reserve(self) -> str:
        free = (self._room + self._reserve_mb * _MB) / _MB
        return (
            f"the disk of {self._folder} has {free:.0f} MB free, of which record.reserve_mb = "
            f"{self._reserve_mb:g} MB are kept for table, ledger and report"
        )

    def _measure(self, now: int) -> None:
        self._due_ns = now + _MEASURE_NS
        try:
            self._room = (free_mb(self._folder) - self._reserve_mb) * _MB
        except OSError:  # writing will tell
            self._room = math.inf
        if not self.paused:
            self._samples.append((now, self._written))
            while now - self._samples[0][0] > _RATE_NS:
                self._samples.popleft()
            start, written = self._samples[0]
            if now - start > _RATE_LEAST_NS:
                self._rate = (self._written - written) / (now - start) * 1e9

    def _give_notice(self, now: int) -> None:
        """Warn of a disk that will be full soon, unless the run ends before."""
        if not self._rate:
            return
        left_min = self._room / self._rate / 60
        run_s = self._seconds - (now - self._started_ns) / 1e9
        needed = min(self._total_bytes - self._written, self._rate * run_s)
        left = [m for m in _NOTICE_MIN if m in self._notices_left or left_min > 2 * m]
        due = [m for m in left if left_min < m and (m < math.inf or needed < math.inf)]
        self._notices_left = left
        if not due or needed <= self._room:
            return
        self._notices_left = [m for m in self._notices_left if m not in due]
        self._warn(
            f"the disk of {self._folder} takes {self._room / _MB:.0f} MB more of raw frames, "
            f"{_duration(left_min)} at {number_text(self._rate / _MB)} MB/s; free space, or the "
            "recording pauses then"
        )


def _duration(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes >= 1 else f"{minutes * 60:.0f} s"
