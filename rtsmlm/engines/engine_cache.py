"""Built engines on disk: each with all that it was built from, so that none is used by mistake.

An entry is `<hash>.engine` and `<hash>.toml` beside it: the key in clear, the sha256 of the engine
and the time that it took to build.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import tomli_w

from rtsmlm.errors import SinkError
from rtsmlm.realtime.compiled_code import VARIABLE, user_cache

ENGINE_SUFFIX, RECORD_SUFFIX = ".engine", ".toml"
_PARTIAL_SUFFIX = ".partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """What an engine depends on; one that differs in anything is another engine."""

    runtime: str
    """Package and version, such as "tensorrt_rtx 1.7.1"."""
    target: str
    """GPU or compute capability, such as "sm_89"."""
    model: str
    """Name of the model."""
    model_sha256: str
    """Of the ONNX model as the builder got it."""
    shape: tuple[int, int, int]
    """Frames at once, height and width in pixels, padded."""
    precision: str

    @property
    def name(self) -> str:
        """Name of the files of the entry."""
        return hashlib.sha256(tomli_w.dumps(self.record()).encode()).hexdigest()[:32]

    def record(self) -> dict[str, Any]:
        """Return the key as it is written."""
        return {**asdict(self), "shape": list(self.shape)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """An entry as it lies there."""

    name: str
    record: dict[str, Any]
    """Key, sha256 and time to build; empty where it cannot be read."""
    size_bytes: int
    fault: str
    """Why it is not used; empty if it is whole."""


class EngineCache:
    """Engines in a folder.

    Parameters
    ----------
    folder
        Where they lie; by default what `cache_folder` says. It is made when the first is written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()

    def read(self, key: EngineKey) -> tuple[bytes | None, str]:
        """Return the engine of a key, or None and why; the reason is empty if there is no entry.

        Parameters
        ----------
        key
            What the engine must have been built from.
        """
        if not self._engine(key.name).exists() and not self._record(key.name).exists():
            return None, ""
        data, record, fault = self._load(key.name)
        if not fault and record.get("key") != key.record():
            fault = f"{self._record(key.name)} describes an engine built for something else"
        return (None, fault) if fault else (data, "")

    def write(self, key: EngineKey, engine: bytes, seconds: float) -> Path:
        """Write an engine and what it was built from; return the path of the engine.

        Parameters
        ----------
        key
            What it was built from.
        engine
            The engine as the runtime serializes it.
        seconds
            Time that it took to build.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        record = {
            "key": key.record(),
            "sha256": hashlib.sha256(engine).hexdigest(),
            "seconds": round(seconds, 3),
        }
        path = self._engine(key.name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, engine)
            # Last: an engine without its record is not used.
            _write(self._record(key.name), tomli_w.dumps(record).encode())
        except OSError as error:
            raise SinkError(
                f"cannot write the engine {path}: {error.strerror or error}; free its disk, or "
                f"set {VARIABLE} to another folder"
            ) from error
        return path

    def entries(self) -> Iterator[EngineEntry]:
        """Yield all entries, whole or not."""
        paths = (*self.folder.glob(f"*{ENGINE_SUFFIX}"), *self.folder.glob(f"*{RECORD_SUFFIX}"))
        for name in sorted({path.stem for path in paths}):
            data, record, fault = self._load(name)
            yield EngineEntry(name=name, record=record, size_bytes=len(data), fault=fault)

    def clear(self) -> int:
        """Remove all entries and return how many there were.

        Raises
        ------
        SinkError
            If a file cannot be removed.
        """
        names = set()
        try:
            for suffix in (ENGINE_SUFFIX, RECORD_SUFFIX, _PARTIAL_SUFFIX):
                for path in self.folder.glob(f"*{suffix}"):
                    path.unlink(missing_ok=True)
                    names.add(path.name.partition(".")[0])
        except OSError as error:
            raise SinkError(
                f"cannot remove {error.filename}: {error.strerror}; end the runs that use it"
            ) from error
        return len(names)

    def _load(self, name: str) -> tuple[bytes, dict[str, Any], str]:
        """Return engine, record and what is wrong with them."""
        engine, record = self._engine(name), self._record(name)
        data = b""
        try:
            data = engine.read_bytes()
            stated = tomllib.loads(record.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            return data, {}, f"{error.filename} is missing"
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            return data, {}, f"the engine {engine} cannot be read: {error}"
        if stated.get("sha256") != hashlib.sha256(data).hexdigest():
            return data, stated, f"{engine} is damaged (sha256 differs)"
        return data, stated, ""

    def _engine(self, name: str) -> Path:
        return self.folder / (name + ENGINE_SUFFIX)

    def _record(self, name: str) -> Path:
        return self.folder / (name + RECORD_SUFFIX)


def cache_folder() -> Path:
    """Return where engines lie: `RTSMLM_CACHE`, else the cache of the user."""
    return user_cache() / "engines"


def key_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the key in a record; empty where there is none."""
    key = record.get("key")
    return cast("dict[str, Any]", key) if isinstance(key, dict) else {}


def _write(path: Path, data: bytes) -> None:
    # Two processes may build the same engine at once.
    partial = path.with_name(f"{path.name}.{os.getpid()}{_PARTIAL_SUFFIX}")
    partial.write_bytes(data)
    partial.replace(path)
