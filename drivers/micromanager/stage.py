"""An axis of a stage that Micro-Manager knows, as an `Actuator`."""

from __future__ import annotations

import math

from pymmcore_plus import CMMCorePlus, DeviceType

from rtsmlm.drivers.micromanager.core import as_core
from rtsmlm.drivers.micromanager.device_facts import facts_of
from rtsmlm.drivers.micromanager.property import one_line
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.plugins import CoreSource, StageFactory
from rtsmlm.protocols import Actuator
from rtsmlm.settings.lasers import StageSettings

_SLACK_UM = 1e-6
_KINDS = {"z": DeviceType.Stage, "x": DeviceType.XYStage, "y": DeviceType.XYStage}


class MicroManagerStage:
    """One axis of a stage of a Micro-Manager core; positions are in um.

    It may move by `range_um` either way from where it stood when it was opened.

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
        If there is no such device or it has no such axis.
    DeviceError
        If it does not answer.
    """

    def __init__(self, core: CMMCorePlus, name: str, settings: StageSettings) -> None:
        self._core, self._name, self._settings = core, name, settings
        device, axis = facts_of(core, settings.device).label, settings.axis
        if core.getDeviceType(device) != _KINDS[axis]:
            wanted = "a focus drive" if axis == "z" else "an XY stage"
            raise ConfigError(
                f"stage {name}: {device} is no {wanted.split(maxsplit=1)[1]}, but axis {axis} "
                f"needs {wanted}; set stages.{name}.axis or device"
            )
        self._start_um = self.setpoint()

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return "um"

    def limits(self) -> tuple[float, float]:
        """Return the lowest and highest position."""
        return self._start_um - self._settings.range_um, self._start_um + self._settings.range_um

    def set(self, value: float) -> None:
        """Move there; returns when the command is given, which may be before the stage arrives.

        Raises
        ------
        DeviceError
            If the position is no number or out of range, or if the stage refuses.
        """
        low, high = self.limits()
        if not (math.isfinite(value) and low - _SLACK_UM <= value <= high + _SLACK_UM):
            raise DeviceError(
                f"stage {self._name} was asked for {value:g} um; it may move from {low:g} to "
                f"{high:g} um, {self._settings.range_um:g} um either way from where it stood"
            )
        target_um = min(max(value, low), high)
        device, axis = self._settings.device, self._settings.axis
        try:
            if axis == "z":
                self._core.setPosition(device, target_um)
                return
            x_um, y_um = self._core.getXYPosition(device)
            x_um, y_um = (target_um, y_um) if axis == "x" else (x_um, target_um)
            self._core.setXYPosition(device, x_um, y_um)
        except Exception as error:  # vendor code
            raise DeviceError(
                f"stage {self._name}: {device} did not move to {target_um:g} um: {one_line(error)}"
            ) from error

    def make_safe(self) -> list[str]:
        """Stop it where it is, and return what failed; a stage that knows no stop is let be."""
        try:
            if not self._core.deviceBusy(self._settings.device):
                return []
            self._core.stop(self._settings.device)
        except Exception as error:  # vendor code
            return [f"stage {self._name} could not be stopped: {one_line(error)}"]
        return []

    def setpoint(self) -> float:
        """Return where it is, in um.

        Raises
        ------
        DeviceError
            If it does not answer.
        """
        device, axis = self._settings.device, self._settings.axis
        try:
            if axis == "z":
                position_um = float(self._core.getPosition(device))
            else:
                position_um = float(self._core.getXYPosition(device)["xy".index(axis)])
        except Exception as error:  # vendor code
            raise DeviceError(
                f"stage {self._name}: {device} does not report its position: {one_line(error)}"
            ) from error
        if not math.isfinite(position_um):
            raise DeviceError(
                f"stage {self._name}: {device} reports a position of {position_um} um"
            )
        return position_um

    def readback(self) -> float | None:
        """Return None: a stage may report the measured or the commanded position."""
        return None

    def fault(self) -> str | None:
        """Return None: Micro-Manager has no word for the faults of a stage."""
        return None

    def close(self) -> None:
        """Do nothing: the device belongs to the core, which is released with the camera."""


def open_stage(name: str, settings: StageSettings, core: CoreSource) -> MicroManagerStage:
    """Return a stage of the core, with its limits around where it stands now; see `StageFactory`.

    Raises
    ------
    ConfigError
        If there is no core, no such device, or no such axis.
    DeviceError
        If it does not answer.
    """
    return MicroManagerStage(as_core(core()), name, settings)


def _conforms(stage: MicroManagerStage) -> tuple[Actuator, StageFactory]:
    return stage, open_stage
