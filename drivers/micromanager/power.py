"""The power of a Micro-Manager laser: steady, or in pulses of a trigger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pymmcore_plus import CMMCorePlus

from rtsmlm.drivers.micromanager.laser_properties import LaserProperties
from rtsmlm.drivers.micromanager.laser_pulse import Pulse, PulseSplit
from rtsmlm.drivers.micromanager.property import NumberProperty, inward, one_line, within
from rtsmlm.errors import DeviceError

_LONGEST_PULSE_US = 1_048_575.0  # as far as MicroFPGA counts


class Power(Protocol):
    """What can be set to a power, in the unit of its laser."""

    def limits(self) -> tuple[float, float]:
        """Return the least and the most power but for dark, asked for anew."""
        ...

    def put(self, value: float) -> None:
        """Set the power."""
        ...

    def get(self) -> float:
        """Return the power that is set."""
        ...

    def steps_down(self) -> tuple[Callable[[], None], ...]:
        """Return the commands that take it to its least; each is worth a try of its own."""
        ...


class SteadyPower:
    """A power property.

    Parameters
    ----------
    core
        The core that holds the laser.
    owner
        What the laser is in messages.
    properties
        What its properties mean.
    most
        Most power where the device reports none.
    """

    def __init__(
        self, core: CMMCorePlus, owner: str, properties: LaserProperties, most: float | None
    ) -> None:
        self._core, self._owner, self._properties, self._most = core, owner, properties, most
        self._property = NumberProperty(core, owner, properties.device, properties.power)
        self._least = 0.0

    def limits(self) -> tuple[float, float]:
        """Return the least and the most power, as the device reports them now.

        Raises
        ------
        DeviceError
            If the device does not answer, or neither it nor the settings give limits.
        """
        limits = self._property.limits() or self._stated_limits()
        self._least = limits[0]
        return limits

    def put(self, value: float) -> None:
        """Set the power; one that misses a limit by less than a rounding step is moved to it.

        Raises
        ------
        DeviceError
            If it lies beyond the limits, or the device refuses.
        """
        low, high = self.limits()
        accepted = within(value, low, high)
        if accepted is None:
            raise beyond(self._owner, value, (low, high), self._properties.unit)
        self._property.put(accepted)

    def get(self) -> float:
        """Return the power that is set."""
        return self._property.get()

    def steps_down(self) -> tuple[Callable[[], None], ...]:
        """Return the command that takes it to its least."""
        return (self._down,)

    def _down(self) -> None:
        try:
            low, _ = self.limits()
        except DeviceError:
            low = self._least  # as it was when the device last answered
        self._property.put(low)

    def _stated_limits(self) -> tuple[float, float]:
        p = self._properties
        low, high = 0.0, 100.0 if p.unit == "%" else self._most
        if p.least is not None:
            low = inward(self._number(p.least) * p.limits_factor, up=True)
        if p.most is not None:
            high = inward(self._number(p.most) * p.limits_factor, up=False)
        if high is None or not low < high:
            raise DeviceError(
                f"{self._owner}: {p.device} does not report the limits of {p.power}; "
                "state max_power"
            )
        return low, high

    def _number(self, name: str) -> float:
        return NumberProperty(self._core, self._owner, self._properties.device, name).get()


class PulsedPower:
    """A power property and a pulse length per frame; its values are effective powers.

    Parameters
    ----------
    core
        The core that holds the laser and the camera that its trigger follows.
    owner
        What the laser is in messages.
    steady
        Power of the laser while it is on.
    pulse
        Pulse length per frame in us.
    unit
        Unit of the power.
    """

    def __init__(
        self, core: CMMCorePlus, owner: str, steady: SteadyPower, pulse: NumberProperty, unit: str
    ) -> None:
        self._core, self._owner, self._unit = core, owner, unit
        self._steady, self._pulse = steady, pulse

    def limits(self) -> tuple[float, float]:
        """Return the least and the most effective power.

        Raises
        ------
        DeviceError
            If laser, trigger or camera do not answer.
        """
        return self._split().limits()

    def put(self, value: float) -> None:
        """Set power and pulse length.

        Raises
        ------
        DeviceError
            If it lies beyond the limits, or a device refuses.
        """
        split = self._split()
        low, high = split.limits()
        if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            raise beyond(self._owner, value, (low, high), self._unit)
        before = self._steady.get()
        wanted = split.split(value, before)
        # What grows comes last, so that no frame gets more than the larger of the two.
        if wanted.power > before:
            self._pulse.put(wanted.length_us)
            self._steady.put(wanted.power)
            return
        if wanted.power < before:
            self._steady.put(wanted.power)
        self._pulse.put(wanted.length_us)

    def get(self) -> float:
        """Return the effective power that is set."""
        return self._split().effective(Pulse(self._steady.get(), self._pulse.get()))

    def steps_down(self) -> tuple[Callable[[], None], ...]:
        """Return the commands that take power and pulse to their least."""
        return (*self._steady.steps_down(), self._shorten)

    def _shorten(self) -> None:
        self._pulse.put((self._pulse.limits() or (0.0, 0.0))[0])

    def _split(self) -> PulseSplit:
        try:
            frame_us = float(self._core.getExposure()) * 1000
        except Exception as error:  # vendor code
            raise DeviceError(
                f"{self._owner}: the camera does not report its exposure: {one_line(error)}"
            ) from error
        lengths_us = self._pulse.limits() or (0.0, _LONGEST_PULSE_US)
        try:
            return PulseSplit(self._steady.limits(), lengths_us, frame_us)
        except ValueError as error:
            raise DeviceError(f"{self._owner} cannot be pulsed: {error}") from error


def beyond(owner: str, value: float, limits: tuple[float, float], unit: str) -> DeviceError:
    """Return the error for a power beyond the limits."""
    low, high = limits
    return DeviceError(
        f"{owner} was asked for {value:g} {unit}; it gives {low:g} to {high:g} {unit}, and 0 is "
        "dark"
    )
