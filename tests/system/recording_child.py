"""A run without an end, to be killed: frames that carry their number, at a steady rate.

Called with the folder of the run, height, width and frames per second.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtsmlm.calibration import StatedCalibration
from rtsmlm.frames import CameraFrame
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load


class SteadyCamera:
    """Three spots on noise in every frame; the first pixel is the number of the frame."""

    name = "SteadyCamera"
    core = None

    def __init__(self, shape: tuple[int, int], per_s: float) -> None:
        self.shape, self._period_s = shape, 1 / per_s
        self.exposure_ms = 1000 / per_s
        self.stated = StatedCalibration(
            pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, em_gain=1.0, read_noise_e=1.0
        )
        rng = np.random.default_rng(1)
        y, x = np.mgrid[: shape[0], : shape[1]]
        mean = np.full(shape, 110.0)
        for cy, cx in ((20, 20), (20, 45), (45, 30)):
            mean += 400 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.3**2))
        self._pixels = rng.poisson(mean).astype(np.uint16)

    def describe(self) -> dict[str, str]:
        return {"device": self.name}

    def stream(self, stop: threading.Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        start_s, k = time.perf_counter(), 0
        while not stop.wait(max(0.0, start_s + k * self._period_s - time.perf_counter())):
            pixels = self._pixels.copy()
            pixels[0, 0] = k
            yield CameraFrame(pixels, k, time.perf_counter_ns())
            k += 1

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    out, height, width, per_s = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    settings = load(
        None,
        [
            f"results.out={out.parent.as_posix()}", f"results.name={out.name}",
            "psf.sigma_nm=130", "localizer.name=gaussian-mle", "stream.enabled=false",
            "record.reserve_mb=10", "pipeline.ring_mb=64",
        ],
    )  # fmt: skip
    with Session(SteadyCamera((height, width), per_s), settings) as session:
        session.wait()


if __name__ == "__main__":
    main()
