"""Does a device report what was commanded: two wrong of five, and a time to settle.

Values and times alone; `readings` asks the device.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

SETTLE_S = 1.0
"""After a change, a reading may lie anywhere between the old and the new value for so long."""
_WINDOW, _MOST_WRONG = 5, 2
_MOST_EXCUSED_S = 3.0
"""Where a value changes all the time, a reading that has never followed is not excused for ever."""
_MOST_STEP_S = 0.5


@dataclass(frozen=True, slots=True)
class Expected:
    """What a reading may be, in the unit of the actuator."""

    value: float
    """What is commanded."""
    low: float
    high: float
    """The least and the most that were commanded within the time to settle."""


class Commanded:
    """What was commanded, and what may still be seen of the time before."""

    def __init__(self) -> None:
        self.value = 0.0
        self._former: list[tuple[float, int]] = []
        """Value, and until when it may be seen, in ns."""
        self._is_changing = False

    def begin(self, value: float) -> None:
        """Forget what was before."""
        self.value, self._is_changing = value, False
        self._former.clear()

    def change(self, value: float, t_ns: int) -> None:
        """Note that a value is on its way to the device."""
        self._former = [*self._alive(t_ns), (self.value, t_ns + round(SETTLE_S * 1e9))]
        self.value, self._is_changing = value, True

    def arrive(self, t_ns: int) -> None:
        """Note that the device has taken it."""
        if self._is_changing:
            value, _ = self._former.pop()
            self._former.append((value, t_ns + round(SETTLE_S * 1e9)))
        self._is_changing = False

    def at(self, t_ns: int) -> Expected:
        """Return what a reading of this time may be."""
        values = [self.value, *(value for value, _ in self._alive(t_ns))]
        if self._is_changing:
            values.append(self._former[-1][0])
        return Expected(self.value, min(values), max(values))

    def _alive(self, t_ns: int) -> list[tuple[float, int]]:
        return [(value, until_ns) for value, until_ns in self._former if until_ns >= t_ns]


class ReadingJudge:
    """Judge one kind of reading of a device.

    Parameters
    ----------
    what
        The reading, as in "5 mW measured where 3 were commanded".
    unit
        Unit of the actuator.
    tolerance
        By how much a reading of a value may differ from it.
    is_exact
        True for a set point: light in it, where it is to be dark, is no noise.
    """

    def __init__(
        self, what: str, unit: str, tolerance: Callable[[float], float], *, is_exact: bool = False
    ) -> None:
        self._what, self._unit, self._tolerance = what, unit, tolerance
        self._is_exact = is_exact
        self._wrong: deque[bool] = deque(maxlen=_WINDOW)
        self._excused_low_s = self._excused_high_s = 0.0
        self._judged_ns: int | None = None

    def begin(self) -> None:
        """Forget what was before."""
        self._wrong.clear()
        self._excused_low_s = self._excused_high_s = 0.0
        self._judged_ns = None

    def judge(self, value: float, expected: Expected, most: float, t_ns: int) -> str | None:
        """Return why the device has to go dark, None if it need not.

        Parameters
        ----------
        value
            The reading.
        expected
            What it may be.
        most
            Above it the device has to go dark at once.
        t_ns
            When it was read.
        """
        found = f"{value:g} {self._unit} {self._what} where {expected.value:g} were commanded"
        if not math.isfinite(value):
            return found
        if value > most:
            return f"{found}, above the cap"
        if self._is_exact and expected.high == 0.0:
            return found if value != 0.0 else None
        return self._note_wrong(found) if self._is_wrong(value, expected, t_ns) else None

    def judge_missing(self, error: str) -> str | None:
        """Return why a reading that is gone is a fault, None if it is not yet."""
        return self._note_wrong(f"nothing {self._what}, although it was at arming: {error}")

    def is_near(self, value: float, to: float) -> bool:
        """Return True if a reading agrees with a value."""
        return abs(value - to) <= self._tolerance(to)

    def _note_wrong(self, found: str) -> str | None:
        self._wrong.append(True)
        n = sum(self._wrong)
        return f"{found}, {n} times in {len(self._wrong)}" if n >= _MOST_WRONG else None

    def _is_wrong(self, value: float, expected: Expected, t_ns: int) -> bool:
        passed_s = 0.0 if self._judged_ns is None else (t_ns - self._judged_ns) / 1e9
        passed_s = min(max(passed_s, 0.0), _MOST_STEP_S)
        self._judged_ns = t_ns
        is_low = value < expected.value - self._tolerance(expected.value)
        is_high = value > expected.value + self._tolerance(expected.value)
        if not is_low and expected.value == expected.high:
            self._excused_low_s = 0.0
        if not is_high and expected.value == expected.low:
            self._excused_high_s = 0.0
        if not (is_low or is_high):
            self._wrong.append(False)
            return False
        is_between = (
            expected.low - self._tolerance(expected.low)
            <= value
            <= expected.high + self._tolerance(expected.high)
        )
        if not is_between:
            return True
        # It may still be on its way from the value before; it says nothing for or against.
        if is_low:
            self._excused_low_s += passed_s
            return self._excused_low_s > _MOST_EXCUSED_S
        self._excused_high_s += passed_s
        return self._excused_high_s > _MOST_EXCUSED_S
