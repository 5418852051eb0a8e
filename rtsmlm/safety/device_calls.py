"""DeviceCalls: calls of one device in a thread of its own, each with a deadline.

A driver may hang, raise anything, or return long after it was given up. None of that may hold up
the thread that decides, or another device. So a device has one thread, in which its calls are
carried out one after the other. A call that does not return in time is left behind with its thread,
and a new thread goes on. All of them are daemons: a driver that hangs for ever does not keep the
program from ending.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rtsmlm.errors import DeviceError
from rtsmlm.realtime.worker import one_line

T = TypeVar("T")

_MOST_STUCK = 2
"""Calls left behind in a driver; with so many, a device is not asked any more."""
_MOST_STUCK_URGENT, _TRY_AGAIN_S, _MOST_STUCK_EVER = 3, 2.0, 50
"""It is still switched off, with so many every few seconds only: the driver may have recovered."""
_PATIENCE_S = 0.1
"""An urgent call waits no longer for the one before it: two at the same time may disturb each other
on a serial line, but one that hangs must not keep the light on."""
_SLICE_S = 0.05
_IDLE_S = 1.0
"""A device that is not called lets its thread end, so that nothing is left of a guard that was
forgotten; a guard that is watched calls it several times a second."""

_log = logging.getLogger(__name__)


class NoAnswerError(DeviceError):
    """A device did not answer in time."""


def _nothing() -> None:
    pass


class DeviceCall(Generic[T]):
    """A call on its way; made by `DeviceCalls.start`."""

    def __init__(self, calls: DeviceCalls, what: str, call: Callable[[], T], urgent: bool) -> None:
        self.what, self.urgent = what, urgent
        self.started_s = time.monotonic()
        self.begun_s: float | None = None
        """When the device was called; None while it waits for its turn."""
        self.is_late = False
        """True once it was given up."""
        self._calls, self._call = calls, call
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        """True if it has returned or raised."""
        return self._done.is_set()

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_s

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is done; False if it is not by then. It goes on in any case."""
        until = time.monotonic() + timeout_s
        while not self._done.wait(max(min(_SLICE_S, until - time.monotonic()), 0.0)):
            self._calls.wait_slice()
            if time.monotonic() >= until:
                return self._done.is_set()
        return True

    def result(self) -> T:
        """Return what it returned, once it is done.

        Raises
        ------
        Exception
            What the driver raised; a `DeviceError` where that would end a thread or the program.
        """
        if self._error is None:
            return self._result  # type: ignore[return-value]  # T may be None
        if isinstance(self._error, Exception):
            raise self._error
        raise DeviceError(
            f"the driver raised {one_line(self._error)} while {self.what}"
        ) from self._error

    def execute(self) -> None:
        """Call the device, in its thread."""
        self.begun_s = time.monotonic()
        try:
            self._result = self._call()
        except BaseException as error:  # also SystemExit: no driver ends a thread of ours
            self._error = error
        finally:
            self._done.set()


class _Lane:
    """A thread of the device, and what it is doing."""

    def __init__(self) -> None:
        self.current: DeviceCall[Any] | None = None
        self.is_left_behind = False


class DeviceCalls:
    """Carry out the calls of one device.

    Safe to use from several threads.

    Parameters
    ----------
    name
        The device, in messages and in the name of its thread.
    deadline_s
        A call that takes longer is given up.
    on_late
        Called in the thread of the device with what was done, when a call that was given up
        has returned after all.
    on_wait
        Called every 50 ms by a thread that waits for a call.
    """

    def __init__(
        self,
        name: str,
        deadline_s: float,
        *,
        on_late: Callable[[str], None] = lambda what: None,
        on_wait: Callable[[], None] = _nothing,
    ) -> None:
        self.name, self.deadline_s = name, deadline_s
        self._on_late, self._on_wait = on_late, on_wait
        self._changed = threading.Condition()
        self._queue: deque[DeviceCall[Any]] = deque()
        self._lane: _Lane | None = None
        self._stuck = 0
        self._urgent_s = -math.inf
        self._is_closed = False

    @property
    def stuck(self) -> int:
        """Calls that were left behind in the driver and have not returned."""
        return self._stuck

    def run(self, what: str, call: Callable[[], T], timeout_s: float | None = None) -> T:
        """Call the device, and wait for its answer.

        Parameters
        ----------
        what
            What is done to it, as in "its power was set".
        call
            Calls the driver.
        timeout_s
            Deadline of this call; not given is that of the device.

        Raises
        ------
        NoAnswerError
            If it does not answer in time, or calls before this one still hang.
        Exception
            What the driver raises.
        """
        timeout_s = self.deadline_s if timeout_s is None else timeout_s
        job = self.start(what, call)
        if job.wait(timeout_s) or not self._give_up(job):
            return job.result()
        raise NoAnswerError(f"{self.name} did not answer within {timeout_s:g} s while {what}")

    def start(self, what: str, call: Callable[[], T], *, urgent: bool = False) -> DeviceCall[T]:
        """Call the device, without waiting for its answer.

        An urgent call is the next one, and does not wait for one that hangs.

        Raises
        ------
        NoAnswerError
            If too many calls before this one still hang.
        """
        job = DeviceCall(self, what, call, urgent)
        with self._changed:
            lane = self._lane
            if lane is not None and _runs_s(lane) > self.deadline_s:
                self._leave_behind(lane)
            if self._stuck >= self._limit(urgent):
                raise NoAnswerError(
                    f"{self.name} does not answer: {self._stuck} calls of its driver hang; check "
                    "its cable and power, and switch it off manually"
                )
            if urgent:
                self._urgent_s = time.monotonic()
                self._queue.appendleft(job)
            else:
                self._queue.append(job)
            has_thread = self._make_lane()
            if has_thread and urgent and lane is not None and lane.current is not None:
                has_thread = self._start_thread(self._pass, job)
            if not has_thread:
                self._queue.remove(job)
            self._changed.notify_all()
        if not has_thread:
            job.execute()
        return job

    def close(self) -> None:
        """Let the thread end; one that hangs is left behind. Safe to call more than once."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._lane is None, _PATIENCE_S)

    # -- while a thread waits --------------------------------------------------------------

    def wait_slice(self) -> None:
        """Call back; called by a thread that waits."""
        try:
            self._on_wait()
        except Exception:
            _log.exception("what is done while %s is waited for failed", self.name)

    def _give_up(self, job: DeviceCall[Any]) -> bool:
        """Leave a call behind; False if it is done after all."""
        with self._changed:
            if job.is_done:
                return False
            job.is_late = True
            if job in self._queue:
                self._queue.remove(job)  # never carried out: nothing can come of it
            elif self._lane is not None and self._lane.current is job:
                self._leave_behind(self._lane)
            return True

    # -- the thread of the device; all of these hold the condition ---------------------------

    def _limit(self, urgent: bool) -> int:
        """Return with how many stuck calls no further one is made."""
        if not urgent:
            return _MOST_STUCK
        is_time = time.monotonic() - self._urgent_s > _TRY_AGAIN_S
        return _MOST_STUCK_EVER if is_time else _MOST_STUCK_URGENT

    def _leave_behind(self, lane: _Lane) -> None:
        lane.is_left_behind = True
        self._stuck += 1
        self._lane = None
        if self._queue:
            self._make_lane()

    def _make_lane(self) -> bool:
        """Have a thread; False if there can be none, as at the very end of the program."""
        if self._lane is not None:
            return True
        lane = _Lane()
        if self._start_thread(self._work, lane):
            self._lane = lane
        return self._lane is not None

    def _start_thread(self, work: Callable[[Any], None], what: object) -> bool:
        name = f"rtsmlm-device-{self.name}".replace(" ", "-")
        try:
            threading.Thread(target=work, args=(what,), name=name, daemon=True).start()
        except RuntimeError:
            return False
        return True

    def _pass(self, job: DeviceCall[Any]) -> None:
        """Take an urgent call past one that hangs, in a thread that ends with that."""
        with self._changed:
            self._changed.wait_for(lambda: job not in self._queue, _PATIENCE_S)
            lane = self._lane
            if job in self._queue and lane is not None and lane.current is not None:
                self._leave_behind(lane)

    def _work(self, lane: _Lane) -> None:
        while (job := self._next(lane)) is not None:
            job.execute()
            with self._changed:
                lane.current = None
                self._stuck -= lane.is_left_behind
            if job.is_late:
                self._report_late(job)
            if lane.is_left_behind:
                return

    def _next(self, lane: _Lane) -> DeviceCall[Any] | None:
        with self._changed:
            while not self._queue:
                waited = self._is_closed or not self._changed.wait(_IDLE_S)
                if waited and not self._queue:
                    self._lane = None
                    self._changed.notify_all()
                    return None
            lane.current = self._queue.popleft()
            return lane.current

    def _report_late(self, job: DeviceCall[Any]) -> None:
        try:
            self._on_late(job.what)
        except Exception:
            _log.exception("the late answer of %s could not be reported", self.name)


def _runs_s(lane: _Lane) -> float:
    begun_s = None if lane.current is None else lane.current.begun_s
    return 0.0 if begun_s is None else time.monotonic() - begun_s
