"""Metadata of all generations of Micro-Manager as one: plain values by `Device-Property`.

1.4 and today's 2.0 write "Andor-Gain": "200". 2.0 beta and gamma write properties as objects, alone
("PropVal"), in groups ("ScopeData"), or as a property map ("map", "scalar"). pymmcore-plus writes
lists of devices or of properties, and names of its own for what all frames have.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping

_GROUPS = ("map", "ScopeData", "InitialScopeData", "scopeData", "DevicePropertyData")
"""Objects that hold properties as a frame does."""
_VALUES = ("PropVal", "propVal", "scalar", "value")
"""Where an object that stands for one value has it."""
_SAME = {
    "camera_device": "Camera",
    "camera_label": "Camera",
    "pixel_size_um": "PixelSizeUm",
    "pixelSizeUm": "PixelSizeUm",
    "PixelSize_um": "PixelSizeUm",
    "exposure_ms": "Exposure-ms",
    "Exposure": "Exposure-ms",
    "exposureMs": "Exposure-ms",
    "binning": "Binning",
    "roi": "ROI",
    "pixel_size_affine": "PixelSizeAffine",
    "pixelAspect": "PixelAspect",
}
"""Other names of the general keys, which are those of 1.4."""
_MEAN_ONE_THING = (
    ("offset_adu", "Offset_ADU"),
    ("e_per_adu", "ElectronsPerADU"),
    ("read_noise_e", "ReadNoise_e"),
    ("em_gain", "EMGain"),
    # Hamamatsu DCAM states electrons per ADU and the dark value, for the binning in use;
    # Photometrics PVCAM electrons per ADU for the port and speed in use.
    ("e_per_adu", "CONVERSION FACTOR COEFF"),
    ("offset_adu", "CONVERSION FACTOR OFFSET"),
    ("e_per_adu", "Actual Gain e/ADU"),
)
"""Properties of cameras in our units, whatever else the camera states."""
_MOST_GROUPS = 4
"""Groups within groups; more is no metadata of a camera."""
_AFFINE_ERROR = 0.1
"""Relative error of the sides of a pixel that were measured by moving a stage."""


def flat_tags(tags: Mapping[str, object], _depth: int = 0) -> dict[str, object]:
    """Return metadata of a frame or of a summary, of any generation, as plain values.

    Parameters
    ----------
    tags
        As a file has them.

    Returns
    -------
    :
        General keys by the names of Micro-Manager 1.4, device properties as "Device-Property". What
        the frame states itself comes before what a group in it states.
    """
    flat: dict[str, object] = {}
    for key, value in tags.items():
        if key in _GROUPS or key in ("devices", "property_values", "image_infos"):
            continue
        flat.setdefault(_SAME.get(key, key), _plain(value))
    for label, name, value in (*_of_devices(tags), *_of_properties(tags)):
        flat.setdefault(f"{label}-{name}", _plain(value))
    inside = [tags.get(group) for group in (*_GROUPS, "camera_metadata")]
    infos = tags.get("image_infos")
    inside += infos[:1] if isinstance(infos, list) else []
    for group in inside:
        if isinstance(group, Mapping) and _depth < _MOST_GROUPS:
            for key, value in flat_tags(group, _depth + 1).items():
                flat.setdefault(key, value)
    return flat


def _plain(value: object) -> object:
    """Return the value that an object stands for."""
    if isinstance(value, Mapping):
        return next((value[name] for name in _VALUES if name in value), value)
    return value


def _of_devices(tags: Mapping[str, object]) -> Iterable[tuple[object, object, object]]:
    """Yield label, property and value of the devices of a pymmcore-plus summary."""
    for device in _objects(tags.get("devices")):
        for found in _objects(device.get("properties")):
            yield device.get("label"), found.get("name"), found.get("value")


def _of_properties(tags: Mapping[str, object]) -> Iterable[tuple[object, object, object]]:
    """Yield label, property and value of the properties of a pymmcore-plus frame."""
    for found in _objects(tags.get("property_values")):
        yield found.get("dev"), found.get("prop"), found.get("val")


def _objects(value: object) -> list[Mapping[str, object]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list | tuple) else []


def stated_by_camera(flat: Mapping[str, object], label: str) -> Iterator[tuple[str, object, float]]:
    """Yield what the properties of a camera state, of those that mean one thing.

    Parameters
    ----------
    flat
        Metadata as `flat_tags` returns them.
    label
        Label of the camera.

    Yields
    ------
    :
        Name in `StatedCalibration`, value as it is written, and the least value that can be meant.
    """

    def text(key: str) -> str:
        return str(flat.get(f"{label}-{key}", "")).strip().lower()

    for name, key in _MEAN_ONE_THING:
        yield name, flat.get(f"{label}-{key}"), 1.0 if name == "em_gain" else 0.0
    # Andor: Gain is the real EM gain while EMSwitch is on, at the amplifier that multiplies.
    # Photometrics: MultiplierGain on an EM port. Below 1 such a property means "off", not a gain.
    amplifier = text("Output_Amplifier")
    if text("EMSwitch") == "off" or amplifier == "conventional":
        yield "em_gain", 1, 1.0
    elif text("EMSwitch") == "on" or amplifier.startswith("electron multipl"):
        yield "em_gain", flat.get(f"{label}-Gain"), 1.0
    elif text("Port").startswith(("em", "multiplication", "electron multipl")):
        yield "em_gain", flat.get(f"{label}-MultiplierGain"), 1.0


def region_of(value: object) -> tuple[int, int, int, int] | None:
    """Return a region of interest, None where it is none.

    Parameters
    ----------
    value
        "x-y-width-height" as a frame has it, or the four numbers.
    """
    numbers = re.findall(r"\d+", value) if isinstance(value, str) else value
    if not isinstance(numbers, list | tuple) or len(numbers) != 4:
        return None
    try:
        x, y, width, height = (int(number) for number in numbers)
    except (TypeError, ValueError, OverflowError):
        return None
    return (x, y, width, height) if min(x, y) >= 0 and min(width, height) > 0 else None


def summary_in_xml(xml: str) -> Mapping[str, object]:
    """Return the summary that pymmcore-plus puts into OME-XML, empty where there is none."""
    start = re.search(r'<M K="summary_metadata(_json)?">', xml)
    stop = -1 if start is None else xml.find("</M>", start.end())
    if start is None or stop < 0:
        return {}
    try:
        summary = json.loads(html.unescape(xml[start.end() : stop]))
    except (ValueError, RecursionError):
        return {}
    return summary if isinstance(summary, dict) else {}


def binning_of(value: object) -> tuple[int, int] | None:
    """Return columns and rows that were binned into one, of "2", "2x2" or 2; None where unknown."""
    found = re.fullmatch(r"\s*(\d{1,3})(?:\s*[xX×,]\s*(\d{1,3}))?\s*", str(value))
    if found is None:
        return None
    columns = int(found[1])
    rows = int(found[2] or found[1])
    return (columns, rows) if columns > 0 and rows > 0 else None


def height_over_width(tags: Mapping[str, object]) -> float:
    """Return how much higher than wide a pixel is by flat metadata: aspect, else affine, else 1."""
    aspect = _number(tags.get("PixelAspect"))
    if aspect is not None and aspect > 0 and aspect != 1:
        return aspect
    affine = tags.get("PixelSizeAffine")
    parts = re.split(r"[;,_]", affine) if isinstance(affine, str) else affine
    numbers = [_number(part) for part in parts] if isinstance(parts, list | tuple) else []
    if len(numbers) < 5 or None in numbers:
        return 1.0
    # Two rows: the way of the stage along x, and along y, by column, row and one.
    a, b, _, d, e = (float(number or 0.0) for number in numbers[:5])
    width, height = math.hypot(a, d), math.hypot(b, e)
    if not (width > 0 and height > 0):
        return 1.0
    return height / width if abs(height / width - 1) > _AFFINE_ERROR else 1.0


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
