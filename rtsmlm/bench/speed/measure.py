"""How fast a run is: a movie from memory through the real ring and the real analysis process.

Nothing is left out that a run pays for but the camera driver and the raw file: every frame is
booked and copied into shared memory by the acquisition thread, localized in the analysis process,
written to localizations.arrows and published.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.speed.figures import Latency, RingSamples, SpeedRun
from rtsmlm.bench.speed.scene import MovieCamera
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.models.catalog import neighbours_of
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.supervisor import PipelineSupervisor
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing, frames_that_fit
from rtsmlm.session.acquisition import Acquisition
from rtsmlm.settings.run import RunSettings

OnFrames: TypeAlias = Callable[[int, int], None]
"""Called with the frames done and to do."""

FEWEST_FRAMES = 50
HIGHEST_RATE = 1e6
WARM_UP_FRAMES = 100
TAIL_BATCHES = 2
"""Behind the frames that count: when idle, the pipeline samples its validity."""
STEP = 0.05
MOST_STEPS = 16
"""Below a fifth of the flood rate it is no longer the pace that is to blame."""

_POLL_S = 0.001
_TELL_NS = 100_000_000
_CAMERA_STOP_S = 30.0
_HEARTBEAT_S = 60.0
_DRAIN_S = 60.0


def flood(
    scene: Scene,
    settings: RunSettings,
    n_frames: int,
    on_frames: OnFrames = lambda done, total: None,
) -> SpeedRun:
    """Push frames as fast as the analysis takes them.

    Parameters
    ----------
    scene
        The movie, shown again and again.
    settings
        Of the run, with the calibration of the scene.
    n_frames
        Frames that count; some before and behind them do not.
    on_frames
        Called about ten times a second.

    Raises
    ------
    LocalizerError
        If a frame is unaccounted for, or the analysis failed on the way.
    """
    check_frames(n_frames)
    warm_up = min(WARM_UP_FRAMES, n_frames // 2)
    tail = TAIL_BATCHES * settings.pipeline.batch_frames
    return _run(scene, settings, None, (warm_up, n_frames, tail), on_frames)


def paced(
    scene: Scene,
    settings: RunSettings,
    n_frames: int,
    frames_per_s: float,
    on_frames: OnFrames = lambda done, total: None,
) -> SpeedRun:
    """Push frames at a rate, whether the analysis follows or not; see `flood`.

    Latencies count from the first frame on: the localizer is compiled before the camera starts.

    Raises
    ------
    ConfigError
        If there is no such rate.
    LocalizerError
        As `flood`.
    """
    check_frames(n_frames)
    check_rate(frames_per_s)
    return _run(scene, settings, frames_per_s, (0, n_frames, 0), on_frames)


def sustained(
    scene: Scene,
    settings: RunSettings,
    n_frames: int,
    flood_per_s: float,
    on_frames: OnFrames = lambda done, total: None,
) -> SpeedRun | None:
    """Return the run at the highest rate that the analysis keeps up with, or None.

    From 95 % of the flood rate down, in steps of 5 % of it; see `SpeedRun.keeps_up`.
    """
    for step in range(1, MOST_STEPS + 1):
        rate = flood_per_s * (1.0 - STEP * step)
        run = paced(scene, settings, n_frames, rate, on_frames)
        if run.keeps_up:
            return run
    return None


def check_frames(n_frames: int) -> None:
    """Raise `ConfigError` if so few frames cannot be timed."""
    if n_frames < FEWEST_FRAMES:
        raise ConfigError(
            f"{n_frames} frames are too few to be timed; take at least {FEWEST_FRAMES}"
        )


def check_rate(frames_per_s: float) -> None:
    """Raise `ConfigError` if no camera runs at this rate."""
    if not 0 < frames_per_s <= HIGHEST_RATE:
        raise ConfigError(
            f"a camera rate of {frames_per_s:g} frames/s is not measured; choose one above 0 and "
            f"up to {HIGHEST_RATE:g}"
        )


class _Rig:
    """Ring, ledger and analysis process in a folder that is removed again."""

    def __init__(self, scene: Scene, settings: RunSettings) -> None:
        self._temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder = RunFolder.create(Path(self._temporary.name), "speed")
        shape = scene.batch.shape
        self.ring = FrameRing.create(
            shape,
            frames_that_fit(shape, settings.pipeline.ring_mb),
            kept=neighbours_of(settings.localizer.name),
        )
        self.ledger = Ledger()
        self.warnings: list[str] = []
        # No light hangs on it here, and a busy machine may keep a first step waiting.
        patient = settings.pipeline.model_copy(update={"heartbeat_timeout_s": _HEARTBEAT_S})
        settings = settings.model_copy(update={"pipeline": patient})
        job = PipelineJob(self.ring.name, folder.path, settings)
        self.supervisor = PipelineSupervisor(job, self.ring, self.ledger, self.warnings.append)

    def __enter__(self) -> _Rig:
        self.supervisor.start()
        try:
            self.supervisor.wait_ready(threading.Event())
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.ring.close_input()
        if error is not None:
            self.supervisor.gave_up.set()
        try:
            self.supervisor.finish(_DRAIN_S)
        finally:
            self.ring.close()
            self._temporary.cleanup()

    def acquisition(self, camera: MovieCamera, n_frames: int) -> Acquisition:
        """Return the thread that takes frames; only a flood waits for the analysis."""
        return Acquisition(
            camera,
            self.ring,
            self.ledger,
            recorder=None,
            n_frames=n_frames,
            wait_for_ring=camera.exposure_ms == 0.0,
            analysis_is_gone=self.supervisor.gave_up,
            on_end=lambda error: None,  # `_watch` raises it
        )

    def check(self) -> None:
        """Raise `LocalizerError` if the analysis is not what it was at the start."""
        progress = self.supervisor.progress
        if self.supervisor.gave_up.is_set() or progress.restarts:
            raise LocalizerError(f"the analysis died while it was measured: {progress.death}")
        if progress.failed_frames:
            raise LocalizerError(
                f"{progress.failed_frames} of the frames failed: {'; '.join(self.warnings)}"
            )


def _run(
    scene: Scene,
    settings: RunSettings,
    frames_per_s: float | None,
    n_frames: tuple[int, int, int],
    on_frames: OnFrames,
) -> SpeedRun:
    """Run frames of which those in the middle count."""
    camera = MovieCamera(scene.batch.pixels, frames_per_s)
    total = sum(n_frames)
    with _Rig(scene, settings) as rig:
        acquisition = rig.acquisition(camera, total)
        acquisition.worker.start()
        try:
            samples = _watch(rig, acquisition, total, on_frames)
        except BaseException:
            # A flood waits for the analysis, whatever happens to it.
            rig.supervisor.gave_up.set()
            raise
        finally:
            acquisition.worker.stop()
            acquisition.worker.join(_CAMERA_STOP_S)
    rig.check()
    return _account(rig, samples, n_frames, camera.delivered_per_s)


def _watch(rig: _Rig, acquisition: Acquisition, total: int, on_frames: OnFrames) -> RingSamples:
    samples = RingSamples()
    tick = threading.Event()  # never set: paces the loop
    told_ns = 0
    ended = False
    while not (ended and samples.released[-1] >= samples.pushed[-1]):
        tick.wait(_POLL_S)
        ended = not acquisition.worker.alive  # before the sample: nothing is missed
        samples.take(rig.ring)
        if samples.t_ns[-1] - told_ns > _TELL_NS:
            told_ns = samples.t_ns[-1]
            rig.check()
            on_frames(samples.released[-1], total)
    on_frames(total, total)
    if acquisition.worker.error is not None:
        raise acquisition.worker.error
    return samples


def _account(
    rig: _Rig, samples: RingSamples, n_frames: tuple[int, int, int], offered_per_s: float
) -> SpeedRun:
    totals, progress = rig.ledger.totals(), rig.supervisor.progress
    if not totals.balances or totals.received != totals.localized + totals.skipped:
        raise LocalizerError(rig.ledger.verdict(recording=False))
    warm_up, counted, _ = n_frames
    # Fewer than asked for where the analysis did not keep up.
    until = min(warm_up + counted, samples.released[-1])
    return SpeedRun(
        frames_per_s=samples.released_per_s(warm_up, until),
        offered_per_s=offered_per_s,
        localizations_per_frame=progress.localizations / max(totals.localized, 1),
        received=totals.received,
        localized=totals.localized,
        skipped=totals.skipped,
        growth_frames=samples.growth(),
        latency_ms=_percentiles(progress.latency_ms),
        warnings=list(rig.warnings),
    )


def _percentiles(summary: dict[str, Any]) -> Latency:
    return {
        stage: {name: float(figures[name]) for name in ("p50", "p95", "p99")}
        for stage, figures in summary.items()
    }
