"""What we ask of parts: Camera, Localizer, Actuator, Sink.

A part is a plain class with the right shape; nothing is inherited, and the type checker is the
contract. Parts are opened by factories that `rtsmlm.plugins` finds by entry point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.localizations import F32, Localizations


class Camera(Protocol):
    """A source of frames: a real camera, a simulated one, or a recording."""

    @property
    def name(self) -> str:
        """What to call it in messages and in the run folder."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames to come, in pixels."""
        ...

    @property
    def exposure_ms(self) -> float:
        """Exposure time per frame."""
        ...

    @property
    def stated(self) -> StatedCalibration:
        """What the camera itself states of its calibration."""
        ...

    @property
    def core(self) -> object | None:
        """Micro-Manager core that the camera belongs to, for lasers and stages of that core.

        None for a camera with a driver of its own.
        """
        ...

    def describe(self) -> Mapping[str, str]:
        """Return device names, versions and properties for the run folder."""
        ...

    def stream(self, stop: Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        """Start the camera and yield its frames in order.

        When `stop` is set, the camera is stopped first, then the frames that it has already
        delivered are yielded, then the iterator ends. It also ends after `n_frames` frames.
        Closing the iterator stops the camera.

        Raises
        ------
        CameraStalledError
            If no frame comes for longer than the stall time-out.
        CameraOverflowError
            If frames came faster than they were taken. All frames that were delivered before
            are yielded first; nothing was overwritten.
        FrameMismatchError
            If a frame changes its shape or type.
        DeviceError
            If the device fails otherwise.
        """
        ...

    def close(self) -> None:
        """Release the device. Safe to call more than once."""
        ...


ALL = slice(0, None)
"""Every frame of a batch is a target."""

RecallTable: TypeAlias = NDArray[np.float64]
"""Recall of a localizer against density, float64 of shape (2, n).

First row, ascending: sum of the probabilities of its rows per frame, in a square whose side is the
standard deviation of the PSF. Second row: how many emitters there truly are for one that is found.
Between the points lies a straight line, beyond the ends the last value holds.
"""
AS_FOUND: RecallTable = np.array([[0.0], [1.0]])
"""Recall of a localizer that finds every emitter once; for one that was never measured."""


class Localizer(Protocol):
    """Frames in, localizations out. Keeps no memory of earlier batches."""

    @property
    def name(self) -> str:
        """Name as in the settings, with what matters of its parameters."""
        ...

    @property
    def neighbours(self) -> int:
        """How many frames before and after a frame it uses: 0 for a fit, 1 for most networks.

        At most 1 for a localizer of your own; of a model folder half of its `window_frames`, at
        most 7. A live run answers so many frame periods later.
        """
        ...

    @property
    def uses_all_cores(self) -> bool:
        """True if one instance keeps all cores busy by itself, so that a second gains nothing."""
        ...

    @property
    def max_local_per_um2(self) -> float:
        """Densest place, in emitters per frame and um2, where it still tells emitters apart.

        The feedback loop lets no part of the field get denser, unless the settings say otherwise
        (`feedback.max_local_per_um2`); `math.inf` where it knows no limit.
        """
        ...

    @property
    def recall(self) -> RecallTable:
        """What the estimate of the density is corrected with; `AS_FOUND` where it is not known."""
        ...

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile or load whatever the first batch of this frame shape would have to wait for.

        Then, before the camera starts, its rate is measured on simulated frames, whose numbers are
        negative.
        """
        ...

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the localizations of the target frames of a batch, ordered by frame.

        The rows of a frame depend on that frame and its `neighbours` alone, not on how frames are
        batched. Frames that are no targets are neighbours; one whose number does not follow is not.

        Raises
        ------
        LocalizerError
            If the batch cannot be localized.
        """
        ...


Quantity: TypeAlias = Literal["prediction", "uncertainty"]
"""What a layer holds: what a network predicts, or how far that depends on which data it had."""


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """An image that a network predicts: shown and written beside the rows, never among them."""

    name: str
    pixel_nm: float
    image: F32
    """(height, width), and the side of its pixels in the sample plane."""
    n_frames: int = 0
    """Frames that it is made of; 0 where it is made of localizations."""
    version: str = ""
    sha256: str = ""
    """Version of the model, and hash of the file of its network."""
    n_localizations: int = 0
    n_outside: int = 0
    """That it is made of, 0 where it is made of frames; those that lie beyond its edge."""
    structure: str = ""
    widefield: bool = False
    """What the network was stated to look at, and whether it was given a widefield image."""
    quantity: Quantity = "prediction"
    corner_nm: tuple[float, float] | None = None
    """Its outer corner, x and y as rows have them; None for the corner of the first frame pixel."""

    @property
    def key(self) -> str:
        """Name that no other layer of a run has."""
        return self.name if self.quantity == "prediction" else f"{self.name}: {self.quantity}"


class ImageReconstructor(Protocol):
    """Frames, or localizations, to an image: the networks that do not localize."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def takes_frames(self) -> bool:
        """True if it is made of frames, False if of localizations."""
        ...

    def resume(self, layer: ImageLayer) -> bool:
        """Go on from a layer of the same network and size; False, and nothing is taken, else."""
        ...

    def add_frames(self, batch: FrameBatch) -> None:
        """Add frames; without effect where it is made of localizations; raises as `layer`."""
        ...

    def add_localizations(self, localizations: Localizations) -> None:
        """Add localizations; without effect where it is made of frames."""
        ...

    def layer(self) -> ImageLayer:
        """Return the layer of all that was added so far.

        Raises
        ------
        LocalizerError
            If the network fails.
        """
        ...

    def uncertainty(self) -> ImageLayer | None:
        """Return the standard deviation of each pixel of the layer, or None; raises as `layer`."""
        ...


class Actuator(Protocol):
    """Something that can be set: a laser's power, a pulse length, a stage.

    Only a guard (`rtsmlm.safety.guard`) may call it during a run.
    """

    @property
    def name(self) -> str:
        """What to call it in messages and in the audit file."""
        ...

    @property
    def unit(self) -> str:
        """Unit of its values: mW, %, V, us, um."""
        ...

    def limits(self) -> tuple[float, float]:
        """Return the smallest and largest value that the device takes, asked for anew.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        ...

    def set(self, value: float) -> None:
        """Set the value; a laser that is off is switched on after its power is set.

        Raises
        ------
        DeviceError
            If the device refuses.
        """
        ...

    def make_safe(self) -> list[str]:
        """Bring it to its safe state, and return what failed on the way.

        A laser goes dark: power to its least first, then emission off, then the shutter closed.
        Every step is tried, whatever happened to the one before. A stage stays where it is.
        Never raises.
        """
        ...

    def setpoint(self) -> float:
        """Return the set value as the device knows it; 0 for a laser whose emission is off.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        ...

    def readback(self) -> float | None:
        """Return the value as the device measures it, None where it cannot.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        ...

    def fault(self) -> str | None:
        """Return the fault that the device reports, such as an open interlock; None if none.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        ...

    def close(self) -> None:
        """Release the device as it is, after `make_safe`; safe to call more than once."""
        ...


class Sink(Protocol):
    """Where localizations go while they come, beside the table and the stream of the run."""

    def put(self, localizations: Localizations) -> None:
        """Take the rows of the next frames, ordered by frame; they must not be changed.

        Called on a thread of its own. What it raises is counted; too slow for long, it misses rows.
        """
        ...

    def close(self) -> None:
        """Finish and release. Called once, on the same thread, after the last rows."""
        ...
