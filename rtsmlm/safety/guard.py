"""Guard: the only way to an actuator during a run; it can say no, and only make things safer.

Monitoring is the default: commands are noted and not sent until the guard is armed. A trip makes
the actuator safe, is latched until it is reset manually, and stands in the audit with its reason.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rtsmlm.errors import ConfigError
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import one_line
from rtsmlm.safety.records import AuditKind, AuditRow, CommandContext

_log = logging.getLogger(__name__)

_LOCK_WAIT_S = 0.3
"""A command that hangs in a driver keeps the lock no longer than this from a trip."""
_BAD_POLLS = 3
_BAD_IN_ALL = 12
"""Also while the value changes all the time, and each change excuses a moment."""

Audit = Callable[[AuditRow], None]


class Guard:
    """What lasers and stages have in common: arming, latched trips, read-back, the audit.

    Safe to use from several threads.

    Parameters
    ----------
    actuator
        What is guarded; only this guard may command it.
    audit
        Called with every row; what it raises is logged and stops nothing.
    on_trip
        Called once per trip with one sentence.
    clock_ns
        Clock; another one for simulated time.
    """

    _safe_state = "made safe"

    def __init__(
        self,
        actuator: Actuator,
        *,
        audit: Audit,
        on_trip: Callable[[str], None] = lambda text: None,
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        self.actuator = actuator
        self.armed = False
        self.tripped: str | None = None
        """Why it is latched; None if it is not."""
        self._audit_to = audit
        self._on_trip = on_trip
        self._clock_ns = clock_ns
        self._lock = threading.RLock()
        self._sent = 0.0
        self._dark = True
        self._unsafe = False  # making it safe failed: the next poll tries again
        self._bad_polls = self._bad_in_all = 0
        self._measured = math.nan

    @property
    def sent(self) -> float:
        """Last value sent to the actuator, in its unit; 0 for a dark laser."""
        return self._sent

    @property
    def measured(self) -> float:
        """What the device measured last; NaN where it cannot."""
        return self._measured

    @property
    def is_safe(self) -> bool:
        """True if the device was made safe, and has confirmed it."""
        return self._dark and not self._unsafe

    # -- arming ----------------------------------------------------------------------------

    def arm(self) -> None:
        """Allow commands. The device is asked for its limits, and made safe first.

        Raises
        ------
        ConfigError
            If a limit of the settings does not fit the device; nothing is clipped silently.
        DeviceError
            If the device does not answer, complains, or cannot be made safe.
        """
        try:
            with self._locked():
                if self.tripped is not None:
                    raise ConfigError(
                        f"{self.actuator.name} is latched after a trip ({self.tripped}); reset it "
                        "before it is armed"
                    )
                self._check_limits(self.actuator.limits())
                if (fault := self.actuator.fault()) is not None:
                    raise ConfigError(f"{self.actuator.name} cannot be armed: {fault}")
                if failed := self.actuator.make_safe():
                    raise ConfigError(
                        f"{self.actuator.name} cannot be armed, it cannot be made safe: "
                        + "; ".join(failed)
                    )
                self._sent, self._dark, self._unsafe = 0.0, True, False
                self.armed = True
                self._begin()
        except Exception as error:
            self._audit("refused", CommandContext(reason=str(error)))
            raise
        self._audit("arm", CommandContext(reason=self._terms()))

    def _check_limits(self, device: tuple[float, float]) -> None:
        """Raise `ConfigError` if the settings do not fit the limits of the device."""

    def _begin(self) -> None:
        """Set what counts from arming."""

    def _terms(self) -> str:
        """Return the limits in force as one clause."""
        return "armed"

    # -- commands --------------------------------------------------------------------------

    def command(self, wanted: float, context: CommandContext) -> float:
        """Ask for a value; return the value that was sent.

        Whatever goes wrong is a trip, never an exception.

        Parameters
        ----------
        wanted
            Value in the unit of the actuator; 0 is dark.
        context
            What it rests on, for the audit.
        """
        with self._locked():
            if self.tripped is not None:
                self._audit("refused", context, wanted)
                return self._sent
            if not self.armed:
                self._audit("monitor", context, wanted)
                return self._sent
            if not math.isfinite(wanted):
                self.trip(f"asked for {wanted}, which is no number")
                return self._sent
            try:
                self._obey(wanted, context)
            except Exception as error:  # a driver raises whatever it likes
                self.trip(f"the device did not obey: {one_line(error)}")
        return self._sent

    def _obey(self, wanted: float, context: CommandContext) -> None:
        raise NotImplementedError

    def _put(self, value: float, context: CommandContext, wanted: float) -> None:
        self._dark = False  # before it is sent: should sending fail half-way, it is made safe
        self.actuator.set(value)
        # A trip may have come while the command hung in the driver.
        if self.tripped is not None or not self.armed:
            self._make_safe()
            return
        # A new value takes a moment to be measured; the same one again excuses nothing.
        if abs(value - self._sent) > self._tolerance():
            self._bad_polls = 0
        self._sent = value
        self._audit("command", context, wanted)

    # -- leaving ---------------------------------------------------------------------------

    def trip(self, reason: str) -> None:
        """Make the actuator safe now and latch; the first reason stays."""
        first = self.tripped is None
        if first:
            self.tripped = reason  # before anything that could hang: no command passes any more
        with self._locked():
            failed = self._make_safe() if self.armed or not self._dark else []
            if first:
                self._audit("trip", CommandContext(reason=_with(reason, failed)))
        if first:
            text = (
                f"{self.actuator.name} was {self._safe_state} and latched: {_with(reason, failed)}"
            )
            _log.error("%s", text)
            self._tell(text)

    def shut_down(self, reason: str) -> list[str]:
        """Make the actuator safe at the end of a run, and disarm; return what failed."""
        with self._locked():
            if not self.armed and self.is_safe:
                return []
            self.armed = False
            failed = self._make_safe()
            self._audit("dark", CommandContext(reason=_with(reason, failed)))
            return failed

    def reset(self, reason: str) -> None:
        """Lift the latch, by the hand of a person; it has to be armed anew.

        Raises
        ------
        DeviceError
            If the device does not answer.
        ConfigError
            If what the device complains of is still there, or it cannot be made safe.
        """
        with self._locked():
            if self.tripped is None:
                return
            if (fault := self.actuator.fault()) is not None:
                raise ConfigError(f"{self.actuator.name} stays latched: {fault}")
            if self._unsafe and self._make_safe():
                raise ConfigError(f"{self.actuator.name} stays latched: it cannot be made safe")
            self.tripped, self.armed = None, False
            self._audit("reset", CommandContext(reason=reason))

    def _make_safe(self) -> list[str]:
        try:
            failed = self.actuator.make_safe()
        except Exception as error:  # it must not raise, but this is no place for trust
            failed = [one_line(error)]
        self._unsafe = bool(failed)
        self._sent, self._dark = 0.0, True
        return failed

    # -- watching --------------------------------------------------------------------------

    def poll(self) -> None:
        """Ask the device what it complains of, and compare its readback with what was sent."""
        with self._locked():
            if self._unsafe:
                self._make_safe_again("made safe once more")
            if not self.armed:
                return
            try:
                fault = self.actuator.fault()
                measured = self.actuator.readback()
            except Exception as error:
                self.trip(f"the device does not answer: {one_line(error)}")
                return
            self._measured = math.nan if measured is None else measured
            if fault is not None:
                self.trip(f"the device reports {fault}")
            elif measured is not None:
                self._compare(measured)

    def _compare(self, measured: float) -> None:
        if abs(measured - self._sent) <= self._tolerance():
            self._bad_polls = self._bad_in_all = 0
            return
        self._bad_polls += 1
        self._bad_in_all += 1
        patient = self._bad_polls < _BAD_POLLS and self._bad_in_all < _BAD_IN_ALL
        if patient and math.isfinite(measured):
            return
        found = f"{measured:g} {self.actuator.unit} measured where {self._sent:g} were set"
        if self.tripped is None:
            self.trip(f"{found}, {self._bad_in_all} times in a row")
        else:
            self._make_safe_again(found)

    def _make_safe_again(self, reason: str) -> None:
        failed = self._make_safe()
        self._audit("dark", CommandContext(reason=_with(reason, failed)))

    def _tolerance(self) -> float:
        """Return by how much the measured value may differ from the set one."""
        raise NotImplementedError

    # -- small things ----------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, or go on without it: a hanging driver must not keep the dark waiting."""
        held = self._lock.acquire(timeout=_LOCK_WAIT_S)
        try:
            yield
        finally:
            if held:
                self._lock.release()

    def _audit(self, kind: AuditKind, context: CommandContext, wanted: float = math.nan) -> None:
        row = AuditRow(
            t_ns=self._clock_ns(),
            actuator=self.actuator.name,
            kind=kind,
            wanted=wanted,
            sent=self._sent,
            unit=self.actuator.unit,
            measured=self._measured,
            dose=self._dose(),
            context=context,
        )
        try:
            self._audit_to(row)
        except Exception:  # a full disk must not keep a laser on, nor turn one on
            _log.exception("the audit of %s could not be written: %s", self.actuator.name, row)

    def _dose(self) -> float:
        return math.nan

    def _tell(self, text: str) -> None:
        try:
            self._on_trip(text)
        except Exception:
            _log.exception("the trip callback failed")


def _with(reason: str, failed: list[str]) -> str:
    return reason if not failed else f"{reason}; NOT SAFE: {'; '.join(failed)}"
