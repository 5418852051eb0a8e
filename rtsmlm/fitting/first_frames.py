"""What the first frames say against the camera and the pixel size that a run assumes.

Each check returns a sentence with the value found, the value assumed, and the setting to change; it
is silent where the pixels go together with the calibration. Live and offline runs ask alike.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.noise_floor import scatter_ratio
from rtsmlm.fitting.saturation import plateau_adu
from rtsmlm.frames import Pixels

_KEPT_FRAMES, _KEPT_PIXELS = 32, 1 << 23
"""First frames that are kept, and most pixels in them: 16 MiB."""
_MOST_PIXELS = 1 << 20
"""Pixels of which quantiles are taken; of more, rows are left out."""
LOW_QUANTILE = 0.25
"""Of a dark frame a quarter of the pixels lie 0.7 standard deviations below the dark value."""
LOW_NOISES = 2.0
LOW_ADU = 2.0
"""Below the dark value by more than so many standard deviations of the noise that neighbours show,
and so many ADU: it is another one."""
MEDIAN_DIFFERENCE = 0.954
"""Median distance of two normal numbers, in their standard deviations."""
LITTLE_SCATTER = 0.25
"""Of what light of that brightness has at least; a crowd of emitters or haze has more, not less."""
SIGMA_PX = (0.6, 3.0)
"""PSF widths outside are badly sampled; no microscope for single molecules is built so."""
SIGMA_NM = (65.0, 400.0)
"""The least is that of the shortest light through the best objective."""


class FirstFrames:
    """Copies of the first frames of a run, for a look at all of them at once."""

    def __init__(self) -> None:
        self._parts: list[Pixels] = []

    @property
    def pixels(self) -> Pixels | None:
        """The frames so far, uint16 ADU, shape (n, height, width); None without any."""
        return np.concatenate(self._parts) if self._parts else None

    def add(self, pixels: Pixels) -> bool:
        """Take frames in, shape (n, height, width); True once they are enough."""
        n_before = sum(map(len, self._parts))
        most = max(min(_KEPT_FRAMES, _KEPT_PIXELS // pixels[0].size), 1)
        self._parts.append(pixels[: most - n_before].copy())
        return bool(n_before + len(pixels) >= most)


def remarks_on_pixels(
    pixels: Pixels,
    calibration: CameraCalibration,
    assumed: Collection[str],
    sigma_nm: float | None = None,
) -> list[str]:
    """Return what the first frames say against the calibration, one sentence each.

    Parameters
    ----------
    pixels
        First frames, uint16 ADU, shape (n, height, width).
    calibration
        Calibration in force.
    assumed
        Names of its values that are defaults, because nothing states them.
    sigma_nm
        Width of the PSF, where it was measured on these frames.
    """
    remarks = counted_remarks(pixels)
    blank = [k for k, frame in enumerate(pixels) if np.ptp(frame) == 0]
    lit = np.delete(pixels, blank, axis=0) if blank else pixels
    if not len(lit):
        return remarks
    if dark := remark_on_dark_value(lit, calibration, assumed):
        remarks.append(dark)
    else:  # with another dark value than that of the camera, these would mislead
        remarks.append(_on_scatter(lit, calibration, assumed))
        remarks.append("" if sigma_nm is None else remark_on_width(sigma_nm, calibration, assumed))
    return [remark for remark in remarks if remark]


def counted_remarks(pixels: Pixels) -> list[str]:
    """Return what the first frames show that is counted over all frames, too, one sentence each.

    Once `rtsmlm.fitting.frame_counts` has seen all frames, its sentences take their place.

    Parameters
    ----------
    pixels
        First frames, uint16 ADU, shape (n, height, width).
    """
    blank = [k for k, frame in enumerate(pixels) if np.ptp(frame) == 0]
    remarks = []
    if blank:
        values = ", ".join(str(v) for v in sorted({int(pixels[k].flat[0]) for k in blank})[:3])
        which = "all of" if len(blank) == len(pixels) else f"{len(blank)} of"
        remarks.append(
            f"{which} the first {len(pixels)} frames hold one value in all pixels ({values} ADU): "
            "the shutter was closed, the camera dead, or the file was filled up"
        )
    lit = np.delete(pixels, blank, axis=0) if blank else pixels
    if not len(lit):
        return remarks
    repeated = sum(np.array_equal(a, b) for a, b in zip(lit[1:], lit[:-1], strict=True))
    if repeated:
        remarks.append(
            f"{repeated} of the first {len(pixels)} frames are equal to the one before, which "
            "noise excludes: they were written twice"
        )
    if ceiling := _on_ceiling(lit):
        remarks.append(ceiling)
    return remarks


def remark_on_width(
    sigma_nm: float, calibration: CameraCalibration, assumed: Collection[str]
) -> str:
    """Return what a PSF width that was measured says against the pixel size, or nothing.

    Parameters
    ----------
    sigma_nm
        Standard deviation of the PSF, measured in pixels and converted.
    calibration, assumed
        As for `remarks_on_pixels`.
    """
    pixel_nm = calibration.pixel_nm
    sigma_px = sigma_nm / pixel_nm
    (low_px, high_px), (low_nm, high_nm) = SIGMA_PX, SIGMA_NM
    if low_px <= sigma_px <= high_px and low_nm <= sigma_nm <= high_nm:
        return ""
    given = "assumed" if "pixel_nm" in assumed else "in force"
    size = "narrow" if sigma_px < low_px or sigma_nm < low_nm else "wide"
    return (
        f"the spots are {size} for single molecules: sigma {sigma_px:.2f} pixels, {sigma_nm:.0f} "
        f"nm with the pixel of {pixel_nm:g} nm {given}; expected are {low_px:g} to {high_px:g} "
        f"pixels and {low_nm:g} to {high_nm:g} nm: check camera.pixel_nm, binning and focus"
    )


def remark_on_dark_value(
    pixels: Pixels, calibration: CameraCalibration, assumed: Collection[str]
) -> str:
    """Return what the first frames say against the dark value, or nothing.

    Parameters
    ----------
    pixels, calibration, assumed
        As for `remarks_on_pixels`.
    """
    offset = np.asarray(calibration.offset_adu)
    step = min(max(-(-pixels.size // _MOST_PIXELS), 1), pixels.shape[1])
    some = pixels[:, ::step]
    above = some.astype(np.float32) - (offset[::step] if offset.ndim else offset)
    noise_adu = 0.0
    if above.shape[2] > 1:
        noise_adu = float(np.median(np.abs(np.diff(above, axis=2)))) / MEDIAN_DIFFERENCE
    if np.quantile(above, LOW_QUANTILE) >= -max(LOW_NOISES * noise_adu, LOW_ADU):
        return ""
    share = float(np.mean(above < 0))
    shown = f"{100 * share:.0f} %" if share < 0.995 else "more than 99 %"
    given = "was assumed" if "offset_adu" in assumed else "is in force"
    return (
        f"{shown} of the pixels lie below the dark value of {float(np.median(offset)):g} ADU that "
        f"{given} (their median is {float(np.median(some)):g} ADU): photons are wrong and emitters "
        "are missed; set camera.offset_adu, or run rtsmlm calibrate camera"
    )


def _on_scatter(pixels: Pixels, calibration: CameraCalibration, assumed: Collection[str]) -> str:
    if not {"offset_adu", "e_per_adu"} & set(assumed):
        return ""
    ratio = scatter_ratio(calibration, _whole(pixels))
    if not 0 < ratio < LITTLE_SCATTER:
        return ""
    times = f"{1 / ratio:.0f}" if ratio > 0.01 else "more than 100"
    return (
        f"the frames scatter {times} times less than light of their brightness does with "
        f"the dark value of {float(np.median(calibration.offset_adu)):g} ADU and "
        f"{float(np.median(calibration.e_per_adu)):g} electrons per ADU assumed: the dark value is "
        "higher, an ADU is more electrons, or the frames were averaged or smoothed; set "
        "camera.offset_adu and camera.e_per_adu"
    )


def _on_ceiling(pixels: Pixels) -> str:
    highest = pixels.max(axis=0)
    ceiling = plateau_adu(highest)
    if ceiling is None:
        return ""
    n_pixels = int(np.count_nonzero(pixels == ceiling))
    return (
        f"{n_pixels} pixels of the first {len(pixels)} frames are saturated (at {ceiling} ADU): "
        "photons are too low there; expose shorter, or with less light or gain"
    )


def _whole(pixels: Pixels) -> Pixels:
    """Return whole frames of at most `_MOST_PIXELS` pixels, at least one."""
    return pixels[: max(_MOST_PIXELS // pixels[0].size, 1)]
