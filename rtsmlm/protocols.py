"""What we ask of parts: Camera, Localizer, Sink. Parts are found by entry points.

A part is a plain class with the right shape; the type checker is the contract. Groups
`rtsmlm.camera` and `rtsmlm.localizer` name factories that take the settings of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Event
from typing import Protocol

from rtsmlm.calibration import StatedCalibration
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.localizations import Localizations


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
        """Release the device. Twice is fine."""
        ...


ALL = slice(0, None)
"""Every frame of a batch is a target."""


class Localizer(Protocol):
    """Frames in, localizations out. Keeps no memory of earlier batches."""

    @property
    def name(self) -> str:
        """Name as in the settings, with what matters of its parameters."""
        ...

    @property
    def context_frames(self) -> int:
        """How many frames before and after a frame it looks at: 0 for a fit, at most 1."""
        ...

    @property
    def uses_all_cores(self) -> bool:
        """True if one instance keeps all cores busy by itself, so that a second gains nothing."""
        ...

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile or load whatever the first batch of this frame shape would have to wait for."""
        ...

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the localizations of the target frames of a batch, ordered by frame.

        The rows of a frame depend on that frame and its `context_frames` neighbours alone, not
        on how frames are batched. Frames that are no targets are there as neighbours; one
        whose number does not follow is none.

        Raises
        ------
        LocalizerError
            If the batch cannot be localized.
        """
        ...


class Sink(Protocol):
    """Where localizations go: a file, a socket, an image."""

    def put(self, localizations: Localizations) -> None:
        """Take the rows of one batch.

        Raises
        ------
        SinkError
            If they cannot be written.
        """
        ...

    def close(self) -> None:
        """Finish and release. Twice is fine."""
        ...
