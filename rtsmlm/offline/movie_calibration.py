"""MovieCalibration: what turns the frames of a movie into light, found before it is localized.

Wrong pixels come first, since all that is measured afterwards is measured on mended frames.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.files.camera_maps import names_assumed, resolve_calibration, what_was_assumed
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.wrong_pixels import read_wrong_pixels, with_wrong_pixels
from rtsmlm.fitting.camera_estimate import LEAST_FRAMES, estimate_camera
from rtsmlm.fitting.first_frames import (
    counted_remarks,
    remark_on_dark_value,
    remark_on_width,
    remarks_on_pixels,
)
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.fitting.noise_floor import measured_read_noise_e
from rtsmlm.fitting.photon_transfer import Transfer, photon_transfer, steady_samples
from rtsmlm.fitting.psf_meter import PSF_FRAMES, PsfMeter, PsfWidth, is_measured
from rtsmlm.fitting.saturation import plateau_adu
from rtsmlm.fitting.wrong_pixels import WrongPixels, find_wrong_pixels, segments_of
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.settings.camera import CameraSettings
from rtsmlm.settings.resolve import resolve, what_was_overruled
from rtsmlm.settings.run import RunSettings


class _Look:
    """Reads segments of a movie once, for all that is found in them.

    Parameters
    ----------
    movie
        The movie.
    """

    def __init__(self, movie: Movie) -> None:
        self._movie = movie
        self._samples: list[F32] = []
        self._segments = segments_of(movie.n_frames, movie.shape)

    @property
    def is_long_enough(self) -> bool:
        """Whether there are enough frames for gain and dark value."""
        return sum(map(len, self._segments)) >= LEAST_FRAMES

    def frames(self, masked: NDArray[np.bool_] | None) -> Iterator[Pixels]:
        """Yield the segments, and keep samples of those of their pixels that are not masked."""
        none = np.zeros(self._movie.shape, dtype=np.bool_) if masked is None else masked
        for part in self._segments:
            pixels = self._movie.read(np.arange(part.start, part.stop))
            ceiling = plateau_adu(pixels.max(axis=0)) or math.inf
            self._samples.append(steady_samples(pixels, none, ceiling))
            yield pixels

    def transfer(self) -> Transfer | None:
        """Return what was read says of the camera."""
        return photon_transfer(self._samples) if self.is_long_enough else None


def mask_wrong_pixels(
    movie: Movie, camera: CameraSettings, calibration: CameraCalibration
) -> tuple[CameraCalibration, WrongPixels]:
    """Return the calibration with wrong pixels masked; the movie gives mended frames from now on.

    Parameters
    ----------
    movie
        The movie; segments of it are read where the pixels are to be found.
    camera
        Settings of the camera, of which `wrong_pixels` counts.
    calibration
        With the pixels masked that its maps state.

    Raises
    ------
    CalibrationError
        If the file of `camera.wrong_pixels` does not fit.
    FileFormatError
        If frames cannot be read.
    """
    return _masked(_Look(movie), movie, camera, calibration)


def _masked(
    look: _Look, movie: Movie, camera: CameraSettings, calibration: CameraCalibration
) -> tuple[CameraCalibration, WrongPixels]:
    calibration = with_wrong_pixels(calibration, camera, movie.shape)
    found = WrongPixels(np.zeros(movie.shape, dtype=np.uint8))
    frames = look.frames(calibration.masked)
    if camera.wrong_pixels == "auto":
        wrong = find_wrong_pixels(frames, calibration)
        if wrong.kind.size:
            found = wrong
            calibration = calibration.with_masked(found.masked)
    elif isinstance(path := camera.wrong_pixels, Path):
        kind = read_wrong_pixels(path, movie.shape)
        text = f"{np.count_nonzero(kind)} pixels are masked, as {path} says"
        found = WrongPixels(kind, text)
    deque(frames, maxlen=0)  # where no pixel was looked for
    movie.mend = PixelMender(calibration)
    return calibration, found


class MovieCalibration:
    """The calibration of a movie, the settings with it, and what is to be said of both.

    Parameters
    ----------
    movie
        The movie.
    settings
        Settings of the run; what they leave open is taken from the metadata of the movie.

    Raises
    ------
    CalibrationError
        If the camera calibration does not fit the movie.
    FileFormatError
        If frames cannot be read.
    """

    def __init__(self, movie: Movie, settings: RunSettings) -> None:
        self._movie = movie
        camera = settings.camera
        calibration = resolve_calibration(camera, movie.stated)
        calibration.check_frame_shape(movie.shape)
        settings.channels.check_frame_shape(movie.shape)
        self.notes = list(calibration.notes)
        """One sentence each."""
        if overruled := what_was_overruled(camera, movie.stated):
            self.notes.append("; ".join(overruled))
        look = _Look(movie)
        self.calibration, wrong = _masked(look, movie, camera, calibration)
        self.wrong_pixels: NDArray[np.uint8] = wrong.kind
        """What is wrong with each pixel, as in `WrongPixels`."""
        if wrong.note:
            self.notes.append(wrong.note)
        first = self._first_frames(PSF_FRAMES[0])
        settings = self._with_estimate(settings, look)
        camera = settings.camera
        self._assumed = assumed = names_assumed(camera, movie.stated)
        self.early = counted_remarks(first)
        """Those of the notes that counts over all frames take the place of."""
        self.notes += remarks_on_pixels(first, self.calibration, assumed)
        # With another dark value than that of the camera, light is taken for noise.
        self._is_dark_value = not remark_on_dark_value(first, self.calibration, assumed)
        if "read_noise_e" in assumed and self._is_dark_value:
            settings = self._with_measured_noise(settings, first)
        if phrases := what_was_assumed(camera, movie.stated):
            self.notes.append("not specified; assumed: " + "; ".join(phrases))
        self.settings = resolve(settings, calibration=self.calibration)
        """With the values of the calibration written out."""

    def _with_estimate(self, settings: RunSettings, look: _Look) -> RunSettings:
        """Return the settings with gain and dark value of the frames, where nothing states them."""
        camera = settings.camera
        assumed = names_assumed(camera, self._movie.stated)
        found = estimate_camera(
            look.transfer(), self.calibration, assumed, is_wanted=camera.estimate
        )
        self.doubt = found.doubt
        """What the frames say against the calibration in force, one sentence, or nothing."""
        if text := found.note or found.doubt:
            self.notes.append(text)
        if not look.is_long_enough and {"offset_adu", "e_per_adu"} & set(assumed):
            self.notes.append(
                f"{self._movie.n_frames} frames are too few to tell the gain and the dark value "
                f"by their noise, which takes {LEAST_FRAMES}"
            )
        if not found.values:
            return settings
        return self._with_values(settings, found.values)

    def _with_values(self, settings: RunSettings, values: dict[str, float]) -> RunSettings:
        """Return the settings with what was measured, and take it into the calibration."""
        settings = resolve(settings, measured=values)
        calibration = resolve_calibration(settings.camera, self._movie.stated)
        self.calibration = replace(calibration, masked=self.calibration.masked)
        return settings

    def _with_measured_noise(self, settings: RunSettings, pixels: Pixels) -> RunSettings:
        """Return the settings with the read noise of the first frames, where it is far from small.

        A network that expects less noise than there is takes noise for emitters.
        """
        read_noise_e = round(measured_read_noise_e(self.calibration, pixels), 1)
        if not read_noise_e:
            return settings
        self.notes.append(
            f"the frames scatter more than their light explains: a read noise of {read_noise_e} "
            "electrons (camera.read_noise_e) was measured on them; run rtsmlm calibrate camera"
        )
        return self._with_values(settings, {"read_noise_e": read_noise_e})

    def psf(self) -> PsfWidth:
        """Return the PSF: as set, or as as many first frames as it takes show it."""
        psf = self.settings.psf
        meter = PsfMeter(self.calibration, most_frames=self._movie.n_frames, psf=psf)
        if not is_measured(self.settings):
            return meter.without_frames()
        width = None
        while width is None:
            width = meter.measure(self._first_frames(meter.n_wanted))
        remark = width.note
        if not remark and self._is_dark_value and not meter.is_width_stated:
            remark = remark_on_width(width.sigma_nm, self.calibration, self._assumed)
        self.notes += [text for text in (remark, width.told) if text]
        return width

    def _first_frames(self, n_frames: int) -> Pixels:
        return next(iter(self._movie.batches(min(n_frames, self._movie.n_frames)))).pixels
