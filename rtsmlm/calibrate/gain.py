"""The gain of every pixel by photon transfer, drawn towards the common gain where it is noise.

A variance from n frames is known to sqrt(2 / (n - 1)) of itself, 10 % for 200 frames, while the
gains of an sCMOS chip differ by 1 or 2 %. A map of raw slopes would therefore add more error than
it takes away. Each slope is moved towards the common gain by the share of its own sampling variance
s² in the sum of s² and the true spread t² of the gains (empirical Bayes, normal prior):
``g = g_0 + (g_raw - g_0) t² / (t² + s²)``. t² is what the slopes scatter beyond s²
(the moment estimate of DerSimonian and Laird, Control. Clin. Trials 7, 177 (1986)).
Pixels far outside this law are defects, no members of the family, and keep their own slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibrate.pixel_statistics import F64
from rtsmlm.errors import CalibrationError, number_text
from rtsmlm.localizations import F32

ROUNDS = 4
# Slopes further from the common gain than this many standard deviations are defects.
OUTLIER_STD = 6.0
# A defect may be off by this factor; beyond, its slope has no meaning.
MAX_RATIO = 5.0
FLICKER_NOTE = 0.1
LINEARITY_NOTE = 0.03
RELIABLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What one level of light adds to the dark; maps of shape (height, width)."""

    name: str
    signal_adu: F64
    extra_variance_adu2: F64
    n_frames: int
    flicker: float
    """Relative variance of the light itself."""
    usable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class GainMap:
    """Gain in ADU per electron, EM gain and excess noise taken out."""

    adu_per_e: F32
    """Shape (height, width)."""
    typical: float
    """Gain of the whole camera, from the photon transfer curve."""
    typical_std: float
    """Its standard error by counting statistics; light that is not steady adds to it."""
    spread: float
    """True standard deviation of the gains of pixels, noise taken out."""
    pixel_std: float
    """Median sampling error of the raw slope of one pixel."""
    n_defects: int
    """Pixels whose gain lies outside the family."""
    n_unknown: int
    """Pixels without a usable slope, which take the typical gain."""
    levels: tuple[tuple[float, float], ...]
    """Median signal in ADU and gain by itself, for each level of light."""
    notes: tuple[str, ...]

    @property
    def reliability(self) -> float:
        """Share of its own slope that a typical pixel keeps, 0 to 1."""
        total = self.spread**2 + self.pixel_std**2
        return self.spread**2 / total if total > 0 else 0.0


def fit_gain(
    levels: Sequence[Level], dark_variance_adu2: F64, n_dark: int, multiplied: float
) -> GainMap:
    """Return the gain of each pixel.

    Parameters
    ----------
    levels
        What each level of light adds.
    dark_variance_adu2
        Variance in the dark, shape (height, width).
    n_dark
        Frames in the dark.
    multiplied
        EM gain times its excess noise factor, by which slopes exceed the gain; 1 without.

    Raises
    ------
    CalibrationError
        If the variance does not grow with the light.
    """
    x = np.stack([level.signal_adu for level in levels])
    y = np.stack([_shot_variance(level) for level in levels])
    usable = np.stack([level.usable for level in levels])
    slopes = _slopes(x, y, usable, dark_variance_adu2, n_dark, levels)
    slope, std, family, common = slopes.slope, slopes.std, slopes.family, slopes.common
    spread = _true_spread(slope[family], std[family] ** -2)
    shrunk, defects, unknown = _shrink(slope, std, common, spread)
    per_level = tuple(
        (float(np.median(x[k])), _common_slope(x[k], y[k], slopes.weight[k], ok) / multiplied)
        for k in range(len(levels))
        if (ok := family & usable[k]).any()
    )
    pixel_std = float(np.median(std[family]))
    # Pixels share nothing but the light, and what is common there has been taken out.
    counting = float((std[family] ** -2).sum()) ** -0.5
    typical_std = float(np.hypot(counting, spread / family.sum() ** 0.5))
    return GainMap(
        adu_per_e=(shrunk / multiplied).astype(np.float32),
        typical=common / multiplied,
        typical_std=typical_std / multiplied,
        spread=spread / multiplied,
        pixel_std=pixel_std / multiplied,
        n_defects=int(defects.sum()),
        n_unknown=int(unknown.sum()),
        levels=per_level,
        notes=_notes(levels, per_level, common, spread, pixel_std),
    )


class _Slopes(NamedTuple):
    """Raw slopes of all pixels, shape (height, width), and what they share."""

    slope: F64
    std: F64
    """Sampling error of the slope; infinite where there is no light."""
    family: NDArray[np.bool_]
    """Pixels that the common slope is made from."""
    common: float
    weight: F64
    """Of each variance, shape (levels, height, width)."""


def _slopes(
    x: F64,
    y: F64,
    usable: NDArray[np.bool_],
    dark_variance: F64,
    n_dark: int,
    levels: Sequence[Level],
) -> _Slopes:
    """Return the weighted least squares of variance on signal, through zero."""
    # From medians, since a single pixel that blinks would outweigh all others in a sum.
    starts = [
        float(np.median(y[k][ok]) / np.median(x[k][ok]))
        for k in range(len(levels))
        if (ok := usable[k]).any()
    ]
    common = float(np.median(starts)) if starts else 0.0
    for _ in range(ROUNDS):
        if not common > 0:
            raise CalibrationError(
                f"the variance of the frames in light does not grow with the light (slope "
                f"{number_text(common)} ADU); give raw frames, neither averaged nor denoised by "
                "the camera"
            )
        weight = _weights(x, usable, common, dark_variance, n_dark, levels)
        information = (weight * x * x).sum(axis=0)
        moment = (weight * x * y).sum(axis=0)
        known = information > 0
        slope = np.divide(moment, information, out=np.full_like(moment, common), where=known)
        std = np.divide(1.0, np.sqrt(information), out=np.full_like(moment, np.inf), where=known)
        family = known & (np.abs(slope - common) < OUTLIER_STD * np.hypot(std, 0.05 * common))
        common = float(moment[family].sum() / information[family].sum())
    return _Slopes(slope, std, family, common, weight)


def _common_slope(x: F64, y: F64, weight: F64, pixels: NDArray[np.bool_]) -> float:
    """Return the slope that pixels share at one level of light; a noisy pixel counts little."""
    x, y, weight = x[pixels], y[pixels], weight[pixels]
    return float((weight * x * y).sum() / (weight * x * x).sum())


def _shot_variance(level: Level) -> F64:
    """Return the variance beyond the dark and beyond the flicker of the light."""
    return level.extra_variance_adu2 - level.flicker * level.signal_adu**2


def _weights(
    x: F64,
    usable: NDArray[np.bool_],
    common: float,
    dark_variance: F64,
    n_dark: int,
    levels: Sequence[Level],
) -> F64:
    """Return one over the sampling variance of each variance, by the model.

    Measured variances would give low ones more weight and pull the gain down.
    """
    frames = np.array([level.n_frames for level in levels], dtype=np.float64)[:, None, None]
    flicker = np.array([level.flicker for level in levels])[:, None, None]
    expected = common * np.maximum(x, 0.0) + dark_variance
    # Light that changes is a signal in the variance, and brings noise of its own (the second term).
    sampling = (2 * expected**2 + 4 * expected * flicker * x**2) / (frames - 1)
    sampling += 2 * dark_variance**2 / (n_dark - 1)
    return np.asarray(np.where(usable & (sampling > 0), 1.0, 0.0) / np.maximum(sampling, 1e-12))


def _true_spread(slope: F64, information: F64) -> float:
    """Return the standard deviation of the slopes beyond their sampling error."""
    mean = float((information * slope).sum() / information.sum())
    excess = float((information * (slope - mean) ** 2).sum()) - (len(slope) - 1)
    scale = float(information.sum() - (information**2).sum() / information.sum())
    return float(np.sqrt(max(excess, 0.0) / scale)) if scale > 0 else 0.0


def _shrink(
    slope: F64, std: F64, common: float, spread: float
) -> tuple[F64, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the gains, and which pixels are defects or without a usable slope."""
    own_share = spread**2 / (spread**2 + std**2) if spread > 0 else np.zeros_like(std)
    away = np.abs(slope - common)
    sensible = (slope > common / MAX_RATIO) & (slope < common * MAX_RATIO)
    outside = np.isfinite(std) & (away > OUTLIER_STD * np.hypot(std, spread))
    defects = outside & sensible
    unknown = ~np.isfinite(std) | (outside & ~sensible)
    gain = np.where(defects, slope, common + (slope - common) * own_share)
    return np.where(unknown, common, gain), defects, unknown


def _notes(
    levels: Sequence[Level],
    per_level: tuple[tuple[float, float], ...],
    common: float,
    spread: float,
    pixel_std: float,
) -> tuple[str, ...]:
    notes = []
    for level in levels:
        share = level.flicker * float(np.median(level.signal_adu)) / common
        if share > FLICKER_NOTE:
            notes.append(
                f"the light of {level.name} flickered or drifted by "
                f"{100 * np.sqrt(level.flicker):.2f} %, which was taken out of the variance "
                f"({100 * share:.0f} % of the photon noise); a steadier light gives a safer gain"
            )
    gains = [gain for _, gain in per_level]
    if len(gains) > 1 and np.ptp(gains) > LINEARITY_NOTE * np.median(gains):
        measured = ", ".join(
            f"{number_text(gain, 4)} at {signal:.0f} ADU" for signal, gain in per_level
        )
        notes.append(f"the gain differs between levels of light ({measured}): check its linearity")
    if spread**2 < RELIABLE * (spread**2 + pixel_std**2):
        notes.append(
            f"the gain of a single pixel is known to {100 * pixel_std / common:.1f} % and pixels "
            f"differ by {100 * spread / common:.1f} %, so that the map stays close to the typical "
            "gain; more frames in light separate the pixels"
        )
    return tuple(notes)
