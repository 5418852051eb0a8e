"""Ledger: what became of every frame, and the proof that the sums balance.

Every frame that the camera numbered is *lost* (never reached us) or *received*. Every received
frame is *localized*, *skipped*, or still in the ring. *Recorded* is counted independently.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass


class FrameRanges:
    """A set of frame numbers as half-open ranges; appending in order costs nothing."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[tuple[int, int]] = []
        for start, stop in ranges:
            self.add(start, stop)

    def add(self, start: int, stop: int) -> None:
        """Add frames start..stop-1; what is there already stays."""
        if stop <= start:
            return
        ranges = self._ranges
        if not ranges or start > ranges[-1][1]:
            ranges.append((start, stop))
        elif start == ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], stop)
        else:
            self._ranges = list(_merged(sorted([*ranges, (start, stop)])))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self._ranges)

    def without(self, other: FrameRanges) -> FrameRanges:
        """Return the frames that are here and not in `other`."""
        result = FrameRanges()
        holes = list(other)
        first = 0
        for start, stop in self._ranges:
            while first < len(holes) and holes[first][1] <= start:
                first += 1
            at, k = start, first
            while k < len(holes) and holes[k][0] < stop:
                result.add(at, holes[k][0])
                at = max(at, holes[k][1])
                k += 1
            result.add(at, stop)
        return result

    def as_list(self) -> list[list[int]]:
        """Return the ranges as [first, last] pairs, both inclusive, for JSON."""
        return [[start, stop - 1] for start, stop in self._ranges]


def _merged(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    current_start, current_stop = ranges[0]
    for start, stop in ranges[1:]:
        if start <= current_stop:
            current_stop = max(current_stop, stop)
        else:
            yield current_start, current_stop
            current_start, current_stop = start, stop
    yield current_start, current_stop


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """The sums of a ledger at one moment."""

    camera: int
    """Frames that the camera numbered: the highest number + 1."""
    received: int
    recorded: int
    localized: int
    skipped: int
    lost: int
    in_ring: int
    """Received, and neither localized nor skipped yet."""

    @property
    def balances(self) -> bool:
        """True if every frame is accounted for exactly once."""
        return (
            self.camera == self.received + self.lost
            and self.received == self.localized + self.skipped + self.in_ring
            and self.in_ring >= 0
        )


class Ledger:
    """Books every frame; called by the threads of acquisition, recorder and supervisor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._lost = FrameRanges()
        self._received = FrameRanges()
        self._recorded = FrameRanges()
        self._queued: deque[tuple[int, int]] = deque()  # in the ring, in ring order
        self._released = FrameRanges()  # left the ring with their results delivered
        self._skipped = FrameRanges()  # never entered the ring, or failed in the localizer
        self._caught_up = FrameRanges()

    def receive(self, index: int, *, queued: bool) -> None:
        """Book a frame from the camera, which entered the ring or (`queued` False) was skipped."""
        with self._lock:
            self._lost.add(self._next, index)
            self._next = index + 1
            self._received.add(index, index + 1)
            if not queued:
                self._skipped.add(index, index + 1)
            elif self._queued and self._queued[-1][1] == index:
                self._queued[-1] = (self._queued[-1][0], index + 1)
            else:
                self._queued.append((index, index + 1))

    def record(self, start: int, stop: int) -> None:
        """Book frames start..stop-1 as written to disk."""
        with self._lock:
            self._recorded.add(start, stop)

    def release(self, n_frames: int) -> None:
        """Book the oldest `n_frames` of the ring as localized."""
        with self._lock:
            while n_frames > 0 and self._queued:
                start, stop = self._queued.popleft()
                taken = min(n_frames, stop - start)
                self._released.add(start, start + taken)
                if start + taken < stop:
                    self._queued.appendleft((start + taken, stop))
                n_frames -= taken

    def fail(self, start: int, stop: int) -> None:
        """Book frames start..stop-1 as skipped, because the localizer failed on them."""
        with self._lock:
            present = FrameRanges([(start, stop)])
            for a, b in present.without(present.without(self._received)):
                self._skipped.add(a, b)

    def give_up_queued(self) -> None:
        """Book all frames that are still in the ring as skipped: they will not be localized."""
        with self._lock:
            for start, stop in self._queued:
                self._skipped.add(start, stop)
            self._queued.clear()

    def catch_up(self, start: int, stop: int) -> None:
        """Book skipped frames start..stop-1 as localized after the run."""
        with self._lock:
            self._caught_up.add(start, stop)

    def skipped(self) -> FrameRanges:
        """Return the frames that have not been localized."""
        with self._lock:
            return self._skipped.without(self._caught_up)

    def next_undelivered(self) -> int:
        """Return the number of the oldest frame in the ring, or of the next one to come."""
        with self._lock:
            return self._queued[0][0] if self._queued else self._next

    def totals(self) -> LedgerTotals:
        """Return the sums of this moment, each counted from its own book."""
        with self._lock:
            skipped = self._skipped.without(self._caught_up)
            localized = len(self._released.without(self._skipped)) + len(self._caught_up)
            waiting = FrameRanges(self._queued).without(self._skipped)
            return LedgerTotals(
                camera=self._next,
                received=len(self._received),
                recorded=len(self._recorded),
                localized=localized,
                skipped=len(skipped),
                lost=len(self._lost),
                in_ring=len(waiting),
            )

    def as_dict(self) -> dict[str, object]:
        """Return totals and the ranges of every gap, for `ledger.json`."""
        totals = self.totals()
        skipped = self.skipped().as_list()
        with self._lock:
            return {
                **asdict(totals),
                "balances": totals.balances,
                "caught_up": len(self._caught_up),
                "ranges": {
                    "lost": self._lost.as_list(),
                    "skipped": skipped,
                    "caught_up": self._caught_up.as_list(),
                    "not_recorded": self._received.without(self._recorded).as_list(),
                },
            }

    def verdict(self, *, recording: bool) -> str:
        """Return one line about what became of the frames."""
        t = self.totals()
        state = "balances" if t.balances and t.in_ring == 0 else "DOES NOT BALANCE"
        recorded = f"{t.recorded} recorded, " if recording else "not recorded, "
        caught_up = f" ({len(self._caught_up)} of them caught up)" if len(self._caught_up) else ""
        waiting = f", {t.in_ring} unfinished" if t.in_ring else ""
        return (
            f"ledger {state}: {t.received} received = {t.localized} localized{caught_up} + "
            f"{t.skipped} skipped{waiting}; {recorded}{t.lost} lost"
        )
