"""WatchedActuator: the half of a guard that can only make things safer.

It holds no way to light anything. A trip makes the actuator safe, is latched until it is reset
manually, and stands in the audit with its reason. An order to go dark is carried out only when the
light was seen to be off; until then it is repeated at every poll. From the first arming on, light
that was not commanded is made dark as well.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import one_line
from rtsmlm.safety.going_dark import GoingDark
from rtsmlm.safety.guarded_actuator import GuardedActuator
from rtsmlm.safety.readings import Reading, Readings
from rtsmlm.safety.records import AuditKind, AuditRow, CommandContext
from rtsmlm.settings.safety import SafetySettings

_log = logging.getLogger(__name__)

_ORDER_S = 0.25
"""An order to go dark holds up its caller no longer; the poll thread sees to the rest."""
_WARN_AGAIN_NS = 5_000_000_000

Audit = Callable[[AuditRow], None]
DEFAULT_SAFETY = SafetySettings()


class WatchedActuator:
    """Latched trips, going dark, polls and the audit; `Guard` adds arming and commands.

    Safe to use from several threads. No method waits for a device beyond its deadline.

    Parameters
    ----------
    actuator
        What is guarded; only this guard may command it.
    safety
        Deadlines of the device.
    audit
        Called with every row; what it raises is logged and stops nothing.
    on_trip
        Called with one sentence: once per trip, and where the light is not seen to go off.
    clock_ns
        Clock; another one for simulated time.
    while_waiting
        Called every 50 ms by the thread that sends commands, while it waits for the device.
    """

    _safe_state = "made safe"
    _is_light = True
    """0 is dark, and light that was not commanded is made dark; False for a stage."""

    def __init__(
        self,
        actuator: Actuator,
        safety: SafetySettings = DEFAULT_SAFETY,
        *,
        audit: Audit,
        on_trip: Callable[[str], None] = lambda text: None,
        clock_ns: Callable[[], int] = now_ns,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.actuator = actuator
        self.armed = False
        self.tripped: str | None = None
        """Why it is latched; None if it is not."""
        self.polled_ns = clock_ns()
        """When the thread that polls was last seen at work."""
        self._safety = safety
        self._audit_to, self._on_trip = audit, on_trip
        self._clock_ns, self._while_waiting = clock_ns, while_waiting
        self._commanding = self._polling = 0  # identity of the thread that does
        self._turn = threading.RLock()  # arm, command and reset, one at a time
        self._lock = threading.RLock()  # what is known; never held while a device is called
        self._device = GuardedActuator(actuator, safety.device_s, self._on_wait)
        self._readings = Readings(
            self._device, actuator.unit, self._tolerance, is_light=self._is_light
        )
        self._dark = GoingDark(
            self._device, self._readings, safety, self._lock, clock_ns, self._note_dark
        )
        self._ours = self._was_armed = False  # ours from the first arming, or order of a person, on
        self._orders = 0  # trips and shut-downs so far
        self._sent = 0.0
        self._warned_ns: int | None = None

    @property
    def sent(self) -> float:
        """Last value sent to the actuator, in its unit; 0 for a dark laser."""
        return self._sent

    @property
    def measured(self) -> float:
        """What the device measured last; NaN where it cannot."""
        return self._readings.measured

    @property
    def is_safe(self) -> bool:
        """True if it was never armed, or was switched off and seen dark."""
        return not self._ours or self._dark.is_confirmed

    @property
    def not_confirmed(self) -> str | None:
        """Why it was not seen dark in time after an order to go dark; None if there is no such."""
        return self._dark.why if self._dark.is_reported else None

    @property
    def _is_on_duty(self) -> bool:
        return self.armed and self.tripped is None

    # -- going dark ------------------------------------------------------------------------

    def _begin_dark(self) -> None:
        """Forbid all commands on their way; `GoingDark.carry_out` has to follow."""
        self._dark.give()
        if self._is_light:
            self._sent = 0.0
            self._readings.commanded.change(0.0, self._clock_ns())
            self._readings.commanded.arrive(self._clock_ns())

    def trip(self, reason: str) -> None:
        """Make the actuator safe now and latch; the first reason stays."""
        with self._lock:
            self._orders += 1
            first = self.tripped is None
            if first:
                self.tripped = reason  # before anything that takes time: no command passes now
            if self._ours:
                self._begin_dark()
        failed = self._dark.carry_out(_ORDER_S, once=True) if self._ours else []
        if first:
            self._audit("trip", CommandContext(reason=_with(reason, failed)))
            done = f"was {self._safe_state}" if not failed else "was ordered off"
            text = f"{self.actuator.name} {done} and latched: {_with(reason, failed)}"
            _log.error("%s", text)
            self._tell(text)

    def switch_off(self, reason: str) -> None:
        """Trip by the order of a person; what was never armed is made safe as well."""
        with self._lock:
            self._ours = True
        self.trip(reason)

    def shut_down(self, reason: str, *, wait_s: float | None = None) -> list[str]:
        """Make the actuator safe at the end of a run, and disarm; return what failed.

        Parameters
        ----------
        reason
            Why, for the audit.
        wait_s
            How long to try, until it is seen dark; not given is `safety.confirm_s`.
        """
        with self._lock:
            self._orders += 1
            if not self._ours or (not self.armed and self.is_safe):
                return []
            self.armed = False
            self._begin_dark()
        wait_s = self._safety.confirm_s if wait_s is None else wait_s
        failed = self._dark.carry_out(wait_s, retry=True)
        self._audit("dark", CommandContext(reason=_with(reason, failed)))
        self._dark.report(now=True)
        return failed

    # -- watching --------------------------------------------------------------------------

    def poll(self) -> None:
        """Ask the device for faults, compare its readings with what was commanded, confirm dark."""
        self._polling = threading.get_ident()
        self._tend()
        if not self._ours:
            self._poll_unarmed()
        elif self._is_light or self._is_on_duty or self._dark.is_open:
            self._poll_ours()
        self._tend()

    @property
    def is_going_dark(self) -> bool:
        """True while an order to go dark is not confirmed: it should be polled more often."""
        return self._ours and self._dark.is_open

    def _poll_unarmed(self) -> None:
        """Watch what this guard has never commanded."""

    def _poll_ours(self) -> None:
        try:
            fault = self._device.fault() if self._is_on_duty else None
            reading = self._readings.ask(self._clock_ns()) if fault is None else None
        except Exception as error:
            self._dark.explain(one_line(error))
            if self._is_on_duty:
                self.trip(f"the device does not answer: {one_line(error)}")
            fault = reading = None
        if fault is not None and self._is_on_duty:
            self.trip(f"the device reports {fault}")
        if reading is not None:
            self._dark.check(reading)
            self._judge(reading)
        if self._dark.is_open:
            self._dark.repeat(self._safety.device_s)

    def _judge(self, reading: Reading) -> None:
        if not self._is_on_duty and self._dark.is_open:
            return  # it is being switched off, until it is seen dark
        with self._lock:
            found = self._readings.judge(reading, self._most())
            if found is not None and self.tripped is not None:
                self._begin_dark()
        if found is None:
            return
        if self.tripped is None:
            self.trip(found)
            return
        failed = self._dark.carry_out(_ORDER_S, once=True)
        self._audit("dark", CommandContext(reason=_with(found, failed)))
        self._warn(f"{self.actuator.name} was lit by something else and made dark again: {found}")

    def _most(self) -> tuple[float, float]:
        """Return set point and measured value above which it is made safe at once."""
        return math.inf, math.inf

    def _tolerance(self, value: float) -> float:
        """Return by how much a reading of this value may differ from it."""
        raise NotImplementedError

    def _on_wait(self) -> None:
        thread = threading.get_ident()
        if thread == self._polling:
            self._tend()
        if thread == self._commanding:
            self._while_waiting()

    def _tend(self) -> None:
        """Do what may not wait for the device; called by the poll thread, at least every 50 ms."""
        self.polled_ns = self._clock_ns()
        self._dark.report()

    # -- small things ----------------------------------------------------------------------

    def _note_dark(self, kind: AuditKind, text: str) -> None:
        self._audit(kind, CommandContext(reason=text))
        if kind == "confirmed":
            _log.warning("%s: %s", self.actuator.name, text)
            return
        self._tell(f"{self.actuator.name}: {text}; switch it off manually")

    def _audit(self, kind: AuditKind, context: CommandContext, wanted: float = math.nan) -> None:
        row = AuditRow(
            t_ns=self._clock_ns(),
            actuator=self.actuator.name,
            kind=kind,
            wanted=wanted,
            sent=self._sent,
            unit=self.actuator.unit,
            measured=self._readings.measured,
            dose=self._dose(),
            context=context,
        )
        try:
            self._audit_to(row)
        except Exception:  # a full disk must not keep a laser on, nor turn one on
            _log.exception("the audit of %s could not be written: %s", self.actuator.name, row)

    def _dose(self) -> float:
        return math.nan

    def _warn(self, text: str) -> None:
        """Tell a person, but not all the time."""
        t_ns = self._clock_ns()
        if self._warned_ns is None or t_ns - self._warned_ns > _WARN_AGAIN_NS:
            self._warned_ns = t_ns
            self._tell(text)

    def _tell(self, text: str) -> None:
        try:
            self._on_trip(text)
        except Exception:
            _log.exception("the trip callback failed")


def _with(reason: str, failed: list[str]) -> str:
    return reason if not failed else f"{reason}; NOT SAFE YET: {'; '.join(failed)}"
