"""Camera metadata, read in the formats of the programs that wrote them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtsmlm.calibration import StatedCalibration, UsualValue
from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import Contradiction
from rtsmlm.files.movies.checks import one_line
from rtsmlm.files.movies.micromanager_tags import (
    binning_of,
    flat_tags,
    height_over_width,
    region_of,
    stated_by_camera,
    summary_in_xml,
)
from rtsmlm.microscopes.usual import usual_values

PLAUSIBLE_PIXEL_NM = (10.0, 1000.0)
"""Sample-plane pixels outside are camera pixels, screen resolutions or other units."""

NM_PER = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "\\u00b5m": 1e3, "micron": 1e3, "microns": 1e3,
    "micrometer": 1e3, "micrometre": 1e3,
    "mm": 1e6, "millimeter": 1e6, "cm": 1e7, "centimeter": 1e7,
    "m": 1e9, "meter": 1e9, "inch": 2.54e7, "å": 0.1, "angstrom": 0.1,
}  # fmt: skip
"""Nanometres per unit, by its name in lower case."""

SAME_PIXEL = 0.01
"""Pixel sizes that differ by less, relatively, are one: they are rounded, or measured."""

_MS_PER = {"s": 1e3, "ms": 1.0, "µs": 1e-3, "us": 1e-3, "ns": 1e-6, "min": 6e4}


@dataclass(slots=True)
class Statements:
    """Collects what metadata state, from the most trustworthy source to the least.

    The first statement of a value holds. An implausible one is dropped with a note; one that
    contradicts is named in `contradictions`.
    """

    values: dict[str, float] = field(default_factory=dict)
    exposure_ms: float | None = None
    details: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    binning: int = 1
    """Pixels of the camera a side that went into one, where it is stated."""
    region: tuple[int, int, int, int] | None = None
    """Where the frames lie on the chip: x, y, width, height, where pixels are not binned."""
    usual: tuple[UsualValue, ...] = ()
    """What cameras of this model have, by the microscope database."""
    _pixel_source: str = ""

    def state(self, name: str, value: Any, *, at_least: float = 0.0) -> None:
        """Take a value of `StatedCalibration` if it is a finite number above the limit."""
        number = as_number(value)
        if number is not None and number >= at_least and (number > 0 or name == "offset_adu"):
            self.values.setdefault(name, number)

    def state_pixel(
        self, value: Any, unit: str, source: str, *, height: Any = None, height_unit: str = ""
    ) -> None:
        """Take a pixel size if it can be one in the sample plane.

        Parameters
        ----------
        value, unit
            Width of a pixel, and the unit of its number.
        source
            Who states it, as an error names it.
        height, height_unit
            Height of a pixel, where it is stated, and its unit; by default that of the width.
        """
        pixel_nm = _in_nm(value, unit)
        if pixel_nm is None:
            return
        low, high = PLAUSIBLE_PIXEL_NM
        if not low <= pixel_nm <= high:
            if "pixel_nm" not in self.values:
                self.notes.append(
                    f"{source} states a pixel of {pixel_nm:g} nm, ignored: a pixel in the "
                    f"sample plane has {low:g} to {high:g} nm"
                )
            return
        height_nm = None if height is None else _in_nm(height, height_unit or unit)
        if "pixel_nm" in self.values:
            self._compare_pixel(pixel_nm, source)
            return
        self.values["pixel_nm"], self._pixel_source = pixel_nm, source
        if height_nm is not None and abs(height_nm / pixel_nm - 1) > SAME_PIXEL:
            self.values["pixel_height_nm"] = height_nm

    def _compare_pixel(self, pixel_nm: float, source: str) -> None:
        held_nm = self.values["pixel_nm"]
        # What is stated for the chip, and what is stated for pixels that were binned.
        alike = (pixel_nm, pixel_nm * self.binning)
        same = any(abs(other_nm / held_nm - 1) <= SAME_PIXEL for other_nm in alike)
        if source != self._pixel_source and not same:
            sentence = (
                f"{self._pixel_source} states a pixel of {held_nm:g} nm, {source} one of "
                f"{pixel_nm:g} nm; {held_nm:g} nm is taken: set camera.pixel_nm if that is wrong"
            )
            self.contradictions.append(Contradiction("pixel_nm", sentence))

    def state_exposure(self, value: Any, unit: str = "ms") -> None:
        """Take an exposure time if it is one."""
        number, ms = as_number(value), _MS_PER.get(unit.strip().lower())
        if self.exposure_ms is None and number is not None and ms is not None and number > 0:
            self.exposure_ms = float(f"{number * ms:.9g}")

    @property
    def stated(self) -> StatedCalibration:
        """What was stated, as a record."""
        return StatedCalibration(**self.values, region=self.region, parts=(), usual=self.usual)


def _in_nm(value: Any, unit: str) -> float | None:
    """Return a length in nm, None where it is no number above zero, or the unit is not known."""
    number, nm = as_number(value), NM_PER.get(unit.strip().lower())
    if number is None or nm is None or number <= 0:
        return None
    # Units are decimal: 0.1 um is 100 nm, not 100.00000000000001.
    return float(f"{number * nm:.9g}")


def as_number(value: Any) -> float | None:
    """Return a finite number from metadata, or None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_int(value: Any) -> int | None:
    """Return a whole number from metadata, or None where it is none."""
    number = as_number(value)
    return int(number) if number is not None and number == int(number) else None


def add_micromanager(
    into: Statements, tags: Mapping[str, object], source: str = "Micro-Manager"
) -> None:
    """Take what the metadata of a Micro-Manager frame state, of whatever generation.

    Only properties that mean one thing are taken. `Gain` and `Offset` are registers without
    unit on many cameras; they count where the adapter is known to give them in our units.

    Parameters
    ----------
    into
        Where the statements go.
    tags
        Metadata of one frame, or the summary of pymmcore-plus, as they are written.
    source
        Who states it, as an error names it.
    """
    flat = flat_tags(tags)
    camera = flat.get("Camera") or flat.get("Core-Camera")
    label = camera if isinstance(camera, str) else ""
    binned = binning_of(flat.get(f"{label}-Binning", flat.get("Binning", "")))
    if binned is not None and "binning" not in into.details:
        into.binning = binned[0]
        into.details["binning"] = str(flat.get(f"{label}-Binning", flat.get("Binning")))[:100]
    if into.region is None and binned in (None, (1, 1)):
        into.region = region_of(flat.get("ROI"))
    _state_sides(into, flat.get("PixelSizeUm"), height_over_width(flat), binned, source)
    into.state_exposure(flat.get("Exposure-ms"))
    if label:
        into.details.setdefault("camera", label[:100])
        into.state_exposure(flat.get(f"{label}-Exposure"))
        into.state_pixel(flat.get(f"{label}-PixelSize_nm"), "nm", "the camera")
        for name, value, at_least in stated_by_camera(flat, label):
            into.state(name, value, at_least=at_least)
        for name in ("CameraName", "CameraID"):
            if f"{label}-{name}" in flat:
                into.details.setdefault(name.lower(), str(flat[f"{label}-{name}"])[:100])
        into.usual = into.usual or usual_values(label, flat, binning=into.binning)


def add_micromanager_summary(into: Statements, summary: Mapping[str, object]) -> None:
    """Take what the summary of a Micro-Manager movie states, after what its frames state.

    Properties in it are those at the start; a frame has its own.
    """
    add_micromanager(into, summary, "the summary of Micro-Manager")


def _state_sides(
    into: Statements,
    size_um: object,
    height_over_width: float,
    binned: tuple[int, int] | None,
    source: str,
) -> None:
    """Take the pixel of Micro-Manager, which states one number whatever its sides."""
    number = as_number(size_um)
    columns, rows = binned or (1, 1)
    shortest = min(columns, rows)
    if number is None:
        return
    into.state_pixel(
        number * columns / shortest,
        "um",
        source,
        height=number * height_over_width * rows / shortest,
    )


def add_pymmcore(into: Statements, attributes: Mapping[str, object]) -> None:
    """Take what pymmcore-plus and ome-writers state in the attributes of an OME-Zarr."""
    ours = attributes.get("pymmcore_plus")
    summary = ours.get("summary_metadata") if isinstance(ours, Mapping) else None
    if isinstance(summary, Mapping):
        add_micromanager(into, summary, "pymmcore-plus")
    writer = attributes.get("ome_writers")
    frames = writer.get("frame_metadata") if isinstance(writer, Mapping) else None
    if isinstance(frames, list) and frames and isinstance(frames[0], Mapping):
        add_micromanager(into, frames[0], "pymmcore-plus")
        into.state_exposure(frames[0].get("exposure_time"), "s")


def add_ome_xml(into: Statements, xml: str) -> None:
    """Take pixel size, exposure and the summary of pymmcore-plus from OME-XML."""
    # Up to the next bracket of either kind: a text full of "<Plane" is searched once, not squared.
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^<>]*>", xml)
    if pixels:
        # The schema's default unit is the micrometre.
        into.state_pixel(
            _attribute(pixels[0], "PhysicalSizeX"),
            _attribute(pixels[0], "PhysicalSizeXUnit") or "µm",
            "OME-XML",
            height=_attribute(pixels[0], "PhysicalSizeY"),
            height_unit=_attribute(pixels[0], "PhysicalSizeYUnit") or "µm",
        )
    plane = re.search(r"<(?:\w+:)?Plane\b[^<>]*\bExposureTime=[^<>]*>", xml)
    if plane:
        unit = _attribute(plane[0], "ExposureTimeUnit") or "s"
        into.state_exposure(_attribute(plane[0], "ExposureTime"), unit)
    if summary := summary_in_xml(xml):
        add_micromanager(into, summary, "pymmcore-plus")


def _attribute(tag: str, name: str) -> str | None:
    found = re.search(rf"""\s{name}\s*=\s*["']([^"']*)["']""", tag)
    return found[1] if found else None


def add_picasso(into: Statements, keys: Mapping[str, str]) -> None:
    """Take what a Picasso sidecar states: e = (ADU - Baseline) * Sensitivity / Gain."""
    into.state_pixel(keys.get("Pixelsize", keys.get("Camera.Pixelsize")), "nm", "the sidecar")
    into.state("offset_adu", keys.get("Baseline"))
    into.state("e_per_adu", keys.get("Sensitivity"))
    into.state("em_gain", keys.get("Gain"), at_least=1)
    into.state_exposure(keys.get("Camera.Integration Time"))
    if "Camera" in keys:
        into.details["camera"] = keys["Camera"]


def flat_yaml(path: Path) -> dict[str, str]:
    """Return the `key: value` lines of the first document of a YAML file, as text.

    Picasso writes its sidecars as one such block. Reading lines needs no YAML parser, so
    neither anchors that multiply nor deep nesting can do harm, and a block that is cut
    short still gives what it holds.

    Raises
    ------
    FileFormatError
        If the file cannot be read as text.
    """
    keys: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            # 64 KiB: longer "lines" are lists or something else than a sidecar.
            while line := lines.readline(65536):
                if line.startswith("---") and keys:
                    break
                found = re.match(r"([A-Za-z][\w .-]{0,80}):[ \t]+(\S.*)", line)
                if found:
                    value = found[2].strip()
                    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
                    keys.setdefault(found[1], value[1:-1] if quoted else value)
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read as a sidecar: {one_line(error)}"
        raise FileFormatError(message) from error
    return keys
