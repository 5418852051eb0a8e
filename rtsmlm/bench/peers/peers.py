"""Other programs to compare with, each in a process of its own: none is imported here."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal, TypedDict

import numpy as np

from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.errors import ConfigError, LocalizerError, WorkerError
from rtsmlm.localizations import Localizations
from rtsmlm.realtime.child_process import ChildProcess

HERE = Path(__file__).parent
START_S = 300.0
"""Importing it on a cold disk, and compiling what it compiles."""
ANSWER_S = 3600.0
"""The slowest fit of the longest movie that is compared."""
LEAVE_S = 10.0

_log = logging.getLogger(__name__)


class PeerSettings(TypedDict, total=False):
    """Settings of a peer's script; which it takes, the script says."""

    method: str
    fastest: bool
    sigma_px: float
    n_emitters: int
    threads: int


class PeerJob(TypedDict, total=False):
    """A line to a peer."""

    kind: Literal["localize", "speed"]
    """Tables are wanted, or times."""
    movie: str
    """Path of the frames and their calibration."""
    out: str
    """Path for the tables."""
    settings: PeerSettings


class PeerAnswer(TypedDict, total=False):
    """A line of a peer: its version first, then for each job an error, a path or a time."""

    version: str
    error: str
    done: str
    seconds: float
    n_localizations: int
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerMethod:
    """One method of a peer that is compared."""

    column: str
    """Name in the tables."""
    settings: PeerSettings


PEERS: dict[str, tuple[PeerMethod, ...]] = {
    "picasso": (
        PeerMethod(column="Picasso MLE", settings={"method": "gaussmle"}),
        PeerMethod(column="Picasso LQ", settings={"method": "gausslq"}),
    ),
    "smappy": (PeerMethod(column="smappy", settings={}),),
}
"""Package that must be importable, and the methods that are compared."""

SPEED_PEERS: dict[str, tuple[PeerMethod, ...]] = {
    "picasso": PEERS["picasso"],
    "smappy": (
        PeerMethod(column="smappy", settings={"fastest": True}),
        PeerMethod(column="smappy, defaults", settings={"fastest": False}),
    ),
}
"""The same for speed: at the fastest settings that find the emitters, and at defaults."""

PIP_NAMES = {"picasso": "picassosr", "smappy": "smappy-smlm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTiming:
    """How long a peer took for a movie."""

    seconds: float
    """Best of several calls after one that does not count."""
    n_localizations: int
    how: str
    """Its settings that were fastest."""


class Peer:
    """A running peer; see `start_peer`."""

    def __init__(self, child: ChildProcess, folder: Path, errors: IO[str], version: str) -> None:
        self._child = child
        self._folder = folder
        self._errors = errors
        self.version = version

    def localize(self, scene: Scene, settings: PeerSettings) -> Iterator[tuple[str, Localizations]]:
        """Yield a table for each of the peer's settings that were tried.

        Parameters
        ----------
        scene
            What is to be localized.
        settings
            Of the peer's script; the PSF width is added.

        Raises
        ------
        LocalizerError
            If the peer fails.
        """
        out = self._folder / "found.npz"
        self._answered({**self._job("localize", scene, settings), "out": str(out)})
        with np.load(out, allow_pickle=False) as found:
            for number, name in enumerate(found["names"]):
                yield str(name), _table(found, number, scene)

    def time(self, scene: Scene, settings: PeerSettings) -> PeerTiming:
        """Return how long the peer takes, measured in its process around its fit alone.

        Parameters
        ----------
        scene
            What is to be localized.
        settings
            Of the peer's script, with `threads`; PSF width and number of emitters are added.

        Raises
        ------
        LocalizerError
            If the peer fails.
        """
        answer = self._answered(self._job("speed", scene, settings))
        return PeerTiming(
            seconds=float(answer["seconds"]),
            n_localizations=int(answer["n_localizations"]),
            how=str(answer["how"]),
        )

    def _job(
        self, kind: Literal["localize", "speed"], scene: Scene, settings: PeerSettings
    ) -> PeerJob:
        movie = self._folder / "movie.npz"
        calibration = scene.calibration
        np.savez(
            movie,
            pixels=scene.batch.pixels,
            offset_adu=np.asarray(calibration.offset_adu),
            e_per_adu=np.asarray(calibration.e_per_adu),
            em_gain=np.asarray(calibration.em_gain),
            read_noise_e=np.asarray(calibration.read_noise_e),
        )
        sigma_px = scene.sigma_nm / calibration.pixel_nm
        known: PeerSettings = {"sigma_px": sigma_px, "n_emitters": len(scene.truth)}
        return {"kind": kind, "movie": str(movie), "settings": {**settings, **known}}

    def _answered(self, job: PeerJob) -> PeerAnswer:
        answer = self._ask(job)
        if "error" in answer:
            raise LocalizerError(f"{self.version} failed: {answer['error']}")
        return answer

    def _ask(self, job: PeerJob) -> PeerAnswer:
        self._child.write_line(json.dumps(job))
        try:
            line = self._child.read_line(ANSWER_S)
        except WorkerError as error:
            raise LocalizerError(f"{self.version}: {error}") from error
        if line is None:
            raise LocalizerError(f"{self.version} has ended: {last_words(self._errors)}")
        answer: PeerAnswer = json.loads(line)
        return answer


@contextmanager
def start_peer(
    package: str, python: Path | None = None, script: Path | None = None
) -> Iterator[Peer]:
    """Start a peer and end it again.

    Parameters
    ----------
    package
        Name in `PEERS`.
    python
        Interpreter in which it is installed; not given takes this one.
    script
        File with what `peer_loop` asks for; not given takes the one that ships.

    Raises
    ------
    ConfigError
        If the peer is not installed there.
    """
    if python is None and script is None and find_spec(package) is None:
        raise ConfigError(
            f"{package} is not installed here; {_how_to_get(package)}name the interpreter of an "
            "environment that has it"
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copy(script or HERE / f"peer_{package}.py", folder / "peer_script.py")
        shutil.copy(HERE / "peer_loop.py", folder)
        with (folder / "errors.txt").open("w+", encoding="utf-8", errors="replace") as errors:
            child = _start(package, python or Path(sys.executable), folder, errors)
            try:
                yield Peer(child, folder, errors, _version(package, child, errors))
            finally:
                _end(child)


def last_words(errors: IO[str]) -> str:
    """Return the last line that a process wrote to its errors."""
    errors.flush()
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _start(package: str, python: Path, folder: Path, errors: IO[str]) -> ChildProcess:
    try:
        return ChildProcess(
            f"{package} process",
            [str(python), "peer_loop.py", "peer_script"],
            cwd=folder,
            stderr=errors,
            # The windows of a peer are never shown.
            env={**os.environ, "MPLBACKEND": "Agg", "QT_QPA_PLATFORM": "offscreen"},
        )
    except WorkerError as error:
        raise ConfigError(str(error)) from error


def _version(package: str, child: ChildProcess, errors: IO[str]) -> str:
    """Return the version that a peer states once it is imported."""
    try:
        line = child.read_line(START_S)
    except WorkerError as error:
        raise ConfigError(f"{package} cannot be used: {error}") from error
    if line is None:
        child.wait(LEAVE_S)  # its last words are written by then
        hint = f"; {_how_to_get(package)}name another interpreter" if package in PIP_NAMES else ""
        raise ConfigError(f"{package} cannot be used: {last_words(errors)}{hint}")
    return str(json.loads(line)["version"])


def _how_to_get(package: str) -> str:
    return f"pip install {PIP_NAMES[package]}, or " if package in PIP_NAMES else ""


def _end(child: ChildProcess) -> None:
    try:
        child.close(LEAVE_S)
    except WorkerError as error:  # its tables are in by now
        _log.warning("%s", error)


def _table(found: Any, number: int, scene: Scene) -> Localizations:
    """Return one table of an answer; the peer counts frames by position, we by number."""
    prefix = f"{number}."
    columns = {key[len(prefix) :]: found[key] for key in found.files if key.startswith(prefix)}
    frame = scene.batch.index[columns.pop("frame").astype(np.int64)]
    in_nm = {
        name.replace("_px", "_nm"): columns.pop(name) * scene.calibration.pixel_nm
        for name in ("x_px", "y_px", "std_x_px", "std_y_px")
        if name in columns
    }
    return Localizations.from_columns({"frame": frame, **in_nm, **columns})
