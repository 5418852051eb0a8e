"""GuardedActuator: the calls of an actuator, and the rule that dark has the last word.

A command may hang in its driver, and light the laser long after it was given up and the laser was
switched off. So every command carries a permit, which an order to go dark takes back. A command
without one is not sent; one that was in the driver at that time is followed by `make_safe`, in the
same thread and as soon as it returns or raises.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from rtsmlm.errors import DeviceError
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.worker import one_line
from rtsmlm.safety.device_calls import DeviceCall, DeviceCalls, NoAnswerError

T = TypeVar("T")

_log = logging.getLogger(__name__)


class GuardedActuator:
    """Call an actuator in threads of its own, each call with a deadline.

    Parameters
    ----------
    actuator
        What is called.
    device_s
        Deadline of a call.
    on_wait
        Called every 50 ms by a thread that waits for a call.
    """

    def __init__(self, actuator: Actuator, device_s: float, on_wait: Callable[[], None]) -> None:
        self._actuator = actuator
        self._calls = DeviceCalls(
            actuator.name, device_s, on_late=self._report_late, on_wait=on_wait
        )
        self._lock = threading.RLock()
        self._permit = 0
        self._version = 0
        self._setting = 0
        self._is_forbidden = False
        self._dark_call: DeviceCall[list[str]] | None = None
        self._failed: list[str] | None = None

    # -- questions -------------------------------------------------------------------------

    def limits(self) -> tuple[float, float]:
        """Return the limits of the device.

        Raises
        ------
        DeviceError
            If it does not answer in time, or not with two numbers.
        """
        answer = self._calls.run("its limits were asked for", self._actuator.limits)
        try:
            low, high = answer
            return float(low), float(high)
        except (TypeError, ValueError) as error:
            raise DeviceError(f"its limits are {answer!r}, not two numbers") from error

    def fault(self) -> str | None:
        """Return the fault that the device reports, None if none.

        Raises
        ------
        DeviceError
            If it does not answer in time.
        """
        return self._calls.run("its fault was asked for", self._actuator.fault)

    def setpoint(self, wait_s: float | None = None) -> float:
        """Return the set value as the device knows it.

        Parameters
        ----------
        wait_s
            Wait no longer than this; the call itself goes on, up to its deadline.

        Raises
        ------
        DeviceError
            If it does not answer in time, or not with a number.
        """
        return _number(self._ask("its set point was asked for", self._actuator.setpoint, wait_s))

    def readback(self, wait_s: float | None = None) -> float | None:
        """Return the measured value, None where there is none; see `setpoint`."""
        answer = self._ask("its read-back was asked for", self._actuator.readback, wait_s)
        return None if answer is None else _number(answer)

    def _ask(self, what: str, call: Callable[[], T], wait_s: float | None) -> T:
        if wait_s is None:
            return self._calls.run(what, call)
        job = self._calls.start(what, call)
        if not job.wait(wait_s):
            raise NoAnswerError(f"{self._actuator.name} has not answered yet while {what}")
        return job.result()

    # -- commands --------------------------------------------------------------------------

    @property
    def permit(self) -> int:
        """What a command has to carry; an order to go dark makes it void."""
        return self._permit

    @property
    def version(self) -> int:
        """Changes with every command and order; a reading is of this time only if it has not."""
        return self._version

    @property
    def is_setting(self) -> bool:
        """True while a command is in the driver, whether or not it was given up."""
        return self._setting > 0

    @property
    def failed(self) -> list[str] | None:
        """What failed the last time it was made safe; None where that has not returned."""
        return self._failed

    def set(self, value: float, permit: int) -> bool:
        """Set the value; False if an order to go dark came before it was done.

        Raises
        ------
        NoAnswerError
            If it takes too long; the order to go dark has to follow.
        Exception
            What the driver raises.
        """
        with self._lock:
            if permit != self._permit:
                return False
            self._is_forbidden = False
        self._calls.run("its value was set", lambda: self._set(value, permit))
        return permit == self._permit

    def _set(self, value: float, permit: int) -> None:
        with self._lock:
            if permit != self._permit:
                return
            self._count_set(+1)
        try:
            self._actuator.set(value)
        finally:
            self._end_set(permit)

    def _end_set(self, permit: int) -> None:
        with self._lock:
            is_void = permit != self._permit
            if not is_void:  # an order to go dark from now on is carried out after this
                self._count_set(-1)
        if is_void:
            _log.warning("a command of %s ended after it was switched off", self._actuator.name)
            self._make_safe()
            with self._lock:
                self._count_set(-1)

    def _count_set(self, change: int) -> None:
        self._setting += change
        self._version += 1

    def forbid(self) -> None:
        """Make all permits void; `make_safe` has to follow."""
        with self._lock:
            self._permit += 1
            self._version += 1
            self._is_forbidden = True
            self._failed = None

    def make_safe(self, wait_s: float) -> list[str] | None:
        """Switch it off, unless a command is permitted again.

        Parameters
        ----------
        wait_s
            How long to wait for it. It goes on in any case, past other calls that hang.

        Returns
        -------
        list of str or None
            What failed; None where it has not returned yet.

        Raises
        ------
        NoAnswerError
            If too many calls hang.
        """
        with self._lock:
            if not self._is_forbidden:
                return []
            call = self._dark_call
            if call is None or call.is_done or call.age_s > self._calls.deadline_s:
                call = self._calls.start("it was switched off", self._make_safe, urgent=True)
                self._dark_call = call
        return call.result() if call.wait(wait_s) else None

    def _make_safe(self) -> list[str]:
        try:
            failed = [str(text) for text in self._actuator.make_safe()]
        except BaseException as error:  # it must not raise, but this is no place for trust
            failed = [one_line(error)]
        with self._lock:
            self._failed = failed
        return failed

    def _report_late(self, what: str) -> None:
        _log.warning("%s answered late, after it was given up, while %s", self._actuator.name, what)

    def close(self) -> None:
        """Let the thread end. Safe to call more than once."""
        self._calls.close()


def _number(answer: object) -> float:
    if isinstance(answer, str):  # a driver that passes on a text has not read it
        raise DeviceError(f"it answered {answer!r}, which is no number")
    try:
        return float(answer)  # type: ignore[arg-type]  # a driver returns whatever it likes
    except (TypeError, ValueError) as error:
        raise DeviceError(f"it answered {answer!r}, which is no number") from error
