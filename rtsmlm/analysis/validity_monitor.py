"""Runs the validity meter beside a run: never blocks it, and never ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.validity import FRAMES_PER_SAMPLE, ValidityMeter
from rtsmlm.analysis.validity_verdict import Finding
from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.trained_psf import trained_spot_px
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.settings.run import RunSettings

_log = logging.getLogger(__name__)
_PAUSE_NS = 150_000_000
_BATCHES = 2
"""Successive batches sampled between two pauses: emitters that stay on carry most information."""
_PAUSE_BEHIND_NS = 400_000_000
"""While frames wait, one sample in this time, which takes some milliseconds: a run that never keeps
up is judged too."""
_PATIENCE_NS = 15_000_000_000
"""Time of sampling after which too few lone spots are a verdict of their own."""


DOUBT = "camera calibration"
"""Name of the finding that gain or dark value are contradicted by the frames."""
_PLAIN = CameraCalibration(offset_adu=0.0, e_per_adu=1.0, read_noise_e=1.0, pixel_nm=100.0)
_SIDE_PX = 96


def _compile(meter: ValidityMeter, sigma_nm: float) -> None:
    """Judge artificial spots, so that the first real ones do not wait for a compiler."""
    place_px = np.array([0.25, 0.75]) * _SIDE_PX
    image = np.full((_SIDE_PX, _SIDE_PX), 20.0, dtype=np.float32)
    photons = np.full(2, 5000.0)
    psf = GaussianPsf(sigma_nm / _PLAIN.pixel_nm)
    psf.render(image, place_px, place_px, np.zeros(2), photons)
    spot = Localizations.from_columns(
        {
            "frame": np.zeros(2, dtype=np.int64),
            "x_nm": place_px * _PLAIN.pixel_nm,
            "y_nm": place_px * _PLAIN.pixel_nm,
            "photons": photons,
            "background": np.full(2, 20.0),
            "std_x_nm": np.ones(2),
            "std_y_nm": np.ones(2),
        }
    )
    meter.update(spot, FrameBatch.from_pixels(np.rint(image)[None].astype(np.uint16)))


class ValidityMonitor:
    """The validity meter of a run, or nothing where `pipeline.validity` is false.

    Nor where a frame has several views: a row is of all of them, the meter looks at one place.

    Parameters
    ----------
    settings
        Settings of the run.
    calibration
        Camera calibration in force.
    sigma_nm
        Standard deviation of the PSF in force.
    warn
        Called once with each finding, one sentence.
    doubt
        What the frames say against the calibration, one sentence: no verdict is good then.
    """

    def __init__(
        self,
        settings: RunSettings,
        calibration: CameraCalibration,
        sigma_nm: float,
        warn: Callable[[str], None],
        doubt: str = "",
    ) -> None:
        self._warn = warn
        self._doubt = Finding(DOUBT, doubt) if doubt else None
        self._reported: set[str] = {DOUBT}  # said when it was found
        self._due = _BATCHES
        self._first_ns: int | None = None
        self._last_ns = -_PAUSE_BEHIND_NS
        self._meter: ValidityMeter | None = None
        if settings.pipeline.validity and not settings.channels.views:
            astigmatism = settings.psf.astigmatism
            curves = None if astigmatism is None else astigmatism.curves()
            spot_px = trained_spot_px(settings.localizer.name)
            self._meter = ValidityMeter(calibration, sigma_nm, curves, spot_px=spot_px)
            try:
                _compile(ValidityMeter(_PLAIN, sigma_nm, curves), sigma_nm)
            except Exception as error:  # whatever it is, the run goes on
                self._give_up(error)

    def add_doubt(self, doubt: str) -> None:
        """Let no verdict be good from now on, for a reason in one sentence that was said."""
        self._doubt = Finding(DOUBT, doubt)

    def sample(self, locs: Localizations, batch: FrameBatch) -> None:
        """Take a sample of a batch and its localizations."""
        if self._meter is None:
            return
        try:
            self._meter.update(locs, batch)
        except Exception as error:  # whatever it is, the run goes on
            self._give_up(error)

    def maybe_sample(
        self, locs: Localizations, batch: FrameBatch, t_ns: int, *, behind: bool = False
    ) -> None:
        """Sample two successive batches from time to time, live, and a few frames while behind.

        Parameters
        ----------
        locs
            What was found in the batch.
        batch
            The frames.
        t_ns
            The time now.
        behind
            Whether other frames wait to be localized.
        """
        if self._first_ns is None:
            self._first_ns = t_ns
        if behind:
            if t_ns - self._last_ns < _PAUSE_BEHIND_NS:
                return
            batch = batch.frames(0, min(FRAMES_PER_SAMPLE, len(batch)))
            locs = locs.take(locs.frame <= batch.index[-1])
        elif not self._due:
            if t_ns - self._last_ns < _PAUSE_NS:
                return
            self._due = _BATCHES
        self._due = max(self._due - 1, 0)
        self._last_ns = t_ns
        self.sample(locs, batch)

    def as_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was sampled so far, for `extend`; nothing where it does not judge."""
        return {} if self._meter is None else self._meter.as_arrays()

    def extend(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take in what another one has sampled of the frames that follow, by `as_arrays`."""
        if self._meter is None or not arrays:
            return
        try:
            self._meter.extend(arrays)
        except Exception as error:  # whatever it is, the run goes on
            self._give_up(error)

    def judge(self, *, final: bool = False) -> dict[str, object]:
        """Return the figures so far, and report each finding once.

        Parameters
        ----------
        final
            Whether the run is over, so that too few spots are no question of patience.
        """
        if self._meter is None:
            return {}
        waited = self._first_ns is not None and self._last_ns - self._first_ns >= _PATIENCE_NS
        try:
            verdict = self._meter.verdict(waited=final or waited)
        except Exception as error:
            self._give_up(error)
            return {}
        if self._doubt is not None:
            verdict = replace(verdict, findings=(self._doubt, *verdict.findings))
        for finding in verdict.findings:
            if finding.name not in self._reported:
                self._reported.add(finding.name)
                self._warn(finding.text)
        return verdict.as_dict()

    def _give_up(self, error: Exception) -> None:
        _log.exception("the validity meter failed")
        self._meter = None
        self._warn(f"the validity meter failed and is off: {type(error).__name__}: {error}")
