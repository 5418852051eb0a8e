"""FrameRanges: sets of frame numbers, as large as they are and as small as their gaps are few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


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

    def union(self, *others: FrameRanges) -> FrameRanges:
        """Return the frames that are here or in one of the others."""
        ranges = sorted([*self._ranges, *(pair for other in others for pair in other)])
        result = FrameRanges()
        if ranges:
            result._ranges = list(_merged(ranges))
        return result

    def within(self, other: FrameRanges) -> FrameRanges:
        """Return the frames that are here and in `other`."""
        return self.without(self.without(other))

    @property
    def stop(self) -> int:
        """The highest number + 1; 0 where there are none."""
        return self._ranges[-1][1] if self._ranges else 0

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
