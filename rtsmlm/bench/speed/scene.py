"""The movie on which speed is measured, kept in memory, and the camera that shows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.accuracy.scenes import BEYOND_PX, PIXEL_NM, Emitters, Scene, curves_of, expose
from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import ConfigError
from rtsmlm.frames import CameraFrame, FrameBatch, Pixels
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf
from rtsmlm.realtime.clock import now_ns

SIGMA_PX, PHOTONS, BACKGROUND = 1.3, 2000.0, 20.0
HALF_RANGE_NM = 400.0
"""Depths of emitters with an astigmatic PSF."""
MOST_FRAMES, LEAST_FRAMES = 200, 8
MOVIE_MB = 64.0
"""Large frames are fewer: what is drawn once must be quick to draw."""
CHUNK_FRAMES = 8
SMALLEST_PX, LARGEST_PX = 16, 4096
HIGHEST_DENSITY_UM2 = 20.0

_SPIN_NS = 100_000
_SPIN_SHARE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieKind:
    """What movie to draw."""

    size_px: int = 256
    """Height and width of a frame."""
    density_um2: float = 0.1
    """Emitters per square micrometre and frame, at pixels of 100 nm."""
    astigmatic: bool = False

    def check(self) -> None:
        """Raise `ConfigError` if no such movie is drawn."""
        if not SMALLEST_PX <= self.size_px <= LARGEST_PX:
            raise ConfigError(
                f"frames of {self.size_px} x {self.size_px} pixels are not measured; choose a "
                f"size from {SMALLEST_PX} to {LARGEST_PX}"
            )
        if not 0 < self.density_um2 <= HIGHEST_DENSITY_UM2:
            raise ConfigError(
                f"a density of {self.density_um2:g} emitters per um2 is not measured; choose "
                f"one above 0 and up to {HIGHEST_DENSITY_UM2:g}"
            )

    @property
    def n_frames(self) -> int:
        """Number of different frames that are kept in memory."""
        fit = int(MOVIE_MB * 2**20 / (2 * self.size_px**2))
        return int(np.clip(fit, LEAST_FRAMES, MOST_FRAMES))


def speed_scene(
    kind: MovieKind,
    seed: int = 0,
    on_frames: Callable[[int, int], None] = lambda done, total: None,
    index: NDArray[np.int64] | None = None,
) -> Scene:
    """Draw a movie, emitters in no order.

    Parameters
    ----------
    kind
        Size, density and PSF.
    seed
        Of emitters and noise.
    on_frames
        Called with the frames drawn and to draw.
    index
        Number of each frame, ascending, (n,); by default `kind.n_frames` consecutive ones.

    Raises
    ------
    ConfigError
        If size or density are out of their limits.
    """
    kind.check()
    rng = np.random.default_rng(seed)
    astigmatic = AstigmaticPsf(pixel_nm=PIXEL_NM)
    psf: Psf = astigmatic if kind.astigmatic else GaussianPsf(SIGMA_PX)
    if index is None:
        index = np.arange(kind.n_frames)
    emitters = _emitters(kind, index, rng)
    shape = kind.size_px, kind.size_px
    pixels = np.empty((len(index), *shape), dtype=np.uint16)
    for start in range(0, len(index), CHUNK_FRAMES):
        part = slice(start, start + CHUNK_FRAMES)
        drawn, calibration = expose(emitters, psf, BACKGROUND, index[part], shape, rng)
        pixels[part] = drawn.pixels
        on_frames(min(start + CHUNK_FRAMES, len(index)), len(index))
    curves = curves_of(astigmatic) if kind.astigmatic else None
    return Scene(
        batch=FrameBatch.from_pixels(pixels, index=index),
        truth=emitters.table(),
        calibration=calibration,
        sigma_nm=SIGMA_PX * PIXEL_NM if curves is None else curves.mean_nm(),
        curves=curves,
    )


def _emitters(kind: MovieKind, index: NDArray[np.int64], rng: np.random.Generator) -> Emitters:
    low, high = -0.5 - BEYOND_PX, kind.size_px - 0.5 + BEYOND_PX
    mean = kind.density_um2 * ((high - low) * PIXEL_NM / 1000.0) ** 2
    frame = np.repeat(index, rng.poisson(mean, len(index)))
    n = len(frame)
    x, y = rng.uniform(low, high, (2, n))
    half_range_nm = HALF_RANGE_NM if kind.astigmatic else 0.0
    return Emitters(
        frame=frame,
        x_px=x,
        y_px=y,
        z_nm=rng.uniform(-half_range_nm, half_range_nm, n),
        photons=np.full(n, PHOTONS),
    )


class MovieCamera:
    """A camera that shows a movie again and again, at a rate or as fast as it is taken.

    Frames come by an absolute schedule and carry the time at which they were due: a camera
    does not slow down because a frame was fetched late, and the delay counts.

    Parameters
    ----------
    movie
        uint16 ADU, shape (n, height, width).
    frames_per_s
        None for as fast as they are taken.
    stated
        What the camera states of its calibration.
    """

    name = "movie in memory"
    core = None

    def __init__(
        self,
        movie: Pixels,
        frames_per_s: float | None,
        stated: StatedCalibration | None = None,
    ) -> None:
        self.shape: tuple[int, int] = movie.shape[1], movie.shape[2]
        self.stated = stated or StatedCalibration()
        self._movie = movie
        self._period_ns = 0.0 if frames_per_s is None else 1e9 / frames_per_s
        self.exposure_ms = self._period_ns / 1e6
        self._n_delivered = 0
        self._first_ns = self._last_ns = 0

    @property
    def delivered_per_s(self) -> float:
        """Mean rate of the frames so far; NaN before the second."""
        if self._n_delivered < 2:
            return float("nan")
        return (self._n_delivered - 1) / (self._last_ns - self._first_ns) * 1e9

    def describe(self) -> Mapping[str, str]:
        """Return what it is."""
        return {"device": self.name}

    def stream(self, stop: threading.Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        """Yield frames numbered from 0 until `stop` is set or `n_frames` have come."""
        start_ns = now_ns()
        # A wait ends late by some 0.1 ms, so its end is spun; at most a tenth of a core.
        spin_ns = min(_SPIN_NS, self._period_ns / _SPIN_SHARE)
        k = 0
        while not stop.is_set() and (n_frames is None or k < n_frames):
            due_ns = start_ns + round(k * self._period_ns) if self._period_ns else now_ns()
            early_ns = due_ns - now_ns() - spin_ns
            if early_ns > 0 and stop.wait(early_ns / 1e9):
                return
            while now_ns() < due_ns:
                pass
            self._last_ns = now_ns()
            self._first_ns = self._first_ns or self._last_ns
            self._n_delivered = k + 1
            yield CameraFrame(self._movie[k % len(self._movie)], k, due_ns)
            k += 1

    def close(self) -> None:
        """Do nothing; the movie belongs to the caller."""
