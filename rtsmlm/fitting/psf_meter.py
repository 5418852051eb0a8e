"""PsfMeter: the PSF width for a run, measured on its first frames; live and offline alike."""

from __future__ import annotations

from dataclasses import dataclass

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.psf_width import estimate_sigma_px
from rtsmlm.frames import Pixels

PSF_FRAMES = (32, 64, 128, 256, 512)
"""Frames on which `psf.sigma_nm = "auto"` measures the width; more if few show too little."""

ASSUMED_SIGMA_PX = 1.3
"""PSF width where it can be neither measured nor asked for: that of a well-sampled setup."""


@dataclass(frozen=True, slots=True)
class PsfWidth:
    """The PSF width to localize with."""

    sigma_nm: float
    """Standard deviation of the Gaussian PSF in the sample plane."""
    note: str = ""
    """One sentence if it could not be measured and is assumed."""


class PsfMeter:
    """Measures the width on the first frames, and on twice as many while they show too little.

    Parameters
    ----------
    calibration
        Calibration of the camera.
    most_frames
        The caller can never give more at once.
    """

    def __init__(self, calibration: CameraCalibration, *, most_frames: int) -> None:
        self._calibration = calibration
        self._most_frames = max(most_frames, 1)
        self._steps = iter(PSF_FRAMES)
        self._n_frames = next(self._steps)

    @property
    def n_wanted(self) -> int:
        """Number of first frames that `measure` wants next."""
        return min(self._n_frames, self._most_frames)

    def use(self, calibration: CameraCalibration) -> None:
        """Measure with another calibration from now on."""
        self._calibration = calibration

    def measure(self, pixels: Pixels, *, are_all: bool = False) -> PsfWidth | None:
        """Return the width, or None if more frames are wanted first.

        Parameters
        ----------
        pixels
            The first `n_wanted` frames, uint16 ADU, shape (n, height, width).
        are_all
            There will be no more frames: where these show too little, a width is assumed.
        """
        try:
            sigma_px = estimate_sigma_px(self._calibration.to_photons(pixels))
        except LocalizerError as error:
            more = next(self._steps, None)
            if more is not None and not are_all and self._n_frames < self._most_frames:
                self._n_frames = more
                return None
            sigma_nm = ASSUMED_SIGMA_PX * self._calibration.pixel_nm
            return PsfWidth(
                sigma_nm, f"{error}; {sigma_nm:.0f} nm is assumed, set psf.sigma_nm to be sure"
            )
        return PsfWidth(float(sigma_px) * self._calibration.pixel_nm)
