"""Faults that can be switched on: a camera and a laser that work until a fault is injected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from threading import Event, Lock

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import DeviceError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.frames import CameraFrame
from rtsmlm.protocols import Actuator, Camera
from rtsmlm.realtime.clock import now_ns


class FaultClock:
    """Time of the first injected fault; later ones do not count."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.injected = Event()
        self.t_ns = 0

    def mark(self) -> None:
        """Note the time, once."""
        with self._lock:
            if not self.injected.is_set():
                self.t_ns = now_ns()
                self.injected.set()


class FreezableCamera:
    """A camera that silently yields no more frames from `freeze` on.

    The camera behind it runs on, so that its buffer does not fill up.

    Parameters
    ----------
    camera
        The real one.
    clock
        Started when it freezes.
    """

    def __init__(self, camera: Camera, clock: FaultClock) -> None:
        self._camera = camera
        self._clock = clock
        self._frozen = Event()

    def freeze(self) -> None:
        """Yield nothing from now on."""
        self._frozen.set()
        self._clock.mark()

    @property
    def name(self) -> str:
        """Name of the camera behind it."""
        return self._camera.name

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of its frames in pixels."""
        return self._camera.shape

    @property
    def exposure_ms(self) -> float:
        """Exposure time per frame."""
        return self._camera.exposure_ms

    @property
    def stated(self) -> StatedCalibration:
        """What the camera states of its calibration."""
        return self._camera.stated

    @property
    def core(self) -> object | None:
        """Micro-Manager core of the camera."""
        return self._camera.core

    def describe(self) -> Mapping[str, str]:
        """Return the description of the camera."""
        return self._camera.describe()

    def stream(self, stop: Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        """Yield the frames of the camera until it is frozen; see `protocols.Camera`."""
        for frame in self._camera.stream(stop, n_frames):
            if not self._frozen.is_set():
                yield frame

    def close(self) -> None:
        """Do nothing: the camera belongs to the rig."""


class FaultyLaser:
    """A laser that obeys until a fault is injected; `real` is the device behind it.

    Parameters
    ----------
    laser
        The real one.
    clock
        Started when it fails.
    """

    def __init__(self, laser: Actuator, clock: FaultClock) -> None:
        self.real = laser
        self._clock = clock
        self.complaint: str | None = None
        """What `fault` reports while the device itself has no fault."""
        self.meter = ""
        """What the measured power is in one question after the other, and again: 0 as set, 1 twice
        that, - none. Empty leaves it to the device."""
        self.refuse_next_set = False
        self.safe_fails_s = 0.0
        """How long `make_safe` fails after the refused command."""
        self.safe_ignored_s = 0.0
        """How long after the fault `make_safe` is taken, and nothing is done."""
        self.hangs_s = 0.0
        """How long after the fault nothing is answered; what was asked is done then."""
        self._n_metered = 0

    @property
    def name(self) -> str:
        """Name of the laser."""
        return self.real.name

    @property
    def unit(self) -> str:
        """Unit of its values."""
        return self.real.unit

    def limits(self) -> tuple[float, float]:
        """Return the limits of the device."""
        return self.real.limits()

    def set(self, value: float) -> None:
        """Set the power, or fail like a serial line that does not answer.

        Raises
        ------
        DeviceError
            If it is to fail, or the device refuses.
        """
        self._wait_while_hanging()
        if self.refuse_next_set:
            self.refuse_next_set = False
            self._clock.mark()
            raise DeviceError("serial error: no answer (drill)")
        self.real.set(value)

    def make_safe(self) -> list[str]:
        """Switch the laser off, unless that is to fail as well."""
        self._wait_while_hanging()
        if self._since_s() < self.safe_fails_s:
            return ["serial error: no answer (drill)"]
        if self._since_s() < self.safe_ignored_s:
            return []
        return self.real.make_safe()

    def setpoint(self) -> float:
        """Return the power that is set on the device."""
        self._wait_while_hanging()
        return self.real.setpoint()

    def readback(self) -> float | None:
        """Return the measured power, or what it is in a drill."""
        self._wait_while_hanging()
        if not self.meter:
            return self.real.readback()
        how = self.meter[self._n_metered % len(self.meter)]
        self._n_metered += 1
        return None if how == "-" else self.real.setpoint() * (2 if how == "1" else 1)

    def fault(self) -> str | None:
        """Return the fault of the device, or that of the drill."""
        self._wait_while_hanging()
        return self.complaint or self.real.fault()

    def _since_s(self) -> float:
        """Return how long ago the fault was injected; infinity if it was not."""
        return (now_ns() - self._clock.t_ns) / 1e9 if self._clock.injected.is_set() else math.inf

    def _wait_while_hanging(self) -> None:
        if (left_s := self.hangs_s - self._since_s()) > 0:
            Event().wait(left_s)

    def close(self) -> None:
        """Do nothing: the laser belongs to the rig."""


class Perturbation:
    """Between estimate and law: passes estimates on unchanged until `perturb` is set.

    Parameters
    ----------
    clock
        Started when an estimate is perturbed.
    """

    def __init__(self, clock: FaultClock) -> None:
        self._clock = clock
        self.perturb: Callable[[DensityEstimate], DensityEstimate] | None = None

    def __call__(self, estimate: DensityEstimate) -> DensityEstimate:
        """Return the estimate, perturbed where that is wanted."""
        if self.perturb is None:
            return estimate
        self._clock.mark()
        return self.perturb(estimate)


def not_a_number(estimate: DensityEstimate) -> DensityEstimate:
    """Return an estimate without values: all NaN."""
    nan = math.nan
    return replace(estimate, mean_per_um2=nan, std_per_um2=nan, local_per_um2=nan, new_per_um2=nan)


def raising(estimate: DensityEstimate) -> DensityEstimate:
    """Fail as a fault of the controller would.

    Raises
    ------
    ZeroDivisionError
        Always.
    """
    raise ZeroDivisionError("a fault in the controller (drill)")
