"""Gain and dark value by the noise of the frames: where nothing states them, and against what does.

Only the product of all gains shows in the noise: of a camera that multiplies electrons, the
electrons per ADU over the EM gain, with the excess noise of the register.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import number_text
from rtsmlm.fitting.noise_floor import TOO_MUCH
from rtsmlm.fitting.photon_transfer import Transfer

LEAST_FRAMES = 32
GOOD_SLOPE = 0.12
"""Relative error of the slope up to which gain and dark value are told apart."""
SYSTEMATIC = 0.05
"""Relative error of the slope beside its statistics: emitters that change unseen add variance."""
SAME_GAIN = 0.15
"""Gains that differ by less do no harm."""
SAME_PHOTONS = 2.0
"""Nor do dark values that differ by so many photons."""
SIGMAS = 3.0
ROUGH = 0.3
"""Relative error of gain and light where one level alone is seen."""
FAR_VARIANCE = 1.6
"""Ratio of variances above which a calibration is contradicted where one level alone is seen."""
_BOTH: frozenset[str] = frozenset({"offset_adu", "e_per_adu"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraEstimate:
    """What the noise of the frames says of gain and dark value."""

    values: dict[str, float]
    """Values to be taken, by the names of settings in `camera`; empty where all stays as it is."""
    note: str = ""
    """One sentence with the values, where there is something to be said."""
    doubt: str = ""
    """One sentence where what is in force is contradicted."""


NOTHING = CameraEstimate(values={})


@dataclass(frozen=True, slots=True)
class _Found:
    """Gain and dark value with their standard deviations."""

    e_per_adu: float
    e_std: float
    offset_adu: float
    offset_std: float

    def text(self) -> str:
        """Return both in words."""
        offset_std = number_text(max(self.offset_std, 0.1), 1)
        return (
            f"{number_text(self.e_per_adu)} ± {number_text(self.e_std, 1)} electrons per ADU and a "
            f"dark value of {number_text(self.offset_adu, 4)} ± {offset_std} ADU"
        )


def estimate_camera(
    transfer: Transfer | None,
    calibration: CameraCalibration,
    assumed: Collection[str],
    *,
    is_wanted: bool = True,
) -> CameraEstimate:
    """Return what is to be taken for the gain and the dark value, or what contradicts them.

    Parameters
    ----------
    transfer
        Of the frames; None where they were too few.
    calibration
        Calibration in force.
    assumed
        Names of its values that nothing states.
    is_wanted
        Whether estimates take the place of what is assumed.
    """
    unknown = _BOTH & set(assumed)
    has_maps = np.ndim(calibration.e_per_adu) or np.ndim(calibration.offset_adu)
    if transfer is None or has_maps or calibration.parts:
        return NOTHING
    if not unknown:
        return _contradiction(transfer, calibration)
    found = _found(transfer, calibration, unknown)
    if found is None or _agrees(found, calibration):
        return NOTHING
    names: list[str] = [name for name in ("e_per_adu", "offset_adu") if name in unknown]
    shown = _shown(found, names)
    assumed_text = _shown(
        _Found(float(calibration.e_per_adu), 0.0, float(calibration.offset_adu), 0.0), names
    )
    settings = " and ".join(f"camera.{name}" for name in names)
    if not is_wanted:
        return CameraEstimate(
            values={},
            doubt=f"the noise of the frames shows {shown}, where {assumed_text} is assumed, since "
            f"nothing states it: set {settings}, or camera.estimate = true",
        )
    values: dict[str, float] = {name: round(getattr(found, name), 4) for name in names}
    return CameraEstimate(
        values=values,
        note=f"{settings} not stated: {shown} by the noise of the frames, instead of "
        f"{assumed_text} (camera.estimate); run rtsmlm calibrate camera to be sure",
    )


def _shown(found: _Found, names: Collection[str]) -> str:
    """Return some of the values in words."""
    parts = []
    if "e_per_adu" in names:
        error = f" ± {number_text(found.e_std, 1)}" if found.e_std else ""
        parts.append(f"{number_text(found.e_per_adu)}{error} electrons per ADU")
    if "offset_adu" in names:
        error = f" ± {number_text(max(found.offset_std, 0.1), 2)}" if found.offset_std else ""
        parts.append(f"a dark value of {number_text(found.offset_adu, 4)}{error} ADU")
    return " and ".join(parts)


def _is_good(transfer: Transfer) -> bool:
    return transfer.slope > 0 and transfer.slope_std < GOOD_SLOPE * transfer.slope


def _found(
    transfer: Transfer, calibration: CameraCalibration, unknown: Collection[str]
) -> _Found | None:
    """Return gain and dark value: what is stated of them is kept."""
    factor = calibration.excess_noise * calibration.em_gain
    gain, offset = float(calibration.e_per_adu), float(calibration.offset_adu)
    read_e = float(np.median(calibration.read_noise_e))
    if _is_good(transfer) and "e_per_adu" in unknown:
        gain = factor / transfer.slope
        part = math.hypot(transfer.slope_std / transfer.slope, SYSTEMATIC)
    elif "e_per_adu" in unknown:
        return _at_one_level(transfer, calibration, unknown)
    else:
        part = 0.0
    if "offset_adu" not in unknown:
        return _Found(gain, part * gain, offset, 0.0)
    read_adu2 = min((read_e / gain) ** 2, transfer.low_variance)
    slope = factor / gain
    if _is_good(transfer) and "e_per_adu" in unknown:
        offset = transfer.foot_adu + read_adu2 / slope
        error = math.hypot(transfer.foot_std, SYSTEMATIC * (transfer.low_adu - offset))
    else:
        offset = transfer.low_adu - (transfer.low_variance - read_adu2) / slope
        error = transfer.low_std * transfer.low_variance / slope
    error = math.hypot(error, 0.5 * read_adu2 / slope)
    if offset < -SIGMAS * error or offset > transfer.low_adu + SIGMAS * error:
        return None  # frames of which something was subtracted
    return _Found(gain, part * gain, min(max(offset, 0.0), transfer.low_adu), error)


def _at_one_level(
    transfer: Transfer, calibration: CameraCalibration, unknown: Collection[str]
) -> _Found | None:
    """Return a gain and dark value that go together with one level and its variance.

    There are many; the nearest to what is assumed is taken. Pixels that scatter less than light of
    their brightness lie nearer to the dark value, since cameras of many electrons per ADU are rare.
    """
    factor = calibration.excess_noise * calibration.em_gain
    gain, offset = float(calibration.e_per_adu), float(calibration.offset_adu)
    read_e = float(np.median(calibration.read_noise_e))
    above, noise_adu = transfer.low_adu - offset, math.sqrt(max(transfer.low_variance, 0.0))
    read_adu2 = (read_e / gain) ** 2
    ratio = transfer.low_variance / max(factor / gain * max(above, 0.0) + read_adu2, 1e-6)
    if above < -noise_adu and "offset_adu" in unknown:
        offset = 0.0
    elif above < noise_adu or ratio > TOO_MUCH:
        return None  # a read noise explains it as well
    elif ratio < 1.0 and "offset_adu" in unknown:
        offset = transfer.low_adu - max(transfer.low_variance - read_adu2, 0.0) * gain / factor
        return _Found(gain, ROUGH * gain, offset, ROUGH * (transfer.low_adu - offset))
    gain = _gain_at(transfer, offset, read_e, factor)
    if not math.isfinite(gain):
        return None
    return _Found(gain, ROUGH * gain, offset, ROUGH * (transfer.low_adu - offset))


def _gain_at(transfer: Transfer, offset: float, read_e: float, factor: float) -> float:
    """Return the electrons per ADU with which the darkest pixels have the variance seen."""
    light = factor * (transfer.low_adu - offset)
    # variance = light u + read_e² u², with u ADU per electron.
    if read_e <= 0:
        adu_per_e = transfer.low_variance / light
    else:
        root = math.sqrt(light**2 + 4.0 * read_e**2 * transfer.low_variance)
        adu_per_e = (root - light) / (2.0 * read_e**2)
    return 1.0 / adu_per_e if adu_per_e > 0 else math.inf


def _agrees(found: _Found, calibration: CameraCalibration) -> bool:
    """Tell whether what is in force is as good as what was found."""
    gain, offset = float(calibration.e_per_adu), float(calibration.offset_adu)
    apart = abs(math.log(found.e_per_adu / gain))
    photons = abs(found.offset_adu - offset) * found.e_per_adu / calibration.em_gain
    error = SIGMAS * found.offset_std * found.e_per_adu / calibration.em_gain
    allowed = min(SIGMAS * found.e_std / found.e_per_adu, math.log(FAR_VARIANCE))
    return bool(apart < max(SAME_GAIN, allowed) and photons < max(SAME_PHOTONS, error))


def _contradiction(transfer: Transfer, calibration: CameraCalibration) -> CameraEstimate:
    """Return what the frames say against values that are stated, which stay in force."""
    found = _found(transfer, calibration, _BOTH) if _is_good(transfer) else None
    gain, offset = float(calibration.e_per_adu), float(calibration.offset_adu)
    if found is not None:
        if _agrees(found, calibration):
            return NOTHING
    else:
        read_adu2 = (float(np.median(calibration.read_noise_e)) / gain) ** 2
        factor = calibration.excess_noise * calibration.em_gain
        light = max(transfer.low_adu - offset, 0.0)
        ratio = transfer.low_variance / max(factor / gain * light + read_adu2, 1e-6)
        if 1.0 / FAR_VARIANCE < ratio < FAR_VARIANCE:
            return NOTHING
        return CameraEstimate(
            values={},
            doubt=f"the darkest pixels scatter with {number_text(ratio, 2)} times the variance "
            f"that {number_text(gain)} electrons per ADU and a dark value of "
            f"{number_text(offset, 4)} ADU make expect: check "
            "camera.e_per_adu, camera.offset_adu and camera.em_gain, or run rtsmlm calibrate "
            "camera",
        )
    return CameraEstimate(
        values={},
        doubt=f"the noise of the frames shows {found.text()}, stated are {number_text(gain)} "
        f"electrons per ADU and {number_text(offset, 4)} ADU, which stay in force: "
        "check camera.e_per_adu, camera.offset_adu and camera.em_gain, or run rtsmlm calibrate "
        "camera",
    )
