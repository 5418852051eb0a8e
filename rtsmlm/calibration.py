"""CameraCalibration: raw camera values to detected photons, and pixels to nm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import CalibrationError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

MASKED_VARIANCE = 1e4
"""Variance in photons² that is stated of a pixel of which nothing is known.

More than the light of any emitter has, so that a fit leaves it out, and still a number that a
network in half precision can be shown.
"""

Map: TypeAlias = float | F32
"""One number for the whole sensor, or a map of shape (height, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraCalibration:
    """What turns ADU into detected photons and columns into nm.

    Detected photons are photo-electrons: shot noise and the CRLB count those, so the quantum
    efficiency stays out. ``photons = (adu - offset_adu) * e_per_adu / em_gain``.
    """

    pixel_nm: float
    """Pixel side in the sample plane."""
    offset_adu: Map = 100.0
    """Camera value in the dark, number or map."""
    e_per_adu: Map = 1.0
    """Electrons per ADU (conversion gain, before EM gain is divided out), number or map."""
    em_gain: float = 1.0
    """Mean electron multiplication; 1 for a camera without."""
    read_noise_e: Map = 0.0
    """RMS read noise in electrons at the output (before EM gain is divided out)."""
    maps_roi: tuple[int, int, int, int] | None = None
    """Region of larger maps that these were cut from: x, y, width, height in pixels."""
    notes: tuple[str, ...] = ()
    """What was done to the maps, one sentence each."""
    parts: tuple[CalibratedPart, ...] = ()
    """Of several cameras side by side, each by itself; empty for one."""
    masked: NDArray[np.bool_] | None = None
    """Pixels of which nothing is known, shape of the frames: their neighbours stand for them in
    the frames; None without any."""

    def __post_init__(self) -> None:
        shapes = {
            np.shape(m) for m in (self.offset_adu, self.e_per_adu, self.read_noise_e) if np.ndim(m)
        }
        if len(shapes) > 1:
            raise CalibrationError(
                f"camera maps differ in shape: {sorted(shapes)}; all must match the frames"
            )
        for field in fields(self):
            if field.name not in ("maps_roi", "notes", "parts", "masked"):
                _check(field.name, getattr(self, field.name))

    @property
    def has_em_gain(self) -> bool:
        """True for an EMCCD in use; its excess noise doubles every variance."""
        return self.em_gain > 1.0

    @property
    def excess_noise(self) -> float:
        """Squared excess noise factor F² of the gain register: 2 at high EM gain, 1 without."""
        return 2.0 if self.has_em_gain else 1.0

    @property
    def map_shape(self) -> tuple[int, int] | None:
        """Shape of the per-pixel maps, None where the calibration is all numbers."""
        for value in (self.offset_adu, self.e_per_adu, self.read_noise_e, self.masked):
            if isinstance(value, np.ndarray):
                return value.shape[0], value.shape[1]
        return None

    def check_frame_shape(self, shape: tuple[int, int]) -> None:
        """Raise `CalibrationError` if the maps do not fit frames of this shape."""
        if self.map_shape is not None and self.map_shape != shape:
            rows, columns = self.map_shape
            advice = (
                "give maps of the same region of the chip (camera.maps), or set where the frames "
                f"lie on them: camera.maps.roi = [x, y, {shape[1]}, {shape[0]}]"
            )
            if self.map_shape == shape[::-1]:
                advice = "set camera.maps.transpose = true, which swaps the sides"
            raise CalibrationError(
                f"camera maps are {rows} x {columns} pixels, the frames {shape[0]} x {shape[1]} "
                f"(rows x columns); {advice}"
            )

    def to_photons(self, pixels: Pixels) -> F32:
        """Return detected photons per pixel, negative where read noise wins.

        Signed on purpose: clipping at zero would bias the background upwards.

        Parameters
        ----------
        pixels
            Raw frames in ADU, shape (..., height, width).
        """
        gain = np.float32(1.0 / self.em_gain) * np.asarray(self.e_per_adu, dtype=np.float32)
        offset = np.asarray(self.offset_adu, dtype=np.float32)
        return np.asarray((pixels - offset) * gain, dtype=np.float32)

    def read_variance(self) -> Map:
        """Return the variance of the read noise in photons², number or map."""
        noise = np.asarray(self.read_noise_e, dtype=np.float32) / np.float32(self.em_gain)
        variance = noise * noise
        return variance if variance.ndim else float(variance)

    def pixel_variance(self) -> Map:
        """Return the variance of the read noise as fits take it: huge where a pixel is masked.

        Of an EMCCD it is `MASKED_VARIANCE` in light that is divided by the squared excess noise.
        """
        if self.masked is None:
            return self.read_variance()
        unknown = np.float32(MASKED_VARIANCE * self.excess_noise**2)
        known = np.asarray(self.read_variance(), dtype=np.float32)
        return np.where(self.masked, unknown, known)

    def with_masked(self, masked: NDArray[np.bool_]) -> CameraCalibration:
        """Return the calibration with more pixels of which nothing is known."""
        both = masked if self.masked is None else masked | self.masked
        return replace(self, masked=both if both.any() else None)

    def cropped(self, x: int, y: int, width: int, height: int) -> CameraCalibration:
        """Return the calibration of a region of interest given in pixels."""

        def crop(value: Map) -> Map:
            if isinstance(value, np.ndarray):
                return np.ascontiguousarray(value[y : y + height, x : x + width])
            return value

        return replace(
            self,
            offset_adu=crop(self.offset_adu),
            e_per_adu=crop(self.e_per_adu),
            read_noise_e=crop(self.read_noise_e),
            parts=(),
            masked=None if self.masked is None else self.masked[y : y + height, x : x + width],
        )


@dataclass(frozen=True, slots=True)
class CalibratedPart:
    """The part of a frame that is from one of several cameras."""

    size: tuple[int, int]
    """Width and height in pixels."""
    calibration: CameraCalibration


@dataclass(frozen=True, slots=True)
class StatedPart:
    """What one of several cameras states, or the movie that it recorded."""

    size: tuple[int, int]
    """Width and height of its part of a frame, in pixels."""
    stated: StatedCalibration


@dataclass(frozen=True, slots=True)
class UsualValue:
    """What cameras of a model have, for a value that nothing states of this one."""

    name: str
    """Name in `StatedCalibration`."""
    value: float
    camera: str
    """Model, as the microscope database calls it."""
    source: str
    """Where the database has it from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedCalibration:
    """What a camera or a file states of its calibration; None where it states none.

    A value that no camera has (NaN, an infinity, a gain of 0) counts as not stated: some adapters
    give such values for "unknown".
    """

    pixel_nm: float | None = None
    pixel_height_nm: float | None = None
    """Height of a pixel, only where it is not the width, which `pixel_nm` is then."""
    offset_adu: float | None = None
    e_per_adu: float | None = None
    em_gain: float | None = None
    read_noise_e: float | None = None
    region: tuple[int, int, int, int] | None = None
    """Where the frames lie on the chip: x, y, width, height; None where pixels are binned."""
    parts: tuple[StatedPart, ...] = ()
    """Of several cameras side by side, what each states; empty for one."""
    usual: tuple[UsualValue, ...] = ()
    """What cameras of this model have, which is assumed before anything else is."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("parts", "usual"):
                continue
            if value is not None and not _is_possible(field.name, value):
                object.__setattr__(self, field.name, None)  # frozen for everyone else

    def filled_from(self, other: StatedCalibration) -> StatedCalibration:
        """Return this with what it leaves open taken from another statement."""
        known = {"usual"} | ({"pixel_height_nm"} if self.pixel_nm is not None else set())
        more = {
            field.name: getattr(other, field.name)
            for field in fields(self)
            if getattr(self, field.name) is None and field.name not in known
        }
        return replace(self, **more, usual=self.usual or other.usual)

    def usual_value(self, name: str) -> UsualValue | None:
        """Return what cameras of this model have; None where that is not known."""
        return next((usual for usual in self.usual if usual.name == name), None)

    def check_square(self) -> None:
        """Raise `CalibrationError` if the pixels are not square: a PSF would be no circle."""
        if self.pixel_height_nm is not None:
            raise CalibrationError(
                f"the pixels are {self.pixel_nm or math.nan:g} nm wide and "
                f"{self.pixel_height_nm:g} nm high by their metadata; only square pixels can be "
                "localized: record with the same binning along both sides, or set camera.pixel_nm "
                "where the metadata are wrong"
            )


_POSITIVE = ("pixel_nm", "pixel_height_nm", "e_per_adu", "em_gain")


def agreed(parts: Sequence[StatedPart]) -> StatedCalibration:
    """Return what several cameras state together: what they agree on, and what each states."""
    together: dict[str, float | None] = {}
    for field in fields(StatedCalibration):
        if field.name not in ("region", "parts", "usual"):
            values = {getattr(part.stated, field.name) for part in parts}
            together[field.name] = values.pop() if len(values) == 1 else None
    together["pixel_nm"] = parts[0].stated.pixel_nm
    return StatedCalibration(**together, region=None, parts=tuple(parts), usual=())


def _is_possible(name: str, value: Map) -> bool:
    """Tell whether a value of `CameraCalibration`, or every pixel of a map, can be a camera's."""
    if not np.all(np.isfinite(value)):
        return False
    if name in _POSITIVE:
        return bool(np.min(value) > 0)
    return name == "offset_adu" or bool(np.min(value) >= 0)


def _check(name: str, value: Map) -> None:
    """Raise `CalibrationError` for a value that no camera has."""
    if not _is_possible(name, value):
        rule = {"offset_adu": "", "read_noise_e": " and not below 0"}.get(name, " and above 0")
        bad = np.asarray(value)[~np.isfinite(value)] if np.ndim(value) else np.asarray(value)
        shown = bad.flat[0] if bad.size else np.min(value)
        raise CalibrationError(
            f"camera.{name} is {shown:g}; it must be finite{rule} everywhere: correct the settings "
            "or the camera map"
        )


def map_or_number(values: NDArray[np.floating]) -> Map:
    """Return a float32 map, or one number where all values are equal."""
    flat = np.asarray(values, dtype=np.float32)
    return float(flat.flat[0]) if np.ptp(flat) == 0 else flat
