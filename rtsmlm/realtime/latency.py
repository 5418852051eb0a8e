"""Latency percentiles and rates; constant memory, no locks."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_SHORTEST_NS = 1e3
_STEPS_PER_DECADE = 100  # 2.3 % wide: finer than the spread between two runs
_DECADES = 9  # 1 microsecond to 1000 seconds


LatencySummary: TypeAlias = dict[str, dict[str, float]]
"""Per stage count, p50, p95, p99 and max; durations in ms."""


class LatencyHistogram:
    """Counts of durations in logarithmic bins: percentiles of any run length in 7 kB."""

    def __init__(self) -> None:
        self._counts = np.zeros(_STEPS_PER_DECADE * _DECADES + 1, dtype=np.int64)
        self._longest_ns = 0

    def __len__(self) -> int:
        return int(self._counts.sum())

    def add(self, durations_ns: NDArray[np.int64]) -> None:
        """Count durations in ns, shape (n,); negative ones count as shortest."""
        if not len(durations_ns):
            return
        decades = np.log10(np.maximum(durations_ns, _SHORTEST_NS) / _SHORTEST_NS)
        bins = np.minimum((decades * _STEPS_PER_DECADE).astype(np.int64), len(self._counts) - 1)
        np.add.at(self._counts, bins, 1)
        self._longest_ns = max(self._longest_ns, int(durations_ns.max()))

    def merge(self, other: LatencyHistogram) -> None:
        """Count the durations of another histogram as well."""
        self._counts += other._counts
        self._longest_ns = max(self._longest_ns, other._longest_ns)

    def percentile_ms(self, percent: float) -> float:
        """Return the duration that `percent` of all stay below, in ms; NaN if there is none.

        The upper edge of the bin is returned, so that the figure is never too small.
        """
        total = len(self)
        if total == 0:
            return float("nan")
        rank = int(np.searchsorted(np.cumsum(self._counts), percent / 100 * total))
        edge_ns = _SHORTEST_NS * 10.0 ** ((rank + 1) / _STEPS_PER_DECADE)
        if rank == len(self._counts) - 1:  # the last bin has no upper edge
            edge_ns = math.inf
        return float(min(edge_ns, self._longest_ns)) / 1e6

    def summary(self) -> dict[str, float]:
        """Return count, p50, p95, p99 and the longest, durations in ms."""
        return {
            "count": len(self),
            "p50": self.percentile_ms(50),
            "p95": self.percentile_ms(95),
            "p99": self.percentile_ms(99),
            "max": self._longest_ns / 1e6 if len(self) else float("nan"),
        }


RECENT_S = 10
"""What is called recent."""


@dataclass(frozen=True, slots=True)
class RecentLatency:
    """From exposure end to published, over the last ten seconds; NaN where there was no frame."""

    p50_ms: float = math.nan
    p99_ms: float = math.nan
    newest_ms: float = math.nan
    """Of the newest frame."""


class RecentLatencyMeter:
    """A histogram for each of the last ten seconds."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, LatencyHistogram]] = deque()
        self._newest_ns = math.nan

    def add(self, durations_ns: NDArray[np.int64], t_ns: int) -> None:
        """Count durations in ns, shape (n,), of frames that were published at `t_ns`."""
        if not len(durations_ns):
            return
        second = t_ns // 1_000_000_000
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, LatencyHistogram()))
        self._seconds[-1][1].add(durations_ns)
        self._newest_ns = float(durations_ns[-1])
        self._forget(second)

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - RECENT_S:
            self._seconds.popleft()

    def latency(self, t_ns: int) -> RecentLatency:
        """Return the figures at `t_ns`."""
        self._forget(t_ns // 1_000_000_000)
        all_of_them = LatencyHistogram()
        for _, histogram in self._seconds:
            all_of_them.merge(histogram)
        return RecentLatency(
            all_of_them.percentile_ms(50), all_of_them.percentile_ms(99), self._newest_ns / 1e6
        )


STAGES = ("acquire", "wait", "localize", "publish", "total")
"""Exposure end to ring, ring to localizer, localizer, sinks; and exposure end to published."""


START = ("first frame", "first second")
"""Exposure end to published, of what came first: there a run would show that it was not ready."""
_FIRST_NS = 1_000_000_000


class LatencyStages:
    """One histogram per stage from exposure end to published.

    Parameters
    ----------
    from_start
        Whether the first frame that is added is the first one of a run.
    """

    def __init__(self, *, from_start: bool = True) -> None:
        self.stages = {name: LatencyHistogram() for name in STAGES}
        self.recent = RecentLatencyMeter()
        self._start = {name: LatencyHistogram() for name in START} if from_start else {}
        self._first_end_ns: int | None = None

    def add(
        self,
        t_exposure_end_ns: NDArray[np.int64],
        t_ring_ns: NDArray[np.int64],
        t_taken_ns: int,
        t_localized_ns: int,
        t_published_ns: int,
    ) -> None:
        """Add the frames of one batch; frame times have shape (n,), the others are of the batch."""
        once = np.ones(len(t_ring_ns), dtype=np.int64)
        self.stages["acquire"].add(t_ring_ns - t_exposure_end_ns)
        self.stages["wait"].add(t_taken_ns - t_ring_ns)
        self.stages["localize"].add(once * (t_localized_ns - t_taken_ns))
        self.stages["publish"].add(once * (t_published_ns - t_localized_ns))
        total_ns = t_published_ns - t_exposure_end_ns
        self.stages["total"].add(total_ns)
        self.recent.add(total_ns, t_published_ns)
        if self._start and len(total_ns):
            self._add_first(total_ns, t_exposure_end_ns)

    def _add_first(self, total_ns: NDArray[np.int64], t_exposure_end_ns: NDArray[np.int64]) -> None:
        if self._first_end_ns is None:
            self._first_end_ns = int(t_exposure_end_ns[0])
            self._start["first frame"].add(total_ns[:1])
        if t_exposure_end_ns[0] - self._first_end_ns < _FIRST_NS:
            is_first = t_exposure_end_ns - self._first_end_ns < _FIRST_NS
            self._start["first second"].add(total_ns[is_first])

    def summary(self) -> LatencySummary:
        """Return the summary of every stage, in ms."""
        return {
            name: histogram.summary() for name, histogram in (self.stages | self._start).items()
        }


def duration_text(value_ms: float) -> str:
    """Return a duration with its unit, as `4.4 ms`, `45 ms`, `6.8 s`; `-` where it is not known."""
    if math.isnan(value_ms):
        return "-"
    if value_ms < 999.5:
        return f"{value_ms:.0f} ms" if value_ms >= 9.95 else f"{value_ms:.1f} ms"
    return f"{value_ms / 1e3:.1f} s" if value_ms < 99_950 else f"{value_ms / 1e3:.0f} s"


class RateMeter:
    """How fast one running total grows with another, over the last stretch of the latter.

    Parameters
    ----------
    window
        Length of the stretch, in units of what `update` takes second; two seconds in ns.
    """

    def __init__(self, window: float = 2e9) -> None:
        self._window = window
        self._points: deque[tuple[int, int]] = deque()

    def update(self, total: int, at: int) -> float:
        """Note the running total at a time (or frame) and return its growth per unit."""
        if self._points and at < self._points[-1][0]:
            self._points.clear()
        self._points.append((at, total))
        while len(self._points) > 2 and at - self._points[1][0] >= self._window:
            self._points.popleft()
        first_at, first = self._points[0]
        return (total - first) / (at - first_at) if at > first_at else 0.0
