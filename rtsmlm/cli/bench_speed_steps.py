"""The steps of `rtsmlm bench`: what is measured one after the other, with its progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.markup import escape
from rich.progress import Progress, TaskID

from rtsmlm.bench.accuracy.contenders import plain_name, psf_of
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.peers.peers import SPEED_PEERS, Peer, PeerMethod, start_peer
from rtsmlm.bench.speed.crowd import crowd_scene, jaccard
from rtsmlm.bench.speed.figures import PeerSpeed, SpeedResult, SpeedRun
from rtsmlm.bench.speed.measure import OnFrames, check_frames, check_rate, flood, paced, sustained
from rtsmlm.bench.speed.scene import MovieKind, speed_scene
from rtsmlm.bench.speed.sweep import DensityPoint, SizePoint, Sweep, density_point
from rtsmlm.bench.speed.ways import open_named, settings_of, threads_of, ways_of
from rtsmlm.engines.selection import factory_of
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.realtime.cores import usable_cores

SWEEP_SIZES_PX = (256, 512, 1024, 2048)
SWEEP_DENSITIES_UM2 = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0)
SWEEP_SHARE, SWEEP_FRAMES = 4, 80
"""Runs of a sweep take this part of the frames, large frames fewer, and at least so many."""


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
            settings_of(name, self.engine)


@dataclass(slots=True)
class Watched:
    """Progress on the screen, and the movies that were drawn."""

    progress: Progress
    notes: list[str] = field(default_factory=list)
    _scenes: dict[MovieKind, Scene] = field(default_factory=dict)
    _crowds: dict[MovieKind, Scene] = field(default_factory=dict)

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

    def crowd(self, kind: MovieKind) -> Scene:
        """Return the movie with overlaps that belongs to a movie, drawn once."""
        if kind not in self._crowds:
            self._crowds[kind] = crowd_scene(kind)
        return self._crowds[kind]


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
    with watched.step(f"{name}: in a crowd"):
        crowded = watched.crowd(kind)
        localizer = open_named(name, task.engine, crowded)
        found = jaccard(crowded, localizer(crowded.batch))
    scene = watched.scene(kind)
    settings = settings_of(name, task.engine, scene)
    with watched.step(f"{name}: as fast as it goes") as on_frames:
        flooded = flood(scene, settings, task.n_frames, on_frames)
    with watched.step(f"{name}: highest rate without a skipped frame") as on_frames:
        best = sustained(scene, settings, task.n_frames, flooded.frames_per_s, on_frames)
    with watched.step(f"{name}: latency at {task.camera_per_s:g} frames/s") as on_frames:
        at_rate = paced(scene, settings, task.n_frames, task.camera_per_s, on_frames)
    watched.notes += _notes(name, task, flooded, best, at_rate)
    return SpeedResult(
        localizer=name,
        runs=localizer.name,
        size_px=kind.size_px,
        density_um2=kind.density_um2,
        threads=threads_of(localizer),
        jaccard=found,
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
    kind = replace(task.kind, astigmatic=psf_of(name) == "astigmatic")

    def rate_at(size_px: int) -> float:
        scene = watched.scene(replace(kind, size_px=size_px))
        n_frames = task.n_frames // SWEEP_SHARE * SWEEP_SIZES_PX[0] ** 2 // size_px**2
        settings = settings_of(name, task.engine, scene)
        with watched.step(f"{name}: {size_px} x {size_px} pixels") as on_frames:
            return flood(scene, settings, max(SWEEP_FRAMES, n_frames), on_frames).frames_per_s

    rates = dict.fromkeys(SWEEP_SIZES_PX, 0.0)
    for size_px in (*SWEEP_SIZES_PX, *SWEEP_SIZES_PX[::-1]):
        rates[size_px] = max(rates[size_px], rate_at(size_px))
    ways = ways_of(name, task.engine, watched.scene(kind))
    batch_frames = settings_of(name, task.engine).pipeline.batch_frames

    def density_at(density_um2: float) -> DensityPoint:
        scene = watched.scene(replace(kind, density_um2=density_um2))
        with watched.step(f"{name}: {density_um2:g} emitters per um2"):
            return density_point(ways, scene, density_um2, batch_frames)

    return Sweep(
        size=tuple(SizePoint(size_px=size_px, frames_per_s=rates[size_px]) for size_px in rates),
        density=tuple(map(density_at, SWEEP_DENSITIES_UM2)),
        threads={way: threads_of(localizer) for way, localizer in ways.items()},
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
    threads = sorted({1, usable_cores()})
    for package, python in pythons.items():
        scene, crowded = watched.scene(kind), watched.crowd(kind)
        try:
            with start_peer(package, python) as peer:
                versions.append(peer.version)
                for method in SPEED_PEERS[package]:
                    with watched.step(method.column):
                        found += time_peer(peer, method, scene, crowded, threads)
        except (ConfigError, LocalizerError) as error:
            watched.notes.append(str(error))
    return found, versions


def time_peer(
    peer: Peer, method: PeerMethod, scene: Scene, crowded: Scene, threads: Sequence[int]
) -> list[PeerSpeed]:
    """Return the speed of a running peer with one of its methods, and what it finds in a crowd.

    Parameters
    ----------
    peer, method
        What is measured.
    scene, crowded
        The movie on which it is timed, and the one with overlaps.
    threads
        Numbers of threads that it is given, one result for each.

    Raises
    ------
    LocalizerError
        If the peer fails.
    """
    tables = peer.localize(crowded, method.settings)
    found, setting = max((jaccard(crowded, table), how) for how, table in tables)
    results = []
    for n in threads:
        timing = peer.time(scene, {**method.settings, "threads": n})
        results.append(
            PeerSpeed(
                name=method.column,
                how=timing.how,
                threads=n,
                frames_per_s=len(scene.batch) / timing.seconds,
                localizations_per_frame=timing.n_localizations / len(scene.batch),
                jaccard=found,
                jaccard_how=setting,
            )
        )
    return results
