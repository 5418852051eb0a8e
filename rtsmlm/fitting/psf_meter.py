"""PsfMeter: the PSF for a run, measured on its first frames; live and offline alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.psf_refinement import UNCHANGED, Refined, refine_curves, refine_round
from rtsmlm.fitting.psf_width import estimate_sigma_px
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.settings.psf import PsfSettings
from rtsmlm.settings.run import RunSettings

PSF_FRAMES = (32, 64, 128, 256, 512)
"""Frames on which `psf.sigma_nm = "auto"` measures the width; more if few show too little."""

ASSUMED_SIGMA_PX = 1.3
"""PSF width where it can be neither measured nor asked for: that of a well-sampled setup."""


def is_measured(settings: RunSettings) -> bool:
    """Whether the PSF of a run is measured on its first frames, or compared with them."""
    if settings.psf.known_sigma_nm is None:
        return True
    # Views of several dyes in a frame have a PSF each.
    one_view = settings.channels.layout() is None and settings.localizer.colour is None
    return settings.psf.refine and one_view


@dataclass(frozen=True, slots=True)
class PsfWidth:
    """The PSF to localize with."""

    sigma_nm: float
    """Standard deviation of the Gaussian PSF in the sample plane."""
    note: str = ""
    """One sentence if it could not be measured and is assumed."""
    values: Mapping[str, float] = field(default_factory=dict)
    """What else is changed: see `PsfSettings.with_measured`."""
    told: str = ""
    """One sentence on what is changed, or what the frames contradict."""


class PsfMeter:
    """Measures the PSF on the first frames, and on twice as many while they show too little.

    Parameters
    ----------
    calibration
        Calibration of the camera.
    most_frames
        The caller can never give more at once.
    psf
        What is stated: it is changed where it is off for sure. By default nothing is stated, and
        the width alone is measured.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        *,
        most_frames: int,
        psf: PsfSettings = PsfSettings(refine=False),  # noqa: B008 (frozen)
    ) -> None:
        self._calibration, self._psf = calibration, psf
        self._most_frames = max(most_frames, 1)
        self._steps = iter(PSF_FRAMES)
        self._n_frames = next(self._steps)

    @property
    def n_wanted(self) -> int:
        """Number of first frames that `measure` wants next."""
        return min(self._n_frames, self._most_frames)

    @property
    def is_width_stated(self) -> bool:
        """Whether there is a width before the frames are seen."""
        return self._psf.known_sigma_nm is not None

    def use(self, calibration: CameraCalibration) -> None:
        """Measure with another calibration from now on."""
        self._calibration = calibration

    def without_frames(self, why: str = "") -> PsfWidth:
        """Return the PSF to take where nothing can be measured, with the reason."""
        if (known_nm := self._psf.known_sigma_nm) is not None:
            return PsfWidth(known_nm)
        return PsfWidth(ASSUMED_SIGMA_PX * self._calibration.pixel_nm, why)

    def measure(self, pixels: Pixels, *, are_all: bool = False) -> PsfWidth | None:
        """Return the PSF, or None if more frames are wanted first.

        Parameters
        ----------
        pixels
            The first `n_wanted` frames, uint16 ADU, shape (n, height, width).
        are_all
            There will be no more frames: where these show too little, a width is assumed, or that
            which is stated stays.
        """
        photons = self._calibration.to_photons(pixels)
        known_nm, pixel_nm = self._psf.known_sigma_nm, self._calibration.pixel_nm
        if self._psf.astigmatism is not None:
            found, sigma_nm = refine_curves(photons, self._calibration, self._psf), known_nm
        else:
            try:
                sigma_px = float(estimate_sigma_px(photons))
            except LocalizerError as error:
                if self._has_more(are_all=are_all):
                    return None
                assumed = self.without_frames()
                why = f"{error}; {assumed.sigma_nm:.0f} nm is assumed, set psf.sigma_nm to be sure"
                return self.without_frames(why)
            found = self._refined(photons, sigma_px)
            sigma_nm = sigma_px * pixel_nm if known_nm is None else known_nm
        if found is None and known_nm is not None and self._has_more(are_all=are_all):
            return None
        found = found or UNCHANGED
        width_nm = found.sigma_nm or sigma_nm
        assert width_nm is not None  # noqa: S101 (curves have one)
        return PsfWidth(width_nm, values=found.values, told=found.told)

    def _refined(self, photons: F32, sigma_px: float) -> Refined | None:
        if not self._psf.refine or self._psf.table is not None:
            return UNCHANGED
        return refine_round(photons, self._calibration, self._psf, sigma_px)

    def _has_more(self, *, are_all: bool) -> bool:
        """Take the next larger number of frames; False where there are no more."""
        more = next(self._steps, None)
        if more is None or are_all or self._n_frames >= self._most_frames:
            return False
        self._n_frames = more
        return True
