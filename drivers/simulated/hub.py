"""Which microscope a simulated device belongs to: one per core, shared by all its devices.

It is made when a camera, a stage or a test asks for it. Lasers do not: a program that loads them
alone, to switch them off, does not wait for what draws emitters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymmcore_plus.experimental.unicore.devices._device_base import Device

from rtsmlm.errors import DeviceError

if TYPE_CHECKING:
    from rtsmlm.drivers.simulated.microscope import SimMicroscope

Light = Callable[[], float]
"""Power of a laser at the sample in mW, now."""


@dataclass(slots=True)
class _Shared:
    made: SimMicroscope | None = None
    lights: dict[int, Light] = field(default_factory=dict)
    n_devices: int = 0

    def microscope(self) -> SimMicroscope:
        if self.made is None:
            from rtsmlm.drivers.simulated.microscope import SimMicroscope

            self.made = SimMicroscope(power_mw={})
            for wavelength_nm, light in self.lights.items():
                self.made.connect_laser(wavelength_nm, light)
        return self.made

    def connect(self, wavelength_nm: int, light: Light) -> None:
        self.lights[wavelength_nm] = light
        if self.made is not None:
            self.made.connect_laser(wavelength_nm, light)


_lock = threading.Lock()
_shared: dict[str, _Shared] = {}


class Attached:
    """A device's hold on the microscope of its core.

    A core unloads its devices when it is reset or dies; with the last of them the microscope
    goes, so that a later core can never find that of an earlier one.

    Parameters
    ----------
    device
        The device; it must be loaded into a core before the microscope is asked for, unless one
        is given.
    microscope
        A microscope to use instead of that of the core.
    """

    def __init__(self, device: Device, microscope: SimMicroscope | None) -> None:
        self._device = device
        self._microscope = microscope
        self._key: str | None = None

    def __call__(self) -> SimMicroscope:
        """Return the microscope, made on first use with all lasers off.

        Raises
        ------
        DeviceError
            If the device is not loaded into a core and no microscope was given.
        """
        with _lock:
            if self._microscope is None:
                self._microscope = self._join().microscope()
            return self._microscope

    def shine(self, wavelength_nm: int, light: Light) -> None:
        """Let a laser shine into the microscope; it is asked for its power at each exposure.

        Raises
        ------
        DeviceError
            If the device is not loaded into a core and no microscope was given.
        """
        with _lock:
            if self._microscope is not None:
                self._microscope.connect_laser(wavelength_nm, light)
            else:
                self._join().connect(wavelength_nm, light)

    def _join(self) -> _Shared:
        """Return what the devices of this core share, and be one of them."""
        key = self._key or self._core_key()
        shared = _shared.setdefault(key, _Shared())
        if self._key is None:
            self._key = key
            shared.n_devices += 1
        return shared

    def release(self) -> None:
        """Let go of the microscope."""
        with _lock:
            self._microscope = None
            if self._key is None:
                return
            shared = _shared[self._key]
            shared.n_devices -= 1
            if shared.n_devices == 0:
                del _shared[self._key]
            self._key = None

    def _core_key(self) -> str:
        try:
            events = self._device.core.events
        except AttributeError as error:
            raise DeviceError(
                f"{type(self._device).__name__} is in no core: load it with loadPyDevice or a "
                ".cfg file first"
            ) from error
        return _key_of(events.propertyChanged)


def _key_of(signal: Any) -> str:
    """Return what is the same for all devices of a core and differs between cores.

    A device sees of its core only the signals. Those of psygnal know their owner; those of Qt
    are one object per owner (PySide) or name it in their representation (PyQt).
    """
    owner = getattr(signal, "instance", None)
    return f"owner-{id(owner)}" if owner is not None else f"signal-{signal!r}"


def microscope_of_core(core: Any) -> SimMicroscope:
    """Return the simulated microscope of a core, for its truth and calibration.

    Parameters
    ----------
    core
        A `UniMMCore` in which simulated devices are loaded.

    Raises
    ------
    DeviceError
        If no simulated device is loaded in this core.
    """
    shared = _shared.get(_key_of(core.events.propertyChanged))
    if shared is None:
        raise DeviceError(
            "this core has no simulated microscope; load configs/sim_microscope.cfg first"
        )
    with _lock:
        return shared.microscope()
