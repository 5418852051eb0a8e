"""MovieCalibration: what turns the frames of a movie into light, found before it is localized.

Wrong pixels come first, since all that is measured afterwards is measured on mended frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.files.camera_maps import names_assumed, resolve_calibration, what_was_assumed
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.wrong_pixels import read_wrong_pixels, with_wrong_pixels
from rtsmlm.fitting.first_frames import (
    counted_remarks,
    remark_on_dark_value,
    remark_on_width,
    remarks_on_pixels,
)
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.fitting.noise_floor import measured_read_noise_e
from rtsmlm.fitting.psf_meter import PSF_FRAMES, PsfMeter
from rtsmlm.fitting.wrong_pixels import WrongPixels, find_wrong_pixels, segments_of
from rtsmlm.frames import Pixels
from rtsmlm.settings.camera import CameraSettings
from rtsmlm.settings.resolve import resolve, what_was_overruled
from rtsmlm.settings.run import RunSettings


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
    calibration = with_wrong_pixels(calibration, camera, movie.shape)
    found = WrongPixels(np.zeros(movie.shape, dtype=np.uint8))
    if camera.wrong_pixels == "auto":
        segments = segments_of(movie.n_frames, movie.shape)
        frames = (movie.read(np.arange(part.start, part.stop)) for part in segments)
        if segments:
            found = find_wrong_pixels(frames, calibration)
            calibration = calibration.with_masked(found.masked)
    elif isinstance(path := camera.wrong_pixels, Path):
        kind = read_wrong_pixels(path, movie.shape)
        text = f"{np.count_nonzero(kind)} pixels are masked, as {path} says"
        found = WrongPixels(kind, text)
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
        self.calibration, wrong = mask_wrong_pixels(movie, camera, calibration)
        self.wrong_pixels: NDArray[np.uint8] = wrong.kind
        """What is wrong with each pixel, as in `WrongPixels`."""
        if wrong.note:
            self.notes.append(wrong.note)
        first = self._first_frames(PSF_FRAMES[0])
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
        settings = resolve(settings, read_noise_e=read_noise_e)
        calibration = resolve_calibration(settings.camera, self._movie.stated)
        if self.calibration.masked is not None:
            calibration = calibration.with_masked(self.calibration.masked)
        self.calibration = calibration
        return settings

    def sigma_nm(self) -> float:
        """Return the PSF width: the one set, or measured on as many first frames as it takes."""
        known_nm = self.settings.psf.known_sigma_nm
        if known_nm is not None:
            return known_nm
        meter = PsfMeter(self.calibration, most_frames=self._movie.n_frames)
        width = None
        while width is None:
            width = meter.measure(self._first_frames(meter.n_wanted))
        remark = width.note
        if not remark and self._is_dark_value:
            remark = remark_on_width(width.sigma_nm, self.calibration, self._assumed)
        if remark:
            self.notes.append(remark)
        return width.sigma_nm

    def _first_frames(self, n_frames: int) -> Pixels:
        return next(iter(self._movie.batches(min(n_frames, self._movie.n_frames)))).pixels
