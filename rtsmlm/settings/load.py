"""Settings from TOML files and the command line."""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtsmlm.errors import ConfigError
from rtsmlm.settings.run import RunSettings
from rtsmlm.settings.suggest import nearest, siblings, suggestion

MOST_BYTES = 4 << 20
"""A configuration has a few kB; the map of a camera is a file of its own."""

_UNKNOWN = "extra_forbidden"
"""What pydantic calls a key that is no setting."""

# A refused value is quoted, but not all of a long one.
_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 120


def packaged(name: str) -> Path:
    """Return the path of a file of `rtsmlm.configs`.

    Raises
    ------
    ConfigError
        If no such file ships with rtsmlm.
    """
    folder = Path(str(resources.files("rtsmlm.configs")))
    path = folder / name
    if Path(name).name != name:
        raise ConfigError(f"there is no file {name}")
    if not path.is_file():
        kind = ".cfg" if name.endswith(".cfg") else ".toml"
        there = sorted(p.name for p in folder.iterdir() if p.suffix == kind)
        meant = nearest(name, there) or nearest(name + kind, there)
        raise ConfigError(
            f"no file {name} here{f': did you mean {meant}?' if meant else ';'} "
            f"packaged configurations: {', '.join(there)}"
        )
    return path


def load(
    path: Path | Iterable[Path] | None = None,
    overrides: Iterable[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> RunSettings:
    """Read a run configuration and apply overrides.

    Parameters
    ----------
    path
        TOML file, or several, of which later ones win; a bare name that is not a file here is
        looked up among the packaged ones. None takes all defaults.
    overrides
        `section.key=value` texts; the value is read as TOML, and as text where it is no TOML.
    defaults
        Sections that differ for one command; the files win over them.

    Raises
    ------
    ConfigError
        If a file cannot be read or a setting is unknown or out of its limits.
    """
    data: dict[str, Any] = {section: dict(keys) for section, keys in (defaults or {}).items()}
    paths = [] if path is None else [path] if isinstance(path, Path) else list(path)
    files = [p if p.exists() else packaged(p.name) if p.name == str(p) else p for p in paths]
    for file in files:
        merge(data, _with_absolute_paths(_read(file), file.parent))
    texts = tuple(overrides)
    for text in texts:
        merge(data, parse_override(text))
    return from_mapping(data, ", ".join([*map(str, files), *texts]) or "the defaults")


def _read(file: Path) -> dict[str, Any]:
    """Return what a TOML file holds."""
    if not file.exists():
        raise ConfigError(f"there is no configuration {file}")
    if file.is_dir():
        raise ConfigError(
            f"{file} is a folder; give a file, such as {file / 'run.toml'} of a finished run"
        )
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has {file.stat().st_size} bytes, settings at most {MOST_BYTES}")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    # Not TOML, not text, a number of thousands of digits, or nested thousands deep.
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the configuration {file}: {error}") from error


def load_over(settings: RunSettings, overrides: Iterable[str]) -> RunSettings:
    """Return settings with some of them changed, as `load` does with `overrides`.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of its limits.
    """
    texts = tuple(overrides)
    if not texts:
        return settings
    data = settings.model_dump(mode="python", exclude_none=True)
    for text in texts:
        merge(data, parse_override(text))
    return from_mapping(data, ", ".join(texts))


def from_mapping(data: Mapping[str, Any], source: str = "the settings") -> RunSettings:
    """Validate plain data into settings; `source` names it in the error."""
    try:
        return RunSettings.model_validate(data)
    except ValidationError as error:
        unknown_first = sorted(error.errors(), key=lambda e: e["type"] != _UNKNOWN)
        lines = [_fault(dict(e)) for e in unknown_first]
        if "analysis" in data:
            lines.append("the section [analysis] is called [pipeline]")
        raise ConfigError(f"wrong settings in {source}: " + "; ".join(lines)) from error


def _fault(error: Mapping[str, Any]) -> str:
    """Return what is wrong with one setting, and what was probably meant."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == _UNKNOWN:
        what = "section" if isinstance(error["input"], Mapping) else "setting"
        if meant := suggestion(RunSettings, error["loc"]):
            return f"unknown {what} {name}: did you mean {meant}?"
        return f"unknown {what} {name}; there are {siblings(RunSettings, error['loc'])}"
    return f"{name}: {error['msg'].lower()} (got {_shown.repr(error['input'])})"


def merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Write plain data over other data, section by section."""
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def parse_override(text: str) -> dict[str, Any]:
    """Return the data of `section.key=value`; the value is read as TOML, else as text.

    Raises
    ------
    ConfigError
        If it is not written so.
    """
    name, equals, raw = text.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not equals or len(keys) < 2 or not all(keys):
        raise ConfigError(f"--set {text!r} is not section.key=value, like camera.pixel_nm=108")
    # A device property is "Device.Property": everything after the section's mapping is one key.
    if keys[:2] == ["micromanager", "properties"] and len(keys) > 3:
        keys = [*keys[:2], ".".join(keys[2:])]
    value = None if raw.strip().lower() == "none" else _parse_value(raw)
    result: dict[str, Any] = {keys[-1]: value}
    for key in reversed(keys[:-1]):
        result = {key: result}
    return result


def _parse_value(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw.strip()}")["value"]
    except (ValueError, RecursionError):  # no TOML, or a number that cannot be
        text = raw.strip()
        return [part.strip() for part in text.split(",")] if "," in text else text


def _with_absolute_paths(data: dict[str, Any], base: Path) -> dict[str, Any]:
    """Make the file paths of a configuration relative to the file that names them."""

    def rebase(table: Any, key: str, *, if_there: bool) -> None:
        value = table.get(key) if isinstance(table, dict) else None
        if isinstance(value, str) and ((base / value).is_file() or not if_there):
            table[key] = str((base / value).resolve())

    rebase(data.get("replay"), "movie", if_there=True)
    rebase(data.get("micromanager"), "config", if_there=True)
    localizer = data.get("localizer")
    name = localizer.get("name") if isinstance(localizer, dict) else None
    if isinstance(name, str) and name and (base / name / "manifest.toml").is_file():
        data["localizer"]["name"] = str((base / name).resolve())  # a model folder
    rebase(data.get("results"), "widefield", if_there=True)
    rebase(data.get("psf"), "table", if_there=True)
    camera = data.get("camera")
    rebase(camera, "wrong_pixels", if_there=True)
    each = camera.get("each") if isinstance(camera, dict) else None
    for one in (camera, *(each if isinstance(each, list) else ())):
        maps = one.get("maps") if isinstance(one, dict) else None
        for key in ("offset", "gain", "variance", "stack"):
            rebase(maps, key, if_there=False)
    return data
