"""Camera maps from movies in the dark and in even light: offset, read noise, gain.

In the dark the mean of a pixel is its offset and the variance its read noise. In light the variance
grows by the gain times the signal (photon transfer): ``v = v_dark + g (m - m_dark)`` with the gain
g in ADU per electron, since the variance of a count of electrons is the count. A gain register
multiplies the slope by its gain and by its excess noise factor F².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibrate.gain import GainMap, Level, fit_gain
from rtsmlm.calibrate.pixel_statistics import F64, PixelStatistics
from rtsmlm.errors import CalibrationError
from rtsmlm.localizations import F32

EM_EXCESS_NOISE = 2.0
# Robust standard deviations above the typical offset: no tail of a normal law reaches there.
HOT_SPREADS = 10.0
# Times the median read noise (rms).
NOISY_FACTOR = 5.0
# A variance from n frames is known to sqrt(2 / (n - 1)): 14 % here.
FEW_FRAMES = 100
MAX_SATURATED = 0.01
DRIFT_NOTE = 0.3
# Electrons rms in the dark that no scientific CMOS or slow CCD has; light of its square has.
MUCH_NOISE_E = 8.0
# A dark movie whose pattern is that of the light, over blocks of so many pixels a side.
PATTERN_BLOCK_PX = 8
LEAST_BLOCKS = 12
SAME_PATTERN = 0.7
MAD_TO_STD = 1.4826

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCamera:
    """Maps of a camera, all of shape (height, width), and how well they are known."""

    offset_adu: F32
    """Mean value in the dark."""
    read_variance_adu2: F32
    """Variance in the dark, in ADU²."""
    gain: GainMap | None
    """Gain by photon transfer; None where there were no frames in light."""
    em_gain: float
    hot: Mask
    """Pixels whose offset stands far above the others."""
    noisy: Mask
    """Pixels of more than five times the median read noise."""
    n_dark: int
    """Frames in the dark."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    @property
    def median_offset_adu(self) -> float:
        """Offset of a typical pixel."""
        return float(np.median(self.offset_adu))

    @property
    def read_noise_adu(self) -> float:
        """Median of the rms read noise."""
        return float(np.sqrt(np.median(self.read_variance_adu2)))

    @property
    def e_per_adu(self) -> float | None:
        """Electrons per ADU of the whole camera, EM gain not divided out."""
        return None if self.gain is None else 1.0 / self.gain.typical

    @property
    def read_noise_e(self) -> float | None:
        """Median rms read noise in electrons, before EM gain is divided out."""
        return None if self.gain is None else self.read_noise_adu / self.gain.typical


def calibrate_camera(
    dark: PixelStatistics, light: Sequence[PixelStatistics] = (), *, em_gain: float = 1.0
) -> MeasuredCamera:
    """Return the camera maps that fit movies taken in the dark and in even light.

    Parameters
    ----------
    dark
        Statistics of frames without light, 2 at least; 1000 are good.
    light
        Statistics of frames in even and steady light, one for each level of light.
    em_gain
        Electron multiplication in force; above 1 the excess noise factor of 2 is taken out.

    Raises
    ------
    CalibrationError
        If there are too few frames, sizes differ, frames in light are saturated or darker
        than those in the dark, or the light does not raise the variance.
    """
    if dark.n_frames < 2:
        raise CalibrationError(
            f"{dark.name} holds {dark.n_frames} frame; a variance needs at least 2 frames in the "
            "dark, and 1000 are good"
        )
    offset, variance = dark.mean, dark.variance
    notes = _dark_notes(dark)
    gain = None
    if light:
        levels = [_level(dark, one) for one in light]
        multiplied = em_gain * (EM_EXCESS_NOISE if em_gain > 1 else 1.0)
        gain = fit_gain(levels, variance, dark.n_frames, multiplied)
        notes += gain.notes + _leak_notes(dark, light, gain, em_gain)
        notes += tuple(
            f"{one.name} has {one.n_frames} frames; {FEW_FRAMES} or more give a better gain"
            for one in light
            if one.n_frames < FEW_FRAMES
        )
    return MeasuredCamera(
        offset_adu=offset.astype(np.float32),
        read_variance_adu2=variance.astype(np.float32),
        gain=gain,
        em_gain=em_gain,
        hot=offset > np.median(offset) + HOT_SPREADS * max(_spread(offset), 1e-3),
        noisy=variance > NOISY_FACTOR**2 * np.median(variance),
        n_dark=dark.n_frames,
        notes=notes,
    )


def _spread(values: F64) -> float:
    return float(MAD_TO_STD * np.median(np.abs(values - np.median(values))))


def _dark_notes(dark: PixelStatistics) -> tuple[str, ...]:
    notes = []
    if dark.n_frames < FEW_FRAMES:
        notes.append(
            f"{dark.name} has {dark.n_frames} frames, so that the read variance of a pixel is "
            f"known to {100 * np.sqrt(2 / (dark.n_frames - 1)):.0f} %; take 1000"
        )
    clipped = float(np.mean(dark.minimum == 0))
    if clipped > MAX_SATURATED:
        notes.append(
            f"{100 * clipped:.0f} % of the pixels in {dark.name} reach 0 ADU, where noise is cut "
            "off: raise the offset (black level) of the camera and measure again"
        )
    drift = dark.drift_adu
    if abs(drift) > DRIFT_NOTE * np.sqrt(np.median(dark.variance)):
        notes.append(
            f"the dark value drifted by {drift:+.2f} ADU during {dark.name}: let the camera warm "
            "up (or cool down) before you measure"
        )
    return tuple(notes)


def _leak_notes(
    dark: PixelStatistics, light: Sequence[PixelStatistics], gain: GainMap, em_gain: float
) -> tuple[str, ...]:
    """Return what speaks for light in the frames that should be dark."""
    noise_e = float(np.sqrt(np.median(dark.variance))) / gain.typical
    advice = "put the cap on, switch lamps and lasers off, and measure again"
    if em_gain == 1 and noise_e > MUCH_NOISE_E:
        return (
            f"{dark.name} scatters by {noise_e:.1f} electrons rms, as {noise_e**2:.0f} electrons "
            f"of light do; if the camera's data sheet states less, it was not dark: {advice}",
        )
    brightest = max(light, key=lambda one: float(np.median(one.mean)))
    alike = _same_pattern(dark.mean, brightest.mean - dark.mean)
    if alike > SAME_PATTERN:
        return (
            f"the pattern of {dark.name} follows that of {brightest.name} (correlation "
            f"{alike:.2f}), as if light had come in: {advice}",
        )
    return ()


def _same_pattern(a: F64, b: F64) -> float:
    """Return how much two images vary together over large blocks, -1 to 1; 0 if there are few."""
    rows, columns = (side // PATTERN_BLOCK_PX for side in a.shape)
    if rows * columns < LEAST_BLOCKS:
        return 0.0
    first, second = (_blocks(image, rows, columns) for image in (a, b))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _blocks(image: F64, rows: int, columns: int) -> F64:
    """Return the medians of the blocks of an image, one after the other."""
    side = PATTERN_BLOCK_PX
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.asarray(np.median(cut, axis=(1, 3)).ravel())


def _level(dark: PixelStatistics, light: PixelStatistics) -> Level:
    """Return the gain from a movie in light, if it can be measured."""
    if light.shape != dark.shape:
        raise CalibrationError(
            f"{light.name} has frames of {light.shape[0]} x {light.shape[1]} pixels, "
            f"{dark.name} {dark.shape[0]} x {dark.shape[1]}; both must show the same region "
            "of the sensor"
        )
    if light.n_frames < 2:
        raise CalibrationError(
            f"{light.name} holds {light.n_frames} frame; a variance needs at least 2 frames at "
            "each level of light, and 200 are good"
        )
    saturated = light.saturated
    if np.mean(saturated) > MAX_SATURATED:
        raise CalibrationError(
            f"{100 * np.mean(saturated):.1f} % of the pixels in {light.name} are saturated (at "
            f"{int(light.maximum.max())} ADU); at most {100 * MAX_SATURATED:g} % may be: use less "
            "light or a shorter exposure"
        )
    signal = light.mean - dark.mean
    noise_adu = np.sqrt(np.median(dark.variance) / light.n_frames + 1e-12)
    if np.median(signal) <= 5 * noise_adu:
        raise CalibrationError(
            f"{light.name} is {np.median(signal):.2f} ADU brighter than {dark.name}; frames in "
            "light must be brighter than those in the dark: check the order of the files"
        )
    return Level(
        name=light.name,
        signal_adu=signal,
        extra_variance_adu2=light.variance - dark.variance,
        n_frames=light.n_frames,
        flicker=light.flicker(float(dark.mean.mean())),
        usable=~saturated & (signal > 0),
    )
