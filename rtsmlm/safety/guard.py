"""Guard: the only way to an actuator during a run; it can say no, and only make things safer.

Monitoring is the default: commands are noted and not sent until the guard is armed. What makes it
safe again, and watches over it, is in `watched_actuator`.
"""

from __future__ import annotations

import math
import threading

from rtsmlm.errors import ConfigError
from rtsmlm.realtime.worker import one_line
from rtsmlm.safety.records import CommandContext
from rtsmlm.safety.watched_actuator import WatchedActuator

_SLICE_S = 0.05


class Refusal(Exception):
    """A command that is answered with a trip, for this reason."""


class Guard(WatchedActuator):
    """What lasers and stages have in common: arming and commands, above a `WatchedActuator`."""

    # -- arming ----------------------------------------------------------------------------

    def arm(self) -> None:
        """Allow commands. The device is asked for its limits, made safe and seen dark first.

        Raises
        ------
        ConfigError
            If a limit of the settings does not fit the device; nothing is clipped silently.
        DeviceError
            If the device does not answer, complains, or is not seen dark.
        """
        try:
            with self._turn:
                self._arm()
        except Exception as error:
            self._audit("refused", CommandContext(reason=str(error)))
            raise
        self._audit("arm", CommandContext(reason=self._terms()))

    def _arm(self) -> None:
        name, orders = self.actuator.name, self._orders
        self._check_not_latched()
        self._check_limits(self._device.limits())
        if (fault := self._device.fault()) is not None:
            raise ConfigError(f"{name} cannot be armed: {fault}")
        self._readings.find_out()
        with self._lock:
            self._ours = self._was_armed = True
            self._begin_dark()
        if failed := self._dark.carry_out(self._safety.confirm_s):
            raise ConfigError(f"{name} cannot be armed, it is not made safe: {'; '.join(failed)}")
        self._begin()
        with self._lock:
            self._check_not_latched()
            if orders != self._orders:
                raise ConfigError(f"{name} is not armed: it was ordered to go dark meanwhile")
            self._readings.begin(self._sent)
            self.armed = True

    def _check_not_latched(self) -> None:
        if self.tripped is not None:
            raise ConfigError(
                f"{self.actuator.name} is latched after a trip ({self.tripped}); reset it before "
                "it is armed"
            )

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
        self._commanding = threading.get_ident()
        if not self._is_on_duty:
            self._decline(wanted, context)
            return self._sent
        while not self._turn.acquire(timeout=_SLICE_S):
            self._on_wait()
        try:
            self._command(wanted, context)
        except Refusal as refusal:
            self.trip(str(refusal))
        except Exception as error:  # a driver raises whatever it likes
            self.trip(f"the device did not obey: {one_line(error)}")
        finally:
            self._turn.release()
        return self._sent

    def _decline(self, wanted: float, context: CommandContext) -> None:
        self._audit("monitor" if self.tripped is None else "refused", context, wanted)

    def _command(self, wanted: float, context: CommandContext) -> None:
        with self._lock:
            permit = self._device.permit if self._is_on_duty else None
        if permit is None:
            self._decline(wanted, context)
            return
        if not math.isfinite(wanted):
            raise Refusal(f"asked for {wanted}, which is no number")
        value, context = self._plan(wanted, context)
        if value is None:
            self._audit("unchanged", context, wanted)
        elif value == 0.0 and self._is_light:
            self._put_dark(permit, context, wanted)
        else:
            self._put(value, permit, context, wanted)

    def _plan(self, wanted: float, context: CommandContext) -> tuple[float | None, CommandContext]:
        """Return what is sent, None for nothing, and what it rests on.

        Raises
        ------
        Refusal
            If it is answered with a trip.
        """
        return wanted, context

    def _put_dark(self, permit: int, context: CommandContext, wanted: float) -> None:
        with self._lock:
            if permit != self._device.permit:
                return
            self._begin_dark()
        if failed := self._dark.order(self._safety.device_s):
            raise Refusal(f"it does not go dark: {'; '.join(failed)}")
        self._audit("command", context, wanted)

    def _put(self, value: float, permit: int, context: CommandContext, wanted: float) -> None:
        commanded = self._readings.commanded
        with self._lock:
            if permit != self._device.permit:
                return
            self._begin_change(value)
            self._dark.lift()
            commanded.change(value, self._clock_ns())
        obeyed = self._device.set(value, permit)
        with self._lock:
            if not obeyed or permit != self._device.permit:
                return  # an order to go dark came, which sees to it that this is followed by dark
            commanded.arrive(self._clock_ns())
            self._sent = value
        self._audit("command", context, wanted)

    def _begin_change(self, value: float) -> None:
        """Count with a value that is on its way to the device."""

    def reset(self, reason: str) -> None:
        """Lift the latch manually; it has to be armed anew.

        Raises
        ------
        DeviceError
            If the device does not answer.
        ConfigError
            If what the device complains of is still there, or it is not seen dark.
        """
        name = self.actuator.name
        with self._turn:
            if self.tripped is None:
                return
            if (fault := self._device.fault()) is not None:
                raise ConfigError(f"{name} stays latched: {fault}")
            if not self.is_safe and (failed := self._dark.carry_out(self._safety.device_s)):
                raise ConfigError(f"{name} stays latched: {'; '.join(failed)}")
            with self._lock:
                self.tripped, self.armed = None, False
                self._ours = self._was_armed
            self._audit("reset", CommandContext(reason=reason))

    def close(self) -> None:
        """Let the thread of the device end. Safe to call more than once."""
        self._device.close()
