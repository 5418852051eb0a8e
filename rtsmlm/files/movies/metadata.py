"""Camera metadata, read in the formats of the programs that wrote them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.checks import one_line

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

_MS_PER = {"s": 1e3, "ms": 1.0, "µs": 1e-3, "us": 1e-3, "ns": 1e-6, "min": 6e4}


@dataclass(slots=True)
class Statements:
    """Collects what metadata state; implausible values are dropped with a note."""

    values: dict[str, float] = field(default_factory=dict)
    exposure_ms: float | None = None
    details: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def state(self, name: str, value: Any, *, at_least: float = 0.0) -> None:
        """Take a value of `StatedCalibration` if it is a finite number above the limit."""
        number = as_number(value)
        if number is not None and number >= at_least and (number > 0 or name == "offset_adu"):
            self.values.setdefault(name, number)

    def state_pixel(self, value: Any, unit: str, source: str) -> None:
        """Take a pixel size in `unit` if it can be one in the sample plane."""
        number, nm = as_number(value), NM_PER.get(unit.strip().lower())
        if number is None or nm is None or number <= 0 or "pixel_nm" in self.values:
            return
        low, high = PLAUSIBLE_PIXEL_NM
        # Units are decimal: 0.1 um is 100 nm, not 100.00000000000001.
        pixel_nm = float(f"{number * nm:.9g}")
        if low <= pixel_nm <= high:
            self.values["pixel_nm"] = pixel_nm
        else:
            self.notes.append(
                f"{source} states a pixel of {pixel_nm:g} nm, ignored: a pixel in the "
                f"sample plane has {low:g} to {high:g} nm"
            )

    def state_exposure(self, value: Any, unit: str = "ms") -> None:
        """Take an exposure time if it is one."""
        number, ms = as_number(value), _MS_PER.get(unit.strip().lower())
        if self.exposure_ms is None and number is not None and ms is not None and number > 0:
            self.exposure_ms = float(f"{number * ms:.9g}")

    @property
    def stated(self) -> StatedCalibration:
        """What was stated, as a record."""
        return StatedCalibration(**self.values)


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


def add_micromanager(into: Statements, tags: Mapping[str, object]) -> None:
    """Take what the metadata of a Micro-Manager frame state.

    Only properties that mean one thing are taken. `Gain` and `Offset` are registers without
    unit on many cameras; they count where the adapter is known to give them in our units.

    Parameters
    ----------
    into
        Where the statements go.
    tags
        Metadata of one frame: general keys, and device properties as "Device-Property".
    """
    camera = tags.get("Camera") or tags.get("Core-Camera")
    into.state_pixel(tags.get("PixelSizeUm"), "um", "Micro-Manager")
    into.state_exposure(tags.get("Exposure-ms"))
    if not isinstance(camera, str) or not camera:
        return
    into.details["camera"] = camera
    into.state_exposure(tags.get(f"{camera}-Exposure"))

    def text(key: str) -> str:
        return str(tags.get(f"{camera}-{key}", "")).strip().lower()

    # Hamamatsu DCAM states electrons per ADU and the dark value, for the binning in use.
    into.state("e_per_adu", tags.get(f"{camera}-CONVERSION FACTOR COEFF"))
    into.state("offset_adu", tags.get(f"{camera}-CONVERSION FACTOR OFFSET"))
    # Andor: Gain is the real EM gain while EMSwitch is on. Photometrics: MultiplierGain on
    # an EM port. Below 1 such a property means "off", not a gain.
    if text("EMSwitch") == "on":
        into.state("em_gain", tags.get(f"{camera}-Gain"), at_least=1)
    elif text("EMSwitch") == "off":
        into.state("em_gain", 1)
    elif text("Port").startswith(("em", "multiplication")):
        into.state("em_gain", tags.get(f"{camera}-MultiplierGain"), at_least=1)
    for key in ("CameraName", "Binning"):
        if f"{camera}-{key}" in tags:
            into.details[key.lower()] = str(tags[f"{camera}-{key}"])[:100]


def add_ome_xml(into: Statements, xml: str) -> None:
    """Take pixel size and exposure from OME-XML, by its attributes alone."""
    # Up to the next bracket of either kind: a text full of "<Plane" is searched once, not squared.
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^<>]*>", xml)
    if pixels:
        size = _attribute(pixels[0], "PhysicalSizeX")
        # The schema's default unit is the micrometre.
        unit = _attribute(pixels[0], "PhysicalSizeXUnit") or "µm"
        into.state_pixel(size, unit, "OME-XML")
    plane = re.search(r"<(?:\w+:)?Plane\b[^<>]*\bExposureTime=[^<>]*>", xml)
    if plane:
        unit = _attribute(plane[0], "ExposureTimeUnit") or "s"
        into.state_exposure(_attribute(plane[0], "ExposureTime"), unit)


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
