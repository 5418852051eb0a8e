"""GoingDark: from an order to go dark until the light is seen to be off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rtsmlm.errors import number_text
from rtsmlm.realtime.worker import one_line
from rtsmlm.safety.guarded_actuator import GuardedActuator
from rtsmlm.safety.readings import Reading, Readings
from rtsmlm.safety.records import AuditKind
from rtsmlm.settings.safety import SafetySettings

_RETRY_S = 0.1
_REPORT_AT = 0.9
"""Part of the time to confirm after which it is reported, so that the report comes within it."""
_REMIND_S = 30.0


class GoingDark:
    """Order a device to go dark, and see that it did.

    Parameters
    ----------
    device
        The device.
    readings
        Its readings, which tell light from dark.
    safety
        Its deadlines.
    lock, clock_ns
        Of the guard.
    note
        Called with "unconfirmed" and why it is not seen dark, when that is due; with "confirmed"
        when it is seen dark after that, or after `carry_out` returned that it was not.
    """

    def __init__(
        self,
        device: GuardedActuator,
        readings: Readings,
        safety: SafetySettings,
        lock: threading.RLock,
        clock_ns: Callable[[], int],
        note: Callable[[AuditKind, str], None],
    ) -> None:
        self.is_given = False
        """True if it is to be dark."""
        self.why = ""
        """Why it is not seen dark, as found last."""
        self.is_reported = False
        """True if it was reported that it is not seen dark."""
        self._device, self._readings, self._safety = device, readings, safety
        self._clock_ns, self._note = clock_ns, note
        self._lock = lock
        self._seen = threading.Event()
        self._was_asked = False  # since the order, and something spoke against it
        self._owes = False  # it was stated that it is not dark, which "confirmed" has to close
        self._since_ns = self._report_ns = 0

    @property
    def is_confirmed(self) -> bool:
        """True if it was seen dark, with no command left that could change that."""
        return self.is_given and self._seen.is_set()

    @property
    def is_open(self) -> bool:
        """True while it is ordered and not confirmed."""
        return self.is_given and not self.is_confirmed

    def give(self) -> None:
        """Order it; `carry_out` has to follow. An order that is open already keeps its time."""
        with self._lock:
            was_open = self.is_open
            self._device.forbid()
            self._seen.clear()
            if was_open:
                return
            self.is_given, self.is_reported, self._owes = True, False, False
            self.why, self._was_asked = "it has not answered yet", False
            self._since_ns = self._clock_ns()
            self._report_ns = self._since_ns + round(_REPORT_AT * self._safety.confirm_s * 1e9)

    def lift(self) -> None:
        """Light is allowed again."""
        with self._lock:
            self.is_given = self.is_reported = False
            self._seen.clear()

    def order(self, wait_s: float) -> list[str]:
        """Switch the device off; return what failed.

        Parameters
        ----------
        wait_s
            How long to wait for it; it goes on in any case.
        """
        try:
            failed = self._device.make_safe(wait_s)
        except Exception as error:  # too many calls hang
            return [one_line(error)]
        if failed is None:
            return [f"it has not answered within {number_text(wait_s, 2)} s"]
        return failed

    def carry_out(self, wait_s: float, *, retry: bool = False, once: bool = False) -> list[str]:
        """Switch the device off and wait until it is seen dark; return what speaks against that.

        Parameters
        ----------
        wait_s
            How long.
        retry
            Try again where the device refuses.
        once
            Ask it once; the poll thread does the rest.
        """
        left_s, until_s = wait_s, time.monotonic() + wait_s
        while True:
            failed = self.repeat(left_s)
            left_s = until_s - time.monotonic()
            with self._lock:
                if self.is_confirmed:
                    return []
                if once or left_s <= _RETRY_S or (failed and not retry):
                    self._owes = True
                    return failed or [f"it is not confirmed dark: {self.why}"]
            self._seen.wait(_RETRY_S)
            left_s -= _RETRY_S

    def repeat(self, wait_s: float) -> list[str]:
        """Switch the device off and ask it once; return what failed of the first."""
        until_s = time.monotonic() + wait_s
        failed = self.order(wait_s)
        if failed:
            self.explain("; ".join(failed))
        else:
            self._ask(max(until_s - time.monotonic(), 0.0))
        return failed

    def _ask(self, wait_s: float) -> None:
        try:
            reading = self._readings.ask(self._clock_ns(), wait_s)
        except Exception as error:
            self.explain(one_line(error))
        else:
            self.check(reading)

    def explain(self, why: str) -> None:
        """Note why it is not confirmed, as found just now."""
        self.why, self._was_asked = why, True

    def check(self, reading: Reading) -> None:
        """See whether a reading is dark; it counts if no command and no order came meanwhile."""
        why = self._readings.why_lit(reading)
        failed = self._device.failed
        if why is None and self._device.is_setting:
            why = "a command that it was given before has not returned"
        if why is None and failed != []:
            why = "it has not answered" if failed is None else "; ".join(failed)
        with self._lock:
            if not self.is_given or self._seen.is_set():
                return
            if why is not None:
                self.explain(why)
            if why is not None or reading.version != self._device.version:
                return
            self._seen.set()
            self._readings.see_dark()
            owes, self._owes, self.is_reported = self._owes, False, False
        if owes:
            passed_s = (self._clock_ns() - self._since_ns) / 1e9
            self._note("confirmed", f"confirmed dark {passed_s:.1f} s after the order")

    def report(self, *, now: bool = False) -> None:
        """Report that it is not seen dark, when that is due; once, and then every 30 s.

        Parameters
        ----------
        now
            Whether or not it is due, as nothing comes after this.
        """
        with self._lock:
            t_ns = self._clock_ns()
            # On a busy machine the poll may be late; a laser that obeyed is asked first.
            is_known = self._was_asked or self._device.failed != []
            is_due = (t_ns >= self._report_ns and is_known) or (now and not self.is_reported)
            if not (self.is_open and is_due):
                return
            passed_s = (t_ns - self._since_ns) / 1e9
            still = f"still, after {passed_s:.0f} s, " if self.is_reported else ""
            self.is_reported = self._owes = True
            self._report_ns = t_ns + round(_REMIND_S * 1e9)
            text = f"{still}not confirmed dark: {self.why}"
        self._note("unconfirmed", text)
