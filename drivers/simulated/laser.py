"""Simulated lasers with the properties of a Coherent OBIS head in Micro-Manager."""

from __future__ import annotations

import math

from pymmcore_plus.experimental.unicore.devices._shutter import ShutterDevice

from rtsmlm.drivers.simulated.hub import Attached
from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.properties import add_property, to_bool
from rtsmlm.errors import DeviceError


class SimLaser(ShutterDevice):
    """A laser head, a filter that weakens it, and the microscope it shines into.

    As with the real head, a set-point below its minimum is refused, so dark means `State` 0;
    `PowerReadback` is the set-point, not a measurement; and unloading does not switch it off.
    What the real head lacks is `PowerMeasured_mW`, a photodiode behind its shutter.

    For drills: `FaultReadback_mW` above 0 is read back and measured instead; `Interlock` OPEN
    ends emission, which stays off until it is OK and `State` is set again; with `FaultSerial` 1
    the head answers no command, and shines on as it is.

    Parameters
    ----------
    wavelength_nm
        Which laser of the microscope.
    min_mw, max_mw
        Limits of the head.
    transmission
        Part of the power that reaches the sample.
    microscope
        The microscope; not given takes that of the core.
    """

    def __init__(
        self,
        wavelength_nm: int,
        *,
        min_mw: float = 1.0,
        max_mw: float = 100.0,
        transmission: float = 1.0,
        microscope: SimMicroscope | None = None,
    ) -> None:
        super().__init__()
        self._microscope = Attached(self, microscope)
        self._wavelength_nm = wavelength_nm
        self._min_mw, self._max_mw = min_mw, max_mw
        self._transmission = transmission
        self._setpoint_mw = min_mw
        self._is_on = False
        self._fault_readback_mw = 0.0
        self._is_interlocked = False
        self._is_cut_off = False
        self._add_properties()
        self._add_drills()

    def _add_properties(self) -> None:
        limits = (self._min_mw, self._max_mw)
        add_property(
            self,
            "PowerSetpoint",
            float,
            self._answered_setpoint_mw,
            self.set_power_mw,
            limits=limits,
        )
        add_property(self, "PowerReadback", float, self._readback_mw)
        add_property(self, "PowerMeasured_mW", float, self._measured_mw)
        add_property(
            self,
            "State",
            int,
            lambda: int(self.get_open()),
            lambda value: self.set_open(to_bool(value)),
            choices=("0", "1"),
        )
        add_property(self, "Minimum Laser Power", float, lambda: self._min_mw)
        add_property(self, "Maximum Laser Power", float, lambda: self._max_mw)
        add_property(self, "Wavelength", float, lambda: float(self._wavelength_nm))
        add_property(self, "HeadID", str, lambda: f"SIM-OBIS-{self._wavelength_nm}")
        add_property(self, "Head Usage Hours", float, lambda: 1234.5)
        add_property(
            self,
            "Transmission",
            float,
            lambda: self._transmission,
            self._set_transmission,
            limits=(1e-6, 1.0),
        )
        add_property(self, "SamplePower_mW", float, self.sample_mw)

    def _add_drills(self) -> None:
        add_property(
            self,
            "Interlock",
            str,
            lambda: "OPEN" if self._is_interlocked else "OK",
            self._set_interlock,
            choices=("OK", "OPEN"),
        )
        add_property(
            self,
            "FaultSerial",
            int,
            lambda: int(self._is_cut_off),
            self._set_cut_off,
            choices=("0", "1"),
        )
        add_property(
            self,
            "FaultReadback_mW",
            float,
            lambda: self._fault_readback_mw,
            self._set_fault_readback,
            limits=(0.0, 10_000.0),
        )

    def initialize(self) -> None:
        """Shine into the microscope what is set."""
        self._apply()

    def shutdown(self) -> None:
        """Let go of the microscope; the head stays as it is."""
        self._microscope.release()

    def get_open(self) -> bool:
        """Return True if the head emits.

        Raises
        ------
        DeviceError
            If the head does not answer.
        """
        self._answer()
        return self._is_on

    def set_open(self, open: bool) -> None:  # noqa: A002 - the name is the base class's
        """Switch emission on or off.

        Raises
        ------
        DeviceError
            If the head does not answer, or is to emit while its interlock is open.
        """
        self._answer()
        if open and self._is_interlocked:
            raise DeviceError(
                f"{self._wavelength_nm} nm laser cannot emit: its interlock is open; close it"
            )
        self._is_on = open
        self._apply()

    def set_power_mw(self, power_mw: float) -> None:
        """Set the power of the head.

        Raises
        ------
        DeviceError
            If the head does not answer, or cannot give this power.
        """
        self._answer()
        if not (math.isfinite(power_mw) and self._min_mw <= power_mw <= self._max_mw):
            raise DeviceError(
                f"{self._wavelength_nm} nm laser asked for {power_mw} mW; the head gives "
                f"{self._min_mw} to {self._max_mw} mW (State 0 is dark)"
            )
        self._setpoint_mw = float(power_mw)
        self._apply()

    def sample_mw(self) -> float:
        """Return the power that reaches the sample now."""
        return self._setpoint_mw * self._transmission if self._is_on else 0.0

    def _answer(self) -> None:
        if self._is_cut_off:
            raise DeviceError(f"{self._wavelength_nm} nm laser: serial error, no answer")

    def _answered_setpoint_mw(self) -> float:
        self._answer()
        return self._setpoint_mw

    def _readback_mw(self) -> float:
        return self._fault_readback_mw or self._answered_setpoint_mw()

    def _measured_mw(self) -> float:
        self._answer()
        return self._fault_readback_mw or (self._setpoint_mw if self._is_on else 0.0)

    def _set_interlock(self, state: str) -> None:
        self._is_interlocked = state == "OPEN"
        if self._is_interlocked:
            self._is_on = False
            self._apply()

    def _set_cut_off(self, cut_off: object) -> None:
        self._is_cut_off = to_bool(cut_off)

    def _set_fault_readback(self, power_mw: float) -> None:
        self._fault_readback_mw = float(power_mw)

    def _set_transmission(self, transmission: float) -> None:
        self._transmission = float(transmission)
        self._apply()

    def _apply(self) -> None:
        self._microscope().set_laser(self._wavelength_nm, self.sample_mw())


class SimLaser405(SimLaser):
    """Activation laser, behind a filter of optical density 3."""

    def __init__(self, microscope: SimMicroscope | None = None) -> None:
        super().__init__(405, transmission=1e-3, microscope=microscope)


class SimLaser561(SimLaser):
    """Readout laser for mEos3.2."""

    def __init__(self, microscope: SimMicroscope | None = None) -> None:
        super().__init__(561, transmission=0.5, microscope=microscope)


class SimLaser640(SimLaser):
    """Readout laser for AF647 and far-red imager strands."""

    def __init__(self, microscope: SimMicroscope | None = None) -> None:
        super().__init__(640, transmission=0.5, microscope=microscope)
