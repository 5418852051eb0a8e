"""A camera that Micro-Manager does not know, for rtsmlm.

`Handle` stands for the library of the maker: replace it by calls to yours. The rest is the
adapter, a plain class with the shape of `rtsmlm.protocols.Camera`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from threading import Event

import numpy as np

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import CameraStalledError, DeviceError
from rtsmlm.frames import CameraFrame, Pixels
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings import RunSettings


class Handle:
    """The maker's library: here eight spots that blink on a dark field."""

    shape = (64, 64)

    def __init__(self, exposure_ms: float) -> None:
        self.exposure_ms = exposure_ms
        self.running = False
        self._due_s = time.monotonic()
        self._rng = np.random.default_rng(1)
        self._number = 0
        y, x = np.indices(self.shape)
        places = self._rng.uniform(8, 56, (8, 2))
        self._spots = np.stack(
            [np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.3**2)) for cy, cx in places]
        )

    def start(self) -> None:
        """Begin to expose; frames come at the rate of the exposure."""
        self.running, self._due_s = True, time.monotonic()

    def stop(self) -> None:
        """End the exposures."""
        self.running = False

    def next_image(self, timeout_s: float) -> tuple[int, Pixels] | None:
        """Return number and pixels of the next image; None after the time-out or a stop."""
        if not self.running:
            return None
        self._due_s += self.exposure_ms / 1000
        time.sleep(min(max(self._due_s - time.monotonic(), 0.0), timeout_s))
        on = self._rng.random(8) < 0.3
        photons = 10.0 + 190.0 * np.tensordot(on, self._spots, axes=1)
        self._number += 1
        return self._number - 1, (100 + self._rng.poisson(photons)).astype(np.uint16)


class MyCamera:
    """The adapter: what rtsmlm asks of a camera."""

    name = "my camera"
    core = None  # it belongs to no Micro-Manager core

    def __init__(self, handle: Handle, stall_timeout_s: float) -> None:
        self._handle, self._timeout_s = handle, stall_timeout_s
        self.shape = handle.shape
        self.exposure_ms = handle.exposure_ms
        # What the maker's data sheet states. The settings of a run win over it.
        self.stated = StatedCalibration(offset_adu=100.0, e_per_adu=1.0, read_noise_e=0.5)

    def describe(self) -> Mapping[str, str]:
        """Return what the run folder keeps."""
        return {"camera": self.name, "library": "1.0"}

    def stream(self, stop: Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        """Yield frames until `stop` is set or `n_frames` have come."""
        self._handle.start()
        taken = 0
        try:
            while n_frames is None or taken < n_frames:
                if stop.is_set():
                    self._handle.stop()  # what it has delivered is still taken
                image = self._handle.next_image(self._timeout_s)
                if image is None and stop.is_set():
                    return
                if image is None:
                    raise CameraStalledError(f"{self.name} gave no frame for {self._timeout_s} s")
                number, pixels = image
                yield CameraFrame(pixels, number, now_ns())
                taken += 1
        finally:
            self._handle.stop()

    def close(self) -> None:
        """Release the camera."""


def open_camera(settings: RunSettings) -> MyCamera:
    """Open the camera; named in pyproject.toml under `rtsmlm.camera`."""
    try:
        handle = Handle(settings.acquisition.exposure_ms or 10.0)
    except OSError as error:  # whatever the library raises becomes one sentence
        raise DeviceError(f"my camera did not open: {error}") from error
    return MyCamera(handle, settings.acquisition.stall_timeout_s)
