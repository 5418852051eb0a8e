"""Simulated lasers of a rehearsal: their light is kept in files, so that it outlives a program."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rtsmlm.files.run.folder import write_text
from rtsmlm.settings.load import packaged
from rtsmlm.settings.run import RunSettings

_MODULES = ("rtsmlm.drivers.simulated.laser", "rtsmlm.drivers.simulated.file_laser")
_BEGIN = "#py Property,Core,Initialize,1"


def with_light_files(settings: RunSettings, folder: Path) -> RunSettings:
    """Return the settings with simulated lasers whose light can be seen from outside.

    A copy of the Micro-Manager configuration names a state file for each of them. Settings of real
    lasers, and of simulated ones that have a state file, are returned as they are.

    Parameters
    ----------
    settings
        Those of a rig.
    folder
        Where the copy and the state files are kept; made where there is none.
    """
    if not settings.lasers:
        return settings
    text = config_text(settings)
    labels = _simulated(text, {laser.device for laser in settings.lasers.values()})
    if not labels or _BEGIN not in text:
        return settings
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"#py Property,{label},StateFile,{folder / label}.json" for label in labels]
    path = folder / "rig.cfg"
    write_text(path, text.replace(_BEGIN, "\n".join([*lines, _BEGIN]), 1))
    micromanager = settings.micromanager.model_copy(update={"config": str(path)})
    return settings.model_copy(update={"micromanager": micromanager})


def config_text(settings: RunSettings) -> str:
    """Return the Micro-Manager configuration of a rig; empty where there is none."""
    source = Path(settings.micromanager.config)
    path = source if source.is_file() else packaged(str(source))
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _simulated(text: str, labels: Iterable[str]) -> list[str]:
    """Return the simulated lasers among some devices that have no state file yet."""
    fields = [line.strip().removeprefix("#py ").split(",") for line in text.splitlines()]
    loaded = {f[1] for f in fields if f[0] == "pyDevice" and len(f) > 3 and f[2] in _MODULES}
    named = {f[1] for f in fields if f[0] == "Property" and len(f) > 3 and f[2] == "StateFile"}
    return sorted((loaded - named) & set(labels))


def with_one_owner(text: str, labels: Iterable[str]) -> str:
    """Return a configuration in which the ports of simulated lasers have one owner at a time."""
    lines = [f"#py Property,{label},Exclusive,1" for label in labels]
    return text.replace(_BEGIN, "\n".join([*lines, _BEGIN]), 1)
