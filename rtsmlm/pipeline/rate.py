"""How many frames a second a localizer does here, measured on simulated frames before the run."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.ring import FrameRing

MEASURED_S = 0.3
"""For so long frames are localized."""
MARGIN = 1.5
"""A localizer keeps up if it does so many times the frames of the camera. Alone it does 1.25 to 1.4
times what a run does from ring to table, and beside that frames are taken and recorded."""
DENSITY_PER_UM2 = 0.1
PHOTONS = 1000.0
BACKGROUND = 20.0
"""Of the simulated frames: emitters, mean of their detected photons, and background per pixel."""
_FILAMENTS = 8
_SPREAD_PX = 0.3
"""Emitters lie along lines, so many in a patch, and so far beside them: as in a cell they crowd
there, and that is what takes time."""
_PATCH_PX = 256
"""Frames are put together of patches of this side: simulating larger ones takes long."""
_MOST_BYTES = 64 << 20
_ADU = (0, np.iinfo(np.uint16).max)


def simulated_frames(
    shape: tuple[int, int], calibration: CameraCalibration, sigma_nm: float, n_frames: int
) -> FrameBatch:
    """Return frames as those of a run, always the same ones, in the memory of a ring.

    Parameters
    ----------
    shape
        Height and width in pixels.
    calibration
        Calibration in force.
    sigma_nm
        Standard deviation of the PSF.
    n_frames
        How many; fewer where they would take much memory, one at least.
    """
    n_frames = max(min(n_frames, _MOST_BYTES // (2 * shape[0] * shape[1])), 1)
    rng = np.random.default_rng(0)
    side = min(shape[0], _PATCH_PX), min(shape[1], _PATCH_PX)
    pixel_um = calibration.pixel_nm / 1000
    mean = DENSITY_PER_UM2 * side[0] * side[1] * pixel_um**2
    gain = np.asarray(calibration.e_per_adu, dtype=np.float32) / np.float32(calibration.em_gain)
    ring = FrameRing.create(shape, n_frames, shared=False)
    ends = rng.uniform(-0.5, 0.5, (_FILAMENTS, 2, 2)) * side + np.array(side) / 2
    for index in range(n_frames):
        n = max(int(rng.poisson(mean)), 1)
        y, x = _on_filaments(rng, ends, n)
        sigma_px = sigma_nm / calibration.pixel_nm
        light = render_spots(side, x, y, rng.exponential(PHOTONS, n), sigma_px, BACKGROUND)
        times = -(-shape[0] // side[0]), -(-shape[1] // side[1])
        patch = np.tile(rng.poisson(light).astype(np.float32), times)
        adu = np.rint(patch[: shape[0], : shape[1]] / gain + calibration.offset_adu)
        # Numbers before that of the first frame of the run: none of them is taken for its frames.
        number = index - n_frames
        ring.push(CameraFrame(np.clip(adu, *_ADU).astype(np.uint16), number, 0))
    batch = ring.peek(n_frames)
    if batch is None:
        raise AssertionError("unreachable")
    return batch


def _on_filaments(
    rng: np.random.Generator, ends: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """Return rows and columns of emitters, shape (2, n); ends are of shape (filaments, 2, 2)."""
    first, last = ends[rng.integers(len(ends), size=n)].transpose(1, 2, 0)
    along, beside = rng.uniform(size=n), rng.normal(0.0, _SPREAD_PX, (2, n))
    places: NDArray[np.float64] = first + along * (last - first) + beside
    return places


def measure_rate(
    localizer: Localizer,
    batch: FrameBatch,
    *,
    seconds: float = MEASURED_S,
    clock: Callable[[], int] = now_ns,
) -> float:
    """Return frames localized per second when there is a backlog.

    Parameters
    ----------
    localizer
        Compiled for frames of this shape.
    batch
        As many frames as a run hands over at once.
    seconds
        Measured for so long, and at least over one batch. The median of the batches counts: what
        else the machine does at the start of a run takes some of them longer.
    clock
        Time in ns.
    """
    durations_ns: list[int] = []
    while not durations_ns or sum(durations_ns) < seconds * 1e9:
        start_ns = clock()
        localizer(batch)
        durations_ns.append(max(clock() - start_ns, 1))
    return len(batch) / (median(durations_ns) / 1e9)


def keeps_up(frames_per_s: float, camera_frames_per_s: float) -> bool:
    """Tell whether a rate that was measured alone will do beside everything else in a run.

    Parameters
    ----------
    frames_per_s
        As `measure_rate` returns it.
    camera_frames_per_s
        Of the camera; NaN where it is not known.
    """
    return not frames_per_s < MARGIN * camera_frames_per_s
