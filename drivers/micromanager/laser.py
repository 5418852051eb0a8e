"""Any laser that Micro-Manager knows, as an `Actuator`."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pymmcore_plus import CMMCorePlus

from rtsmlm.drivers.micromanager.core import as_core
from rtsmlm.drivers.micromanager.device_facts import facts_of, hub_of
from rtsmlm.drivers.micromanager.laser_properties import Fault, LaserProperties, resolve, same_value
from rtsmlm.drivers.micromanager.power import Power, PulsedPower, SteadyPower
from rtsmlm.drivers.micromanager.property import NumberProperty, get_text, one_line, put_text
from rtsmlm.drivers.micromanager.shutter import Shutter, take_from_auto_shutter
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.plugins import CoreSource, LaserFactory
from rtsmlm.protocols import Actuator
from rtsmlm.settings.lasers import LaserSettings

logger = logging.getLogger(__name__)

_PATIENCE_S = 0.1
"""Going dark waits no longer than this for a command that hangs."""


class MicroManagerLaser:
    """A laser of a Micro-Manager core.

    Values are powers in the unit of its power property; with a pulse property they are
    effective powers (power times the part of the frame that it is on). 0 is dark. It may be
    switched off by another thread than the one that sets it.

    Parameters
    ----------
    core
        The core that holds it.
    name
        Its name in the settings.
    settings
        What the settings state of it.

    Raises
    ------
    ConfigError
        If a device, property or value does not exist, or if nothing can make it dark.
    DeviceError
        If a device does not answer.
    """

    def __init__(self, core: CMMCorePlus, name: str, settings: LaserSettings) -> None:
        self._core, self._name = core, name
        self._title = title = f"laser {name}"
        self.properties = p = properties_of(core, settings)
        steady = SteadyPower(core, title, p, settings.max_power)
        self._power: Power = steady
        if p.pulse is not None:
            pulse = NumberProperty(core, title, p.pulse_device, p.pulse)
            self._power = PulsedPower(core, title, steady, pulse, p.unit)
        self._readback = NumberProperty(core, title, p.device, p.readback) if p.readback else None
        self._shutter = Shutter(core, title, p.shutter) if p.shutter else None
        self._lock = threading.RLock()
        self._rests = 0
        low, _ = steady.limits()
        if low > 0 and p.on is None and p.shutter is None:
            raise ConfigError(
                f"{title} cannot go dark: its least power is {low:g} {p.unit}, and neither "
                "on_property nor shutter is known; state one of them"
            )
        self._take_from_auto_shutter()

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    @property
    def unit(self) -> str:
        """Unit of the values: mW, %, V, us."""
        return self.properties.unit

    def limits(self) -> tuple[float, float]:
        """Return the least and the most power but for 0, which is dark; asked for anew.

        Raises
        ------
        DeviceError
            If the device does not answer, or neither it nor the settings give limits.
        """
        return self._power.limits()

    def set(self, value: float) -> None:
        """Set the power, then switch emission on, then open the shutter; 0 makes it dark.

        Raises
        ------
        DeviceError
            If the value is no number or beyond the limits, if the device refuses, or if another
            thread switched the laser off meanwhile.
        """
        if not math.isfinite(value):
            raise DeviceError(f"{self._title} was asked for {value}; it takes finite powers only")
        rests = self._rests
        with self._alone():
            if value == 0:
                if failures := self._go_dark():
                    raise DeviceError("; ".join(failures))
                return
            self._power.put(value)
            # A command may hang for seconds, and a watchdog does not wait that long.
            if self._rests == rests:
                self._shine()
            if self._rests != rests:
                failures = self._go_dark()
                raise DeviceError(
                    "; ".join([f"{self._title} was switched off while it was set", *failures])
                )

    def make_safe(self) -> list[str]:
        """Go dark: power to its least, then emission off, then the shutter closed.

        Returns
        -------
        list of str
            What failed on the way; every step is tried. Empty means that it is dark.
        """
        self._rests += 1
        with self._alone():
            return self._go_dark()

    def setpoint(self) -> float:
        """Return the power that is set; 0 with emission off or the shutter closed.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        p = self.properties
        if p.on is not None and same_value(self._emission(p.on), p.off_value):
            return 0.0
        if self._shutter is not None and not self._shutter.is_open():
            return 0.0
        return self._power.get()

    def readback(self) -> float | None:
        """Return the measured power; None where there is none, or where light comes in pulses.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        # Whether a head averages over pulses or not is not known.
        if self._readback is None or self.properties.pulse is not None:
            return None
        return self._readback.get()

    def fault(self) -> str | None:
        """Return the faults that the device reports, None if none.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        complaints = [text for fault in self.properties.faults if (text := self._complaint(fault))]
        return ", ".join(complaints) or None

    def close(self) -> None:
        """Do nothing: the device belongs to the core, which is released with the camera."""

    def _complaint(self, fault: Fault) -> str | None:
        text = get_text(self._core, self._title, fault.device, fault.property)
        if any(same_value(text, ok) for ok in fault.ok_values):
            return None
        return f"{fault.device}.{fault.property} is {text}"

    def _emission(self, name: str) -> str:
        return get_text(self._core, self._title, self.properties.device, name)

    def _shine(self) -> None:
        p = self.properties
        if p.on is not None and not same_value(self._emission(p.on), p.on_value):
            self._take_from_auto_shutter()
            put_text(self._core, self._title, p.device, p.on, p.on_value)
        if self._shutter is not None and not self._shutter.is_open():
            self._shutter.open()

    def _go_dark(self) -> list[str]:
        failures = []
        for step in self._steps_to_dark():
            try:
                step()
            except BaseException as error:  # the next step is tried, whatever this one was
                failures.append(one_line(error))
        for failure in failures:
            logger.error("while going dark: %s", failure)
        return failures

    def _steps_to_dark(self) -> Iterator[Callable[[], None]]:
        yield from self._power.steps_down()
        if self.properties.on is not None:
            yield self._switch_off
        if self._shutter is not None:
            yield self._shutter.close
        yield self._check_dark

    def _switch_off(self) -> None:
        p = self.properties
        if p.on is not None:
            put_text(self._core, self._title, p.device, p.on, p.off_value)

    def _check_dark(self) -> None:
        # Some adapters swallow what the device refuses.
        value = self.setpoint()
        if value != 0:
            raise DeviceError(
                f"{self._title} still has {value:g} {self.unit} set and its emission on; switch "
                "it off manually"
            )

    def _take_from_auto_shutter(self) -> None:
        devices = {d for d in (self.properties.device, self.properties.shutter) if d}
        take_from_auto_shutter(self._core, self._title, devices)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        held = self._lock.acquire(timeout=_PATIENCE_S)
        try:
            yield
        finally:
            if held:
                self._lock.release()


def properties_of(core: CMMCorePlus, settings: LaserSettings) -> LaserProperties:
    """Return which properties a laser of the settings has in this core; asks no device.

    Raises
    ------
    ConfigError
        If a device, property or value does not exist.
    """
    if settings.shutter is not None:
        facts_of(core, settings.shutter)
    pulses = settings.pulse_device
    return resolve(
        facts_of(core, settings.device),
        settings,
        hub=hub_of(core, settings.device),
        pulse_device=facts_of(core, pulses) if pulses is not None else None,
    )


def open_laser(name: str, settings: LaserSettings, core: CoreSource) -> MicroManagerLaser:
    """Return a laser of the core, as it is: neither switched on nor off; see `LaserFactory`.

    Raises
    ------
    ConfigError
        If there is no core, if a device, property or value does not exist, or if nothing can make
        it dark.
    DeviceError
        If a device does not answer.
    """
    return MicroManagerLaser(as_core(core()), name, settings)


def _conforms(laser: MicroManagerLaser) -> tuple[Actuator, LaserFactory]:
    return laser, open_laser
