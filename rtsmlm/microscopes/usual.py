"""Usual values: what the database knows of a camera that a file or a core names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rtsmlm.calibration import UsualValue
from rtsmlm.microscopes.database import known_cameras
from rtsmlm.microscopes.known_camera import Figure, KnownCamera

NAMING = ("CameraName", "CameraID", "Camera", "CameraModel", "ChipName", "Chip Name", "Name")
"""Properties of a camera that name it: model, chip, or serial number."""
_OBJECTIVE = re.compile(r"nose|objective|turret", re.IGNORECASE)
_MAGNIFICATION = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s*[x×]", re.IGNORECASE)


def cameras_of(
    label: str, properties: Mapping[str, str], more_names: Iterable[str] = ()
) -> list[KnownCamera]:
    """Return the entries of the database for a camera, the user's own first.

    Parameters
    ----------
    label
        Label of the camera.
    properties
        Its properties, values by their names.
    more_names
        Further texts that name it, such as its device in the adapter.
    """
    named = (properties[name] for name in NAMING if name in properties)
    names = tuple(str(name) for name in (label, *named, *more_names) if name)
    return [one for one, _ in known_cameras() if one.is_named(names, properties)]


def usual_values(
    label: str,
    tags: Mapping[str, object],
    *,
    binning: int = 1,
    more_names: Iterable[str] = (),
) -> tuple[UsualValue, ...]:
    """Return what cameras of this model have, for what nothing else states.

    Parameters
    ----------
    label
        Label of the camera.
    tags
        Properties of all devices by "Device-Property".
    binning
        Pixels of the chip a side that go into one.
    more_names
        Further texts that name the camera.

    Returns
    -------
    :
        Values in the units of `CameraCalibration`, each with its source; of binned pixels their
        size alone.

    Raises
    ------
    ConfigError
        If a file of the user's own microscopes is wrong.
    """
    properties = properties_of(label, tags)
    figures: dict[str, tuple[Figure, str]] = {}
    for camera in cameras_of(label, properties, more_names):
        for name, figure in camera.figures_with(properties, binned=binning > 1).items():
            figures.setdefault(name, (figure, camera.name))
        if camera.kind not in ("EMCCD", "simulated"):
            one = Figure(1.0, f"{camera.kind} cameras do not multiply electrons")
            figures.setdefault("em_gain", (one, camera.name))
    values = [
        UsualValue(name, figures[name][0].value, figures[name][1], figures[name][0].source)
        for name in ("offset_adu", "e_per_adu", "em_gain", "read_noise_e")
        if name in figures
    ]
    pixel = _pixel(figures, tags, binning)
    return (*values, pixel) if pixel else tuple(values)


def properties_of(label: str, tags: Mapping[str, object]) -> dict[str, str]:
    """Return the properties of one device of all those of "Device-Property"."""
    start = f"{label}-"
    return {k.removeprefix(start): str(v) for k, v in tags.items() if k.startswith(start)}


def is_objective(label: str) -> bool:
    """Tell whether a device is called as one that changes objectives is."""
    return _OBJECTIVE.search(label) is not None


def magnification_of(tags: Mapping[str, object]) -> tuple[float, str] | None:
    """Return the magnification that the label of an objective in use states, and that label.

    None where no objective states one, or several state different ones.
    """
    found: dict[float, str] = {}
    for key, value in tags.items():
        device, _, name = key.rpartition("-")
        if name != "Label" or not is_objective(device):
            continue
        if match := _MAGNIFICATION.search(str(value)):
            found.setdefault(float(match[1]), f"{key} = {value}")
    if len(found) != 1:
        return None
    times, label = next(iter(found.items()))
    return (times, label) if times >= 1 else None


def _pixel(
    figures: Mapping[str, tuple[Figure, str]], tags: Mapping[str, object], binning: int
) -> UsualValue | None:
    """Return the pixel in the sample plane, where chip and magnification are known."""
    if "pixel_um" not in figures:
        return None
    chip, camera = figures["pixel_um"]
    if "magnification" in figures:
        lens = figures["magnification"][0]
        times, by = lens.value, lens.source
    elif (found := magnification_of(tags)) is not None:
        times, by = found
    else:
        return None
    binned = f", binning {binning}" if binning > 1 else ""
    return UsualValue(
        "pixel_nm",
        float(f"{1000 * chip.value * binning / times:.6g}"),
        camera,
        f"{chip.value:g} um on the chip ({chip.source}), magnified {times:g} times ({by}){binned}",
    )
