"""Simulated lasers with the properties of a Coherent OBIS head in Micro-Manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtsmlm.drivers.simulated.file_laser import FileLaser
from rtsmlm.drivers.simulated.head_faults import Call, HeadFaults
from rtsmlm.drivers.simulated.head_file import HeadMemory
from rtsmlm.drivers.simulated.hub import Attached
from rtsmlm.drivers.simulated.properties import add_property, to_bool
from rtsmlm.errors import DeviceError

if TYPE_CHECKING:
    from rtsmlm.drivers.simulated.microscope import SimMicroscope


class SimLaser(FileLaser):
    """A laser head, a filter that weakens it, and the microscope it shines into.

    As with the real head, a set-point below its minimum is refused, so dark means `State` 0;
    `PowerReadback` is the set-point, not a measurement; and unloading does not switch it off.
    What the real head lacks is `PowerMeasured_mW`, a photodiode behind its shutter. With a
    `StateFile` its light outlives the program, and another program can switch it off.

    For drills: `FaultReadback_mW` above 0 is read back and measured instead; `Interlock` OPEN
    ends emission, which stays off until it is OK and `State` is set again; with `FaultSerial` 1
    the head answers no command, and shines on as it is. See `head_faults` for more.

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
        super().__init__(min_mw, max_mw)
        self._microscope = Attached(self, microscope)
        self._head = HeadMemory(min_mw)
        self._wavelength_nm = wavelength_nm
        self._transmission = transmission
        self._fault_readback_mw = 0.0
        self._is_interlocked = False
        self._is_cut_off = False
        self._add_description()
        self._add_drills()

    def _add_description(self) -> None:
        add_property(self, "PowerReadback", float, self._readback_mw)
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
            self, "Interlock", str, self._interlock, self._set_interlock, choices=("OK", "OPEN")
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
        self._microscope.shine(self._wavelength_nm, self.sample_mw)

    def shutdown(self) -> None:
        """Let go of port and microscope; the head stays as it is."""
        super().shutdown()
        self._microscope.release()

    def set_open(self, open: bool) -> None:  # noqa: A002 - the name is the base class's
        """Switch emission on or off.

        Raises
        ------
        DeviceError
            If the head does not answer, or is to emit while its interlock is open.
        """
        self._answer()
        if open and self._is_interlocked:
            raise DeviceError(f"{self._title} cannot emit: its interlock is open; close it")
        super().set_open(open)

    def sample_mw(self) -> float:
        """Return the power that reaches the sample now."""
        return self._state().light_mw * self._transmission

    @property
    def _title(self) -> str:
        return f"{self._wavelength_nm} nm laser"

    def _answer(self) -> None:
        if self._is_cut_off:
            raise DeviceError(f"{self._title}: serial error, no answer")

    @contextmanager
    def _call(self, kind: Call) -> Iterator[HeadFaults]:
        self._answer()
        with super()._call(kind) as faults:
            yield faults

    def _readback_mw(self) -> float:
        return self._fault_readback_mw or self._setpoint_mw()

    def _measured_mw(self) -> float | str:
        measured_mw = super()._measured_mw()
        return self._fault_readback_mw or measured_mw

    def _interlock(self) -> str:
        return "OPEN" if self._is_interlocked else self._faults().interlock

    def _set_interlock(self, state: str) -> None:
        self._is_interlocked = state == "OPEN"
        if self._is_interlocked:
            self._ready_head().put_on(False)

    def _set_cut_off(self, cut_off: object) -> None:
        self._is_cut_off = to_bool(cut_off)

    def _set_fault_readback(self, power_mw: float) -> None:
        self._fault_readback_mw = float(power_mw)

    def _set_transmission(self, transmission: float) -> None:
        self._transmission = float(transmission)


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
