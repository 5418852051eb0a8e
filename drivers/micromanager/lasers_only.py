"""A core that holds the lasers of a configuration and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pymmcore_plus import CMMCorePlus

from rtsmlm.drivers.micromanager.core import load_core, release_core
from rtsmlm.plugins import CoreSource
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.lasers import LaserSettings
from rtsmlm.settings.load import packaged


def lasers_alone(text: str, labels: Iterable[str]) -> str:
    """Return the part of a Micro-Manager configuration that loads some devices and sets nothing.

    Hubs and ports on which they depend are kept, with what must be set before they start.

    Parameters
    ----------
    text
        A configuration file.
    labels
        Labels of the devices.
    """
    lines = [line.strip() for line in text.splitlines()]
    fields = [line.removeprefix("#py ").split(",") for line in lines]
    begins = [k for k, f in enumerate(fields) if f[:4] == ["Property", "Core", "Initialize", "1"]]
    before = begins[0] if begins else len(lines)
    devices = {f[1] for f in fields if f[0] in {"Device", "pyDevice"} and len(f) > 1}
    wanted = set(labels)
    while True:
        hubs = {f[2] for f in fields if f[0] == "Parent" and len(f) > 2 and f[1] in wanted}
        ports = {
            f[3]
            for f in fields[:before]
            if f[0] == "Property" and len(f) > 3 and f[1] in wanted and f[3] in devices
        }
        if (more := wanted | hubs | ports) == wanted:
            break
        wanted = more
    kept = [
        line
        for k, (line, f) in enumerate(zip(lines, fields, strict=True))
        if f[:3] == ["Property", "Core", "Initialize"]
        or (len(f) > 1 and f[1] in wanted and (f[0] in {"Device", "pyDevice", "Parent"}))
        or (f[0] == "Property" and k < before and len(f) > 1 and f[1] in wanted)
    ]
    return "\n".join(kept) + "\n"


@contextmanager
def core_of_lasers(
    micromanager: MicroManagerSettings, lasers: Iterable[LaserSettings]
) -> Iterator[CoreSource]:
    """Give out a core that holds the lasers and nothing else, and release it in the end.

    It is loaded when the first driver asks for it: lasers with a driver of their own need no
    Micro-Manager. One that cannot be loaded raises `RtsmlmError` to everyone who asks.

    Parameters
    ----------
    micromanager
        The configuration that has more than the lasers.
    lasers
        Those to be loaded, with their shutters and pulse devices.
    """
    labels = [
        label
        for laser in lasers
        for label in (laser.device, laser.shutter, laser.pulse_device)
        if label is not None
    ]
    loaded: list[CMMCorePlus | Exception] = []

    def core() -> CMMCorePlus:
        if not loaded:
            try:
                loaded.append(_load_alone(micromanager, labels))
            except Exception as error:  # drivers raise what they like; no second try takes as long
                loaded.append(error)
        if isinstance(loaded[0], Exception):
            raise loaded[0]
        return loaded[0]

    try:
        yield core
    finally:
        if loaded and not isinstance(loaded[0], Exception):
            release_core(loaded[0])


def _load_alone(micromanager: MicroManagerSettings, labels: Iterable[str]) -> CMMCorePlus:
    source = Path(micromanager.config)
    text = (source if source.is_file() else packaged(str(source))).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="rtsmlm-") as folder:
        path = Path(folder) / "lasers.cfg"
        path.write_text(lasers_alone(text, labels), encoding="utf-8")
        return load_core(micromanager.model_copy(update={"config": str(path)}))
