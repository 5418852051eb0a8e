"""The steps of `rtsmlm bench`: what is measured one after the other, with its progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.markup import escape
from rich.progress import Progress, TaskID

from rtsmlm.bench.accuracy.contenders import overrides_of, plain_name, psf_of, with_curves
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.peers.peers import SPEED_PEERS, Peer, PeerMethod, start_peer
from rtsmlm.bench.speed.figures import PeerSpeed, SpeedResult, SpeedRun, Sweep, SweepPoint
from rtsmlm.bench.speed.measure import OnFrames, check_frames, check_rate, flood, paced, sustained
from rtsmlm.bench.speed.scene import MovieKind, speed_scene
from rtsmlm.engines.selection import factory_of
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.settings.load import load
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings

SWEEP_SIZES_PX = (128, 256, 512, 1024)
SWEEP_DENSITIES_UM2 = (0.02, 0.1, 0.5, 1.0, 2.0, 4.0)
SWEEP_SHARE, SWEEP_FRAMES = 4, 50
"""A sweep takes this part of the frames, and at least so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be measured."""

    kind: MovieKind
    n_frames: int
    camera_per_s: float
    engine: str | None = None
    sweep: bool = False

    def check(self, localizers: Sequence[str]) -> None:
        """Raise `ConfigError` if it cannot be measured."""
        self.kind.check()
        check_frames(self.n_frames)
        check_rate(self.camera_per_s)
        for name in localizers:
            factory_of(plain_name(name))
            _settings(name, self.engine)


@dataclass(slots=True)
class Watched:
    """Progress on the screen, and the movies that were drawn."""

    progress: Progress
    notes: list[str] = field(default_factory=list)
    _scenes: dict[MovieKind, Scene] = field(default_factory=dict)

    @contextmanager
    def step(self, what: str) -> Iterator[OnFrames]:
        """Show one step while it is worked on."""
        task: TaskID = self.progress.add_task(escape(what), total=None)
        try:
            yield lambda done, total: self.progress.update(task, completed=done, total=total)
        finally:
            self.progress.remove_task(task)

    def scene(self, kind: MovieKind) -> Scene:
        """Return a movie, drawn once while it is the latest."""
        if kind not in self._scenes:
            self._scenes.clear()
            with self.step("drawing the movie") as on_frames:
                self._scenes[kind] = speed_scene(kind, on_frames=on_frames)
        return self._scenes[kind]


def measure(name: str, task: Task, watched: Watched) -> SpeedResult:
    """Return what one localizer comes to.

    Parameters
    ----------
    name
        As in the settings.
    task
        What to measure.
    watched
        Shows progress, keeps notes.

    Raises
    ------
    RtsmlmError
        If the analysis cannot be started or fails.
    """
    kind = replace(task.kind, astigmatic=psf_of(name) == "astigmatic")
    scene = watched.scene(kind)
    settings = _settings(name, task.engine, scene)
    with watched.step(f"{name}: as fast as it goes") as on_frames:
        flooded = flood(scene, settings, task.n_frames, on_frames)
    with watched.step(f"{name}: highest rate without a skipped frame") as on_frames:
        best = sustained(scene, settings, task.n_frames, flooded.frames_per_s, on_frames)
    with watched.step(f"{name}: latency at {task.camera_per_s:g} frames/s") as on_frames:
        at_rate = paced(scene, settings, task.n_frames, task.camera_per_s, on_frames)
    watched.notes += _notes(name, task, flooded, best, at_rate)
    return SpeedResult(
        localizer=name,
        engine=task.engine or "auto",
        size_px=kind.size_px,
        density_um2=kind.density_um2,
        flood=flooded,
        sustained=best,
        paced=at_rate,
        paced_per_s=task.camera_per_s,
        sweep=_sweep(name, task, watched) if task.sweep else None,
    )


def _notes(
    name: str, task: Task, flooded: SpeedRun, best: SpeedRun | None, at_rate: SpeedRun
) -> list[str]:
    notes = [] if best else [f"no rate was found that {name} keeps up with"]
    if not at_rate.keeps_up:
        notes.append(
            f"{name} does not keep up with {task.camera_per_s:g} frames/s ({at_rate.skipped} of "
            f"{at_rate.received} frames skipped): its latencies there are those of a backlog"
        )
    said = [*flooded.warnings, *(best.warnings if best else ()), *at_rate.warnings]
    return notes + [f"{name}: {text}" for text in dict.fromkeys(said)]


def _sweep(name: str, task: Task, watched: Watched) -> Sweep:
    n_frames = max(SWEEP_FRAMES, task.n_frames // SWEEP_SHARE)

    def point(size_px: int, density_um2: float) -> SweepPoint:
        kind = MovieKind(
            size_px=size_px, density_um2=density_um2, astigmatic=psf_of(name) == "astigmatic"
        )
        scene = watched.scene(kind)
        with watched.step(f"{name}: {size_px} px, {density_um2:g} per um2") as on_frames:
            run = flood(scene, _settings(name, task.engine, scene), n_frames, on_frames)
        return SweepPoint(
            size_px=size_px,
            density_um2=density_um2,
            frames_per_s=run.frames_per_s,
            localizations_per_s=run.frames_per_s * run.localizations_per_frame,
        )

    return Sweep(
        size=tuple(point(size_px, task.kind.density_um2) for size_px in SWEEP_SIZES_PX),
        density=tuple(point(task.kind.size_px, density) for density in SWEEP_DENSITIES_UM2),
    )


def measure_peers(
    kind: MovieKind, pythons: Mapping[str, Path | None], watched: Watched
) -> tuple[list[PeerSpeed], list[str]]:
    """Return the speed of other programs, and their names with versions.

    Parameters
    ----------
    kind
        The movie that they are given.
    pythons
        Package by name with the interpreter in which it is installed, None for this one.
    watched
        Shows progress; one that is missing or fails becomes a note.
    """
    found: list[PeerSpeed] = []
    versions: list[str] = []
    for package, python in pythons.items():
        scene = watched.scene(kind)
        try:
            with start_peer(package, python) as peer:
                versions.append(peer.version)
                for method in SPEED_PEERS[package]:
                    with watched.step(method.column):
                        found.append(time_peer(peer, method, scene))
        except (ConfigError, LocalizerError) as error:
            watched.notes.append(str(error))
    return found, versions


def time_peer(peer: Peer, method: PeerMethod, scene: Scene) -> PeerSpeed:
    """Return the speed of a running peer with one of its methods.

    Raises
    ------
    LocalizerError
        If the peer fails.
    """
    timing = peer.time(scene, method.settings)
    n_frames = len(scene.batch)
    return PeerSpeed(
        name=method.column,
        how=timing.how,
        frames_per_s=n_frames / timing.seconds,
        localizations_per_frame=timing.n_localizations / n_frames,
    )


def _settings(name: str, engine: str | None, scene: Scene | None = None) -> RunSettings:
    """Return the settings of a run; without a scene, to see whether they are right."""
    overrides = [
        *overrides_of(name),
        "stream.address=tcp://127.0.0.1:*",
        # What was restarted is not what was measured.
        "pipeline.max_restarts=0",
    ]
    overrides += [f"localizer.engine={engine}"] * (engine is not None)
    if scene is None:
        return load(None, overrides)
    settings = load(None, [*overrides, f"psf.sigma_nm={scene.sigma_nm}"])
    return resolve(with_curves(settings, scene), calibration=scene.calibration)
