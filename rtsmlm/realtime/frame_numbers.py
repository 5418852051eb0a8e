"""FrameNumbers that rise, out of whatever a camera counts: wraps, restarts, repeats, bit errors.

Losses are seen in the numbers alone, so a number is believed wherever it can be true. What cannot
be true costs no frame: the frame is kept and numbered after the one before.
"""

from __future__ import annotations

from collections.abc import Callable

MOST_LOST = 1_000_000
"""Frames lost at once, at most: a camera of 10 kHz is silent for 100 s then. More is a bit error,
or another counter."""

_WRAPS = (1 << 15, 1 << 16, 1 << 31, 1 << 32)
_MOST_LOST_IN_WRAP = 4096


def steps_across_wrap(before: int, number: int) -> int | None:
    """Return how many frames lie between two numbers of a counter of 16 or 32 bits that wrapped.

    None where it did not: a counter that was started again falls from anywhere, one that wraps from
    its end. Counters with a sign wrap to their lowest number, some of them to 0.
    """
    for size in _WRAPS:
        steps = (number - before) % size
        wrapped = before < size <= before + steps
        wrapped_signed = before < size // 2 <= before + steps and -size // 2 <= number < 0
        if 0 < steps <= _MOST_LOST_IN_WRAP and (
            (wrapped and number == before + steps - size) or wrapped_signed
        ):
            return steps
    return None


class RisingNumbers:
    """Numbers of frames, each above the one before.

    Parameters
    ----------
    name
        Name of the camera.
    warn
        Called with one sentence at the first number that falls or repeats, and at the first jump
        that cannot be true.
    """

    def __init__(self, name: str, warn: Callable[[str], None]) -> None:
        self._name, self._warn = name, warn
        self._last = -1
        self._trusted = (-1, -1)  # a number of the camera that was believed, and that given for it
        self._doubted: tuple[int, int] | None = None  # the last one that was not
        self._warned: set[str] = set()
        self.n_renumbered = 0
        """Frames whose number was not believed."""

    def next(self, number: int) -> int:
        """Return the number of the next frame, which the camera gave this number."""
        given = self._believed(number)
        if given is None:
            given = self._last + 1
            self._report(number)
            self._doubted = (number, given)
            self.n_renumbered += 1
        else:
            self._trusted, self._doubted = (number, given), None
        self._last = given
        return given

    def _believed(self, number: int) -> int | None:
        """Return the number that follows from one of the two before; None if it follows from none.

        Two numbers that do not fit the counter, and each other, are the counter from now on.
        """
        for anchor in (self._trusted, self._doubted):
            if anchor is None:
                continue
            before, given = anchor
            steps = number - before
            if steps <= 0 and before >= 0:
                steps = steps_across_wrap(before, number) or 0
            after = max(given + steps, self._last + 1)
            if steps > 0 and after - self._last <= MOST_LOST + 1:
                return after
        return None

    def _report(self, number: int) -> None:
        before = self._trusted[0] if self._doubted is None else self._doubted[0]
        kind = "jumped" if number > before else "fell"
        if kind in self._warned:
            return
        self._warned.add(kind)
        last = self._last
        after = f"frame {last}" if last >= 0 else "the start"
        if kind == "jumped":
            self._warn(
                f"{self._name} numbered a frame {number} after {before}, more than {MOST_LOST} "
                f"frames at once: taken for a bit error, the frame is kept as {last + 1}"
            )
        else:
            self._warn(
                f"{self._name} numbered a frame {number} after {before}: its numbers repeat or "
                f"fall at {after}. Such frames are kept and numbered on; ledger.json lists them "
                "as renumbered, and frames lost just there are not seen"
            )
