"""A sample of a movie that a network learns from: stretches of successive frames of one region."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import ConfigError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.movies.several import open_movies
from rtsmlm.fitting.psf_meter import PSF_FRAMES, PsfMeter
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.models.inputs import BLOCK_PX
from rtsmlm.offline.movie_calibration import mask_wrong_pixels
from rtsmlm.settings.run import RunSettings

STRETCHES, STRETCH = 10, 24
"""So many stretches of so many successive frames, evenly over the movie."""
LEAST_FRAMES = 24
SIDE_PX = 192
"""Largest side of the region; what lies beside it has the same PSF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSample:
    """Frames, the calibration of their camera, and the PSF width that is known of them."""

    batches: tuple[FrameBatch, ...]
    calibration: CameraCalibration
    sigma_nm: float
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the region."""
        return self.batches[0].shape


def sample_movie(path: Path, settings: RunSettings) -> FrameSample:
    """Return a sample of a movie.

    Parameters
    ----------
    path
        The movie.
    settings
        Camera and PSF; what they leave open is taken from the movie, and a PSF width that is not
        stated is measured on its first frames.

    Raises
    ------
    ConfigError
        If the movie is too short or its frames are too small.
    FileFormatError
        If it cannot be read.
    CalibrationError
        If the camera calibration does not fit it.
    """
    with open_movies([path], settings.movie) as movie:
        calibration = resolve_calibration(settings.camera, movie.stated)
        calibration.check_frame_shape(movie.shape)
        if movie.n_frames < LEAST_FRAMES:
            raise ConfigError(
                f"{path} has {movie.n_frames} frames; a network learns from {LEAST_FRAMES} or more"
            )
        if min(movie.shape) < 2 * BLOCK_PX:
            raise ConfigError(
                f"the frames of {path} are {movie.shape[1]} x {movie.shape[0]} pixels; a network "
                f"learns from {2 * BLOCK_PX} x {2 * BLOCK_PX} or more"
            )
        calibration, wrong = mask_wrong_pixels(movie, settings.camera, calibration)
        first = next(iter(movie.batches(min(PSF_FRAMES[0], movie.n_frames)))).pixels
        sigma_nm = settings.psf.known_sigma_nm
        if sigma_nm is None:
            meter = PsfMeter(calibration, most_frames=movie.n_frames)
            width = None
            while width is None:
                width = meter.measure(
                    next(iter(movie.batches(min(meter.n_wanted, movie.n_frames)))).pixels
                )
            sigma_nm = width.sigma_nm
        y, x, height, width_px = _brightest(first)
        # Stretches do not overlap: some are held out.
        n_stretches = min(STRETCHES, movie.n_frames // STRETCH)
        starts = np.linspace(0, movie.n_frames - STRETCH, n_stretches).astype(np.int64)
        batches = tuple(
            FrameBatch.from_pixels(
                np.ascontiguousarray(
                    movie.read(np.arange(start, start + STRETCH))[
                        :, y : y + height, x : x + width_px
                    ]
                ),
                index=np.arange(start, start + STRETCH),
            )
            for start in starts.tolist()
        )
    return FrameSample(
        batches=batches,
        calibration=calibration.cropped(x, y, width_px, height),
        sigma_nm=sigma_nm,
        notes=(*calibration.notes, wrong.note) if wrong.note else calibration.notes,
    )


def _brightest(pixels: Pixels) -> tuple[int, int, int, int]:
    """Return row, column, height and width of the region whose pixels scatter most.

    Its sides are multiples of the blocks in which networks count the light.
    """
    height, width = (min(SIDE_PX, side // BLOCK_PX * BLOCK_PX) for side in pixels.shape[1:])
    spread = pixels.std(axis=0, dtype=np.float32)
    best, place = -1.0, (0, 0)
    for y in _corners(pixels.shape[1], height):
        for x in _corners(pixels.shape[2], width):
            value = float(spread[y : y + height, x : x + width].mean())
            if value > best:
                best, place = value, (y, x)
    return (*place, height, width)


def _corners(whole: int, part: int) -> list[int]:
    """Return where regions begin along one axis, the last one at the end."""
    return sorted({*range(0, whole - part + 1, part), whole - part})
