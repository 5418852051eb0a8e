"""The validity meter: whether the PSF and camera given to a localizer fit its data.

Lone bright emitters of a sample of the frames are fitted once more with the width free; the noise
of patches without emitters is compared with what the camera calibration makes us expect; emitters
that stay on for the next frame give the distance of two localizations of one place; and
places within the pixel must be even. None of this needs a truth, and none depends on what kind of
localizer it was.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rtsmlm.analysis.validity_sample import CHI2_FREE, WIDTH, SpotSampler
from rtsmlm.analysis.validity_verdict import ENOUGH, Finding, Verdict
from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.astigmatism import WidthCurves

SPOTS_PER_SAMPLE = 16
"""A fit with the width free takes some 30 microseconds: half a millisecond per sample."""
FRAMES_PER_SAMPLE = 16
"""Larger batches, as of a recorded movie, are sampled in parts."""
WINDOW = 1000
"""Spots, patches and repetitions that count: the last ones."""
ENOUGH_PATCHES = 60
"""Each gives its noise to 20 %, all together to 3 %."""
ENOUGH_PLACES = 1000
"""Emitters, each counted once however long it is on."""
PHASES = 10
REPEAT_PX = 1.0
"""Lone emitters of two frames that lie nearer are one: others are five PSF widths away."""

MAX_WIDTH_ERROR = 0.07
"""Relative; a PSF width that is off by 7 % costs a fit 1 % of its precision and 5 % of photons."""
MAX_NOISE_ERROR = 0.25
MAX_CHI2 = 1.35
"""Of the free fit, where noise and width are right: light does not lie where the PSF puts it."""
MAX_REPEAT_STD = 1.4
MAX_GRIDDING = 0.25
"""Relative amplitude of places within the pixel."""
GRIDDING_CHI2 = 60.0
"""Of 9 degrees of freedom: less than one even sample in 10^8 scatters so."""
KEEP = 0.8
"""A finding stays until its figure falls below this part of the limit, so that none flickers."""


class ValidityMeter:
    """Watches whether PSF, camera and localizer fit the data.

    Parameters
    ----------
    calibration
        Camera calibration in force.
    sigma_nm
        Standard deviation of the PSF in force.
    curves
        Widths of an astigmatic PSF: their shape is judged by chi² alone.
    spot_px
        Side of the spots of a PSF that the localizer knows and that is none of these: it is not
        judged, as no fit knows it.

    Notes
    -----
    A network sees an emitter's neighbours in time, so that its errors in successive frames have
    something in common: `repeat_std` then comes out lower than with a fit, never higher.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        sigma_nm: float,
        curves: WidthCurves | None = None,
        *,
        spot_px: int | None = None,
    ) -> None:
        self._sampler = SpotSampler(calibration, sigma_nm, curves, spot_px or 0.0)
        self._judges_psf = spot_px is None
        self._pixel_nm = calibration.pixel_nm
        self._sigma_nm = sigma_nm
        self._astigmatic = curves is not None
        self._spots: deque[NDArray[np.float64]] = deque(maxlen=WINDOW)
        self._noise: deque[float] = deque(maxlen=WINDOW)
        self._repeats: deque[float] = deque(maxlen=2 * WINDOW)
        self._places = np.zeros((2, PHASES))
        self._samples = 0
        self._looked_at = 0
        self._previous = self._last = Localizations.empty()
        self._active: frozenset[str] = frozenset()

    def update(self, locs: Localizations, batch: FrameBatch) -> None:
        """Take a sample of a batch and its localizations.

        Parameters
        ----------
        locs
            What was found in the batch.
        batch
            The frames.
        """
        for start in range(0, len(batch), FRAMES_PER_SAMPLE):
            part = batch.frames(start, min(start + FRAMES_PER_SAMPLE, len(batch)))
            inside = (locs.frame >= part.index[0]) & (locs.frame <= part.index[-1])
            self._sample(locs.take(inside), part)

    def as_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was sampled so far, for `extend`."""
        return {
            "spots": np.array(self._spots, dtype=np.float64),
            "noise": np.array(self._noise, dtype=np.float64),
            "repeats": np.array(self._repeats, dtype=np.float64),
            "places": self._places,
            "looked_at": np.array([self._looked_at]),
        }

    def extend(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take in what another meter has sampled of the frames that follow, by `as_arrays`.

        An emitter that stays on between the two counts as two places: one of many hundred frames.
        """
        known = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
        self._spots.extend(known["spots"])
        self._noise.extend(known["noise"].tolist())
        self._repeats.extend(known["repeats"].tolist())
        self._places += known["places"]
        self._looked_at += int(known["looked_at"][0])
        self._previous = self._last = Localizations.empty()

    def _sample(self, locs: Localizations, batch: FrameBatch) -> None:
        self._looked_at += len(locs)
        lone = self._sampler.lone(locs, batch)
        # Evenly over the batch, and the same ones in every run.
        chosen = lone[:: max(1, -(-len(lone) // SPOTS_PER_SAMPLE))]
        if len(chosen) and self._judges_psf:
            self._spots.extend(self._sampler.refit(locs, batch, chosen))
        self._noise.extend(self._sampler.noise(locs, batch, self._samples)[:, 0].tolist())
        # With those of the last frame before, which these may repeat.
        seen = Localizations.concatenate([self._previous, locs.take(lone)])
        self._repeats.extend(self._repetitions(seen))
        self._previous = seen.take(seen.frame == batch.index[-1])
        new = locs.take(self._is_new(locs, int(batch.index[0])))
        self._last = locs.take(locs.frame == batch.index[-1])
        for axis, place_nm in enumerate((new.x_nm, new.y_nm)):
            phase = (place_nm / self._pixel_nm + 0.5) % 1.0
            counts = np.histogram(phase, bins=PHASES, range=(0.0, 1.0))[0]
            self._places[axis] += counts
        if self._places.sum() > 40 * ENOUGH_PLACES:
            self._places *= 0.5
        self._samples += 1

    def _is_new(self, locs: Localizations, first: int) -> NDArray[np.bool_]:
        """Tell which emitters were not in the frame before: one that stays on is one place.

        Before the first frame counts the last one of the sample before.
        """
        near_px = REPEAT_PX
        frames = np.concatenate([np.full(len(self._last), -1), locs.frame - first])
        x_px, y_px = (
            np.concatenate([before, now]) / self._pixel_nm
            for before, now in ((self._last.x_nm, locs.x_nm), (self._last.y_nm, locs.y_nm))
        )
        # Frames lie further apart than emitters that are the same one.
        points = np.column_stack([x_px, y_px, frames * (4.0 * near_px)])
        if not len(points):
            return np.zeros(0, dtype=np.bool_)
        before = points[len(self._last) :] - [0.0, 0.0, 4.0 * near_px]
        distance = cKDTree(points).query(before, distance_upper_bound=near_px)[0]
        return np.asarray(~np.isfinite(distance), dtype=np.bool_)

    def _repetitions(self, lone: Localizations) -> list[float]:
        """Return ways between lone emitters of successive frames, over those stated."""
        found: list[float] = []
        for frame in np.unique(lone.frame):
            here = np.flatnonzero(lone.frame == frame)
            following = np.flatnonzero(lone.frame == frame + 1)
            if not len(following):
                continue
            dx = lone.x_nm[here, None] - lone.x_nm[following]
            dy = lone.y_nm[here, None] - lone.y_nm[following]
            near = np.hypot(dx, dy) < REPEAT_PX * self._pixel_nm
            for i, j in zip(*np.nonzero(near), strict=True):
                a, b = here[i], following[j]
                found.append(float(dx[i, j] / np.hypot(lone.std_x_nm[a], lone.std_x_nm[b])))
                found.append(float(dy[i, j] / np.hypot(lone.std_y_nm[a], lone.std_y_nm[b])))
        return [z for z in found if math.isfinite(z)]

    def verdict(self, *, waited: bool = False) -> Verdict:
        """Return the figures and what they mean.

        Parameters
        ----------
        waited
            Whether there was time enough, so that too few spots are the verdict.
        """
        width, chi2 = float("nan"), float("nan")
        if len(self._spots) >= ENOUGH:
            spots = np.array(self._spots)
            chi2 = float(np.median(spots[:, CHI2_FREE]))
            if not self._astigmatic:
                width = float(np.median(spots[:, WIDTH]))
        noise, repeat = float("nan"), float("nan")
        if len(self._noise) >= ENOUGH_PATCHES:
            noise = float(np.mean(np.sort(self._noise)[: int(0.95 * len(self._noise))])) / 0.96
        if len(self._repeats) >= ENOUGH:
            # From the quartiles: an emitter that was taken for another is no error of this kind.
            low, high = np.percentile(self._repeats, [25, 75])
            repeat = float((high - low) / 1.349)
        gridding = self._gridding()
        findings = [
            *self._width_finding(width),
            *self._noise_finding(noise),
            *self._repeat_finding(repeat),
            *self._gridding_finding(gridding),
        ]
        if self._judges_psf and (not findings or self._astigmatic):
            findings += self._shape_finding(chi2)
        self._active = frozenset(finding.name for finding in findings)
        return Verdict(
            looked_at=self._looked_at,
            waited=waited,
            judges_psf=self._judges_psf,
            spots=len(self._spots),
            width_ratio=width,
            chi2=chi2,
            noise_ratio=noise,
            repeats=len(self._repeats) // 2,
            repeat_std=repeat,
            gridding=gridding,
            findings=tuple(findings),
        )

    def _exceeds(self, name: str, excess: float, limit: float) -> bool:
        return excess > limit * (KEEP if name in self._active else 1.0)

    def _width_finding(self, ratio: float) -> list[Finding]:
        name = "PSF too narrow" if ratio > 1.0 else "PSF too wide"
        if not self._exceeds(name, abs(ratio - 1.0), MAX_WIDTH_ERROR):
            return []
        found_nm = ratio * self._sigma_nm
        more = "more" if ratio > 1.0 else "less"
        return [
            Finding(
                name,
                f"the PSF of the data is {found_nm:.0f} nm wide, {100 * abs(ratio - 1):.0f} % "
                f"{more} than the {self._sigma_nm:.0f} nm in force: refocus, run rtsmlm calibrate "
                f"psf, or set psf.sigma_nm={found_nm:.0f}",
            )
        ]

    def _noise_finding(self, ratio: float) -> list[Finding]:
        name = "camera noise"
        away = max(ratio, 1.0 / ratio) - 1.0 if ratio > 0 else float("nan")
        if not self._exceeds(name, away, MAX_NOISE_ERROR):
            return []
        return [
            Finding(
                name,
                f"the background scatters with {ratio:.2f} times the variance that the camera "
                "calibration makes expect: check camera.offset_adu, camera.e_per_adu and "
                "camera.em_gain, or run rtsmlm calibrate camera",
            )
        ]

    def _repeat_finding(self, std: float) -> list[Finding]:
        name = "errors understated"
        if not self._exceeds(name, std - 1.0, MAX_REPEAT_STD - 1.0):
            return []
        return [
            Finding(
                name,
                f"emitters move {std:.1f} times as far between frames as their stated precision "
                "allows: the sample drifts or the stated errors are too small; fix the stage, or "
                "try another localizer (localizer.name)",
            )
        ]

    def _gridding(self) -> float:
        if self._places.sum() < 2 * ENOUGH_PLACES:
            return float("nan")
        even = self._places.sum(axis=1, keepdims=True) / PHASES
        return float(np.max(np.abs(self._places / even - 1.0)))

    def _gridding_finding(self, amplitude: float) -> list[Finding]:
        name = "gridding"
        if not self._exceeds(name, amplitude, MAX_GRIDDING):
            return []
        even = self._places.sum(axis=1, keepdims=True) / PHASES
        if float((np.square(self._places - even) / even).sum(axis=1).max()) < GRIDDING_CHI2:
            return []
        return [
            Finding(
                name,
                f"places within the pixel are uneven by {100 * amplitude:.0f} %: the localizer "
                "draws emitters to the pixel grid; calibrate the PSF, or try "
                "localizer.name=gaussian-mle",
            )
        ]

    def _shape_finding(self, chi2: float) -> list[Finding]:
        name = "PSF shape"
        if not self._exceeds(name, chi2 - 1.0, MAX_CHI2 - 1.0):
            return []
        return [
            Finding(
                name,
                f"spots do not have the shape of the PSF (chi² {chi2:.2f} per degree of freedom): "
                "check focus, immersion and coverslip correction, and run rtsmlm calibrate psf",
            )
        ]
