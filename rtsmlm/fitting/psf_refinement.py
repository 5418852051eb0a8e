"""What lone emitters of the first frames change in the PSF that is stated, and the sentence on it.

A value is changed where it is off by more than what is worth a change and by four standard errors:
a PSF that is stated rightly stays as it is, to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import number_text
from rtsmlm.fitting.curves_of_run import FAR, CurveFactors, measure_curves, with_factors
from rtsmlm.fitting.round_psf import RoundShape, measure_round_shape
from rtsmlm.localizations import F32
from rtsmlm.settings.psf import PsfSettings

SURE = 4.0
"""Standard errors by which a value is off before it is changed."""
WIDTH_OFF, ELLIPTICITY_OFF, HALO_OFF = 0.05, 0.05, 0.03
"""Least change of width and ellipticity, relative, and of the halo that is worth one."""
CURVES_OFF = (0.04, 0.04, 0.06)
"""The same of the widths along x and y and of the distance of the foci."""
MOST_HALO = 0.5
KEEP = "psf.refine = false leaves that out"


@dataclass(frozen=True, slots=True)
class Refined:
    """What is measured of a PSF."""

    values: Mapping[str, float] = field(default_factory=dict)
    """What is changed, by the names that `PsfSettings.with_measured` takes."""
    sigma_nm: float | None = None
    """Width that takes the place of the stated one; None keeps it."""
    told: str = ""
    """One sentence on what is changed, or contradicted."""


UNCHANGED = Refined()


def refine_round(
    photons: F32,
    calibration: CameraCalibration,
    psf: PsfSettings,
    sigma_px: float,
) -> Refined | None:
    """Return what is changed of a PSF without depth; None where there are too few lone spots.

    Parameters
    ----------
    photons
        First frames in photons, shape (n, height, width).
    calibration
        Calibration in force.
    psf
        As stated.
    sigma_px
        Width that fits most lone spots of the frames.
    """
    variance, excess_noise = _variance(photons, calibration), calibration.excess_noise
    shape = measure_round_shape(photons, variance, sigma_px, excess_noise=excess_noise)
    if math.isnan(shape.ellipticity):
        return None
    frames, pixel_nm = len(photons), calibration.pixel_nm
    values, said, sigma_nm = dict[str, float](), list[str](), None
    if isinstance(stated_nm := psf.sigma_nm, float | int):
        found_nm = sigma_px * pixel_nm
        std_nm = shape.sigma_std_px * pixel_nm
        if _is_off(found_nm / stated_nm - 1.0, std_nm / stated_nm, WIDTH_OFF):
            sigma_nm = found_nm
            said.append(
                f"{_with_error(found_nm, std_nm)} nm wide, where psf.sigma_nm states "
                f"{number_text(stated_nm)} nm"
            )
    said += _of_shape(shape, psf, values)
    if not said:
        return UNCHANGED
    told = (
        f"lone emitters of the first {frames} frames show a PSF that is {', and '.join(said)}: "
        f"frames are localized with it; {KEEP}"
    )
    return Refined(values, sigma_nm, told)


def _of_shape(shape: RoundShape, psf: PsfSettings, values: dict[str, float]) -> list[str]:
    """Put ellipticity and halo among the values where they are off; return phrases on them."""
    said = []
    ratio = shape.ellipticity / psf.ellipticity
    std = shape.ellipticity_std / psf.ellipticity
    if _is_off(ratio - 1.0, std, ELLIPTICITY_OFF):
        values["ellipticity"] = shape.ellipticity
        said.append(
            f"{_with_error(shape.ellipticity, shape.ellipticity_std)} times as wide along x as "
            f"along y ({number_text(psf.ellipticity)} before)"
        )
    halo = min(max(shape.halo, 0.0), MOST_HALO)
    if _is_off(halo - psf.halo, shape.halo_std, HALO_OFF):
        values["halo"] = halo
        said.append(
            f"with {_with_error(100 * halo, 100 * shape.halo_std)} % of the light in a halo "
            f"that a fit does not see ({number_text(100 * psf.halo)} % before), which is added to "
            "the photons"
        )
    return said


def refine_curves(photons: F32, calibration: CameraCalibration, psf: PsfSettings) -> Refined | None:
    """Return what is changed of the curves; None where there are too few lone spots.

    Parameters
    ----------
    photons, calibration, psf
        As for `refine_round`; with curves.
    """
    assert psf.astigmatism is not None  # noqa: S101
    curves = psf.astigmatism.curves()
    variance, excess_noise = _variance(photons, calibration), calibration.excess_noise
    factors = measure_curves(
        photons, variance, curves, calibration.pixel_nm, excess_noise=excess_noise
    )
    if factors is None:
        return None
    pairs = list(zip(factors.values, factors.std, CURVES_OFF, strict=True))
    if not any(_is_off(value - 1.0, std, least) for value, std, least in pairs):
        return UNCHANGED
    found = (
        f"{factors.n_spots} lone emitters of the first {len(photons)} frames show widths along x "
        f"and y of {_of_curve(factors, 0)} and {_of_curve(factors, 1)} % of the curves "
        f"(psf.astigmatism), and foci {_of_curve(factors, 2)} % as far apart"
    )
    if psf.table is not None:
        return Refined(
            told=f"{found}: psf.table was measured on another PSF, and z is off; measure beads "
            "again with rtsmlm calibrate psf --astigmatic --table"
        )
    if max(abs(math.log(value)) for value in factors.values) > 0.9 * FAR:
        return Refined(
            told=f"{found}: that is another PSF, and the curves stay as they are; measure beads "
            "again with rtsmlm calibrate psf --astigmatic"
        )
    after = with_factors(curves, factors)
    values = {
        f"{name}_{key}": float(getattr(curve, key))
        for name, curve in (("x", after.x), ("y", after.y))
        for key in ("sigma0_nm", "focus_nm")
    }
    known_nm = psf.known_sigma_nm or curves.mean_nm()
    sigma_nm = known_nm * after.mean_nm() / curves.mean_nm()
    return Refined(values, sigma_nm, f"{found}: frames are localized with such curves; {KEEP}")


def _variance(photons: F32, calibration: CameraCalibration) -> F32:
    shape = photons.shape[1:]
    variance = np.asarray(calibration.read_variance(), dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(variance, shape))


def _is_off(by: float, std: float, least: float) -> bool:
    return abs(by) > max(least, SURE * std)


def _with_error(value: float, std: float) -> str:
    return f"{number_text(value)} ± {number_text(std, 1)}"


def _of_curve(factors: CurveFactors, k: int) -> str:
    return _with_error(100 * factors.values[k], 100 * factors.std[k])
