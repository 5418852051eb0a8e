"""Ledger: what became of every frame, and the proof that the sums balance.

Every frame that the camera numbered is *lost* (never reached us) or *received*. Every received
frame is *localized*, *skipped*, of *another size* than the run, or still in the ring; where the run
was cut, what neither table nor recording has of it is *lost in the cut*. *Recorded* is counted
independently.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from rtsmlm.realtime.frame_ranges import FrameRanges

LedgerState: TypeAlias = Literal["running", "finished", "recovered"]
"""What `ledger.json` states of its run: one that stays *running* without an owner was cut."""


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
    other_size: int = 0
    """Received, but of another size or type than the run; neither recorded nor localized."""
    lost_in_cut: int = 0
    """Received before the run was cut, and in none of its files."""

    @property
    def balances(self) -> bool:
        """True if every frame is accounted for exactly once."""
        return (
            self.camera == self.received + self.lost
            and self.received
            == self.localized + self.skipped + self.other_size + self.lost_in_cut + self.in_ring
            and self.in_ring >= 0
        )


class Ledger:
    """Books every frame; called by the threads of acquisition, recorder and supervisor."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._next = 0
        self._lost = FrameRanges()
        self._received = FrameRanges()
        self._recorded = FrameRanges()
        self._queued: deque[tuple[int, int]] = deque()  # in the ring, in ring order
        self._released = FrameRanges()  # left the ring with their results delivered
        self._skipped = FrameRanges()  # never entered the ring, or failed in the localizer
        self._caught_up = FrameRanges()
        self._again = FrameRanges()  # localized live and once more
        self._localizers: list[dict[str, object]] = []
        self._other_size = FrameRanges()
        self._renumbered = FrameRanges()  # where the number of the camera was not believed
        self._lost_in_cut = FrameRanges()

    @classmethod
    def restored(
        cls,
        *,
        received: FrameRanges,
        recorded: FrameRanges,
        localized: FrameRanges,
        caught_up: FrameRanges,
        other_size: FrameRanges,
        renumbered: FrameRanges,
        lost_in_cut: FrameRanges,
    ) -> Ledger:
        """Return the ledger of a run that was cut, from what is known of its frames.

        What was received and is in none of the other books is skipped, to be caught up. The books
        of the frames that were localized, of another size, and lost must share none; those that
        were caught up are localized, too.
        """
        ledger = cls()
        ledger._next = received.stop
        ledger._received = received
        ledger._lost = FrameRanges([(0, received.stop)]).without(received)
        ledger._recorded = recorded
        ledger._released = localized.without(caught_up)
        ledger._caught_up = caught_up.within(localized)
        ledger._other_size, ledger._renumbered = other_size, renumbered
        ledger._lost_in_cut = lost_in_cut
        ledger._skipped = received.without(ledger._released.union(other_size, lost_in_cut))
        return ledger

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

    def refuse(self, index: int) -> None:
        """Book a frame from the camera that is of another size or type than the run."""
        with self._lock:
            self._lost.add(self._next, index)
            self._next = index + 1
            self._received.add(index, index + 1)
            self._other_size.add(index, index + 1)

    def renumber(self, index: int) -> None:
        """Note that the camera gave the frame of this number another one, which cannot be true."""
        with self._lock:
            self._renumbered.add(index, index + 1)

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

    def localize_again(self, start: int, stop: int) -> None:
        """Book localized frames start..stop-1 as localized once more, after the run."""
        with self._lock:
            self._again.add(start, stop)

    def note_localizer(self, localizer: Mapping[str, object]) -> None:
        """Note which localizer is in force from a frame on: plain data, with `from_frame`."""
        with self._lock:
            self._localizers.append(dict(localizer))

    def localizers(self) -> list[dict[str, object]]:
        """Return which localizers were in force, in their order."""
        with self._lock:
            return list(self._localizers)

    def caught_up(self) -> FrameRanges:
        """Return the frames that were localized after the run."""
        with self._lock:
            return FrameRanges(self._caught_up)

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
                other_size=len(self._other_size),
                lost_in_cut=len(self._lost_in_cut),
            )

    def as_dict(self, state: LedgerState = "finished") -> dict[str, object]:
        """Return totals and the ranges of every gap, for `ledger.json`."""
        with self._lock:
            totals = self.totals()
            books = {
                "lost": self._lost,
                "skipped": self.skipped(),
                "caught_up": self._caught_up,
                "not_recorded": self._received.without(self._recorded),
                "in_ring": FrameRanges(self._queued).without(self._skipped),
                "other_size": self._other_size,
                "renumbered": self._renumbered,
                "lost_in_cut": self._lost_in_cut,
                "localized_again": self._again,
            }
            return {
                "state": state,
                **asdict(totals),
                "balances": totals.balances,
                "caught_up": len(self._caught_up),
                "renumbered": len(self._renumbered),
                "localizers": list(self._localizers),
                "ranges": {name: book.as_list() for name, book in books.items()},
            }

    def verdict(self, *, recording: bool) -> str:
        """Return one line about what became of the frames."""
        t = self.totals()
        state = "balances" if t.balances and t.in_ring == 0 else "DOES NOT BALANCE"
        recorded = f"{t.recorded} recorded, " if recording else "not recorded, "
        caught_up = f" ({len(self._caught_up)} of them caught up)" if len(self._caught_up) else ""
        waiting = f", {t.in_ring} unfinished" if t.in_ring else ""
        if t.other_size:
            waiting += f" + {t.other_size} received but of another size"
        if t.lost_in_cut:
            waiting += f" + {t.lost_in_cut} lost in the cut"
        return (
            f"ledger {state}: {t.received} received = {t.localized} localized{caught_up} + "
            f"{t.skipped} skipped{waiting}; {recorded}{t.lost} lost"
        )
