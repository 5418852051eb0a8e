"""CutRun: what the files of a run that was cut still say of its frames, as a ledger that balances.

Three witnesses, each of which may be missing: the last ledger that was written while the run went
on, the recording with its index, and the rows of the table. A frame counts as localized where the
table has rows of it, or where the ledger says so and the table goes beyond it; as lost in the cut
where a witness knows that it was received, and neither table nor recording has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.ledger import Ledger

NO_TABLE = -1
"""Rows of a table that is missing: fewer than of one without rows."""

_LAST_NUMBER = 2**63 - 1


def ranges_of(numbers: NDArray[np.int64]) -> FrameRanges:
    """Return rising frame numbers as ranges."""
    if not len(numbers):
        return FrameRanges()
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    first, last = numbers[[0, *breaks]], numbers[[*(breaks - 1), -1]]
    return FrameRanges(zip(first.tolist(), (last + 1).tolist(), strict=True))


@dataclass(frozen=True)
class LastLedger:
    """The books of the last ledger that was written while the run went on."""

    camera: int = 0
    """Frames that the camera had numbered by then."""
    localizations: int = 0
    """Rows that the analysis had reported by then."""
    books: Mapping[str, FrameRanges] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, object] | None) -> LastLedger:
        """Return the books of a ledger file; empty ones for None, or for a file that is damaged."""
        if data is None:
            return cls()
        ranges = data.get("ranges")
        if not isinstance(ranges, Mapping):
            return cls()
        books = {str(name): _book(pairs) for name, pairs in ranges.items()}
        return cls(_count(data.get("camera")), _count(data.get("localizations")), books)

    @property
    def received(self) -> FrameRanges:
        """Frames that had reached us."""
        return FrameRanges([(0, self.camera)]).without(self.book("lost"))

    @property
    def localized(self) -> FrameRanges:
        """Frames of which all rows had been written."""
        others = ("skipped", "in_ring", "other_size", "lost_in_cut")
        return self.received.without(FrameRanges().union(*map(self.book, others)))

    def book(self, name: str) -> FrameRanges:
        """Return one of its books."""
        return self.books.get(name, FrameRanges())


def _count(value: object) -> int:
    """Return a count as it stands in a file; 0 for what is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 <= value < _LAST_NUMBER else 0


def _book(pairs: object) -> FrameRanges:
    """Return a book from its [first, last] pairs; what is no pair is left out."""
    if not isinstance(pairs, list):
        return FrameRanges()
    known = (pair for pair in pairs if isinstance(pair, list) and len(pair) == 2)
    return FrameRanges(sorted((_count(first), _count(last) + 1) for first, last in known))


@dataclass(frozen=True)
class CutRun:
    """The frames of a run that was cut, by what its files say."""

    last: LastLedger
    recorded: FrameRanges | None
    """Frames that can be read from the recording; None where nothing was recorded."""
    indexed: FrameRanges
    """Frames that the index of the recording lists, read or not."""
    with_rows: FrameRanges
    """Frames of which the table has rows."""
    n_rows: int
    """Rows of the table; `NO_TABLE` for none."""

    @property
    def localized(self) -> FrameRanges:
        """Frames whose rows are in the table, so far as that is certain."""
        claimed = self.last.localized
        if self.recorded is not None or self.n_rows < self.last.localizations:
            # Rows may be missing at the end. Without rows of its own a frame counts up to the last
            # one that has some: rows are written in the order of the frames.
            claimed = claimed.within(FrameRanges([(0, self.with_rows.stop)]))
        return claimed.union(self.with_rows).without(self.last.book("other_size"))

    def ledger(self) -> Ledger:
        """Return the ledger; what is recorded and not localized is skipped, to be caught up."""
        recorded = self.recorded or FrameRanges()
        localized = self.localized
        other_size = self.last.book("other_size")
        received = self.last.received.union(recorded, self.indexed, self.with_rows)
        if self.recorded is None:
            # Of the frames after the last ledger no file has a gap: they count as received.
            received = received.union(FrameRanges([(self.last.camera, self.with_rows.stop)]))
        lost_in_cut = received.without(localized.union(recorded, other_size))
        return Ledger.restored(
            received=received,
            recorded=recorded,
            localized=localized,
            caught_up=self.last.book("caught_up"),
            other_size=other_size,
            renumbered=self.last.book("renumbered"),
            lost_in_cut=lost_in_cut,
        )
