"""Readings: ask a device what it knows and what it measures, and judge the answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from rtsmlm.realtime.worker import one_line
from rtsmlm.safety.agreement import Commanded, ReadingJudge
from rtsmlm.safety.device_calls import NoAnswerError
from rtsmlm.safety.guarded_actuator import GuardedActuator


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device knows and measures, in the unit of the actuator."""

    t_ns: int
    """When it was asked."""
    version: int
    """Of the commands at that time."""
    setpoint: float
    """NaN where it does not matter, as for a stage."""
    measured: float | None
    """None where it measures nothing."""
    error: str = "it measures nothing any more"
    """Why it measures nothing."""


class Readings:
    """The readings of one device.

    Parameters
    ----------
    device
        The device.
    unit
        Unit of the actuator.
    tolerance
        By how much a reading of a value may differ from it.
    is_light
        True for a laser: its set point counts, and 0 is dark.
    """

    def __init__(
        self,
        device: GuardedActuator,
        unit: str,
        tolerance: Callable[[float], float],
        *,
        is_light: bool,
    ) -> None:
        self.commanded = Commanded()
        self.setpoint = self.measured = math.nan
        """Last answers; NaN where there was none."""
        self._device, self._unit, self._is_light = device, unit, is_light
        self._setpoint = ReadingJudge("set in the device", unit, tolerance, is_exact=True)
        self._measured = ReadingJudge("measured", unit, tolerance)
        self._measures = False

    def find_out(self) -> None:
        """Ask once whether there is a read-back; one that is gone later is a fault.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        self._measures = self._device.readback() is not None

    def begin(self, value: float) -> None:
        """Judge from now on, beginning with this value; what was before is forgotten."""
        self.commanded.begin(value)
        self._setpoint.begin()
        self._measured.begin()

    def ask(self, t_ns: int, wait_s: float | None = None) -> Reading:
        """Ask the device.

        Parameters
        ----------
        t_ns
            Time now.
        wait_s
            Wait no longer than this for both answers; not given is the deadline of the device for
            each.

        Raises
        ------
        DeviceError
            If it does not answer in time, or does not know its set point.
        """
        version, begun_s = self._device.version, time.monotonic()
        setpoint = self._device.setpoint(wait_s) if self._is_light else math.nan
        self.setpoint = setpoint
        if wait_s is not None:
            wait_s = max(wait_s - (time.monotonic() - begun_s), 0.0)
        try:
            measured = self._device.readback(wait_s)
        except NoAnswerError:
            raise
        except Exception as error:  # a driver raises whatever it likes
            self.measured = math.nan
            return Reading(t_ns, version, setpoint, None, one_line(error))
        self.measured = math.nan if measured is None else measured
        return Reading(t_ns, version, setpoint, measured)

    def judge(self, reading: Reading, most: tuple[float, float]) -> str | None:
        """Return why the device has to go dark, None if it need not.

        Parameters
        ----------
        reading
            Its answers.
        most
            Set point and measured value above which it has to go dark at once.
        """
        expected = self.commanded.at(reading.t_ns)
        why = None
        if self._is_light:
            why = self._setpoint.judge(reading.setpoint, expected, most[0], reading.t_ns)
        if reading.measured is not None:
            measured = self._measured.judge(reading.measured, expected, most[1], reading.t_ns)
        else:
            measured = self._measured.judge_missing(reading.error) if self._measures else None
        return why or measured

    def see_dark(self) -> None:
        """Excuse no light any more as that of the time before: it was seen dark."""
        if self._is_light:
            self.commanded.begin(0.0)

    def why_lit(self, reading: Reading) -> str | None:
        """Return what speaks against the light being off, None if nothing does."""
        if not self._is_light:
            return None
        if reading.measured is None and self._measures:
            return f"its read-back is gone: {reading.error}"
        if reading.measured is not None and not self._measured.is_near(reading.measured, 0.0):
            return f"{reading.measured:g} {self._unit} are measured"
        if reading.setpoint != 0.0:
            return f"its set point is {reading.setpoint:g} {self._unit}"
        return None
