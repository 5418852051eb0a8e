"""What camera and recorder cost beside the localizer: whole live runs, without a window.

Each run is a session as `rtsmlm live` has it, with its raw file or without, on the camera of the
settings or on frames of it that were taken before and are in memory.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.speed.figures import RingSamples
from rtsmlm.bench.speed.measure import WARM_UP_FRAMES, OnFrames
from rtsmlm.bench.speed.scene import MOVIE_MB, MovieCamera
from rtsmlm.bench.speed.sweep import cost
from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.protocols import Camera, Localizer
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.cores import on_one_core, usable_cores
from rtsmlm.session.devices import open_camera
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

ONE, ALL = "one core", "all cores"

_POLL_S = 0.02
_CPU_FIELDS = slice(13, 15)
"""Time of a process and of its kernel calls, in /proc/PID/stat."""

CoreMs: TypeAlias = dict[str, float | None]
"""Time of cores per frame in ms, by process; None where the system does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenFrames:
    """Frames of a camera in memory."""

    pixels: Pixels
    stated: StatedCalibration
    frames_per_s: float
    """Of the camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """One run."""

    source: str
    """`camera` or `memory`."""
    raw: bool
    """Whether the raw frames were written."""
    cores: int
    """That all processes were allowed."""
    asked_per_s: float | None
    """None where frames came as fast as they were taken."""
    frames_per_s: float
    """Localized, behind the warm-up."""
    received: int
    skipped: int
    lost: int
    p50_ms: float
    p99_ms: float
    """From the end of the exposure to published, over the whole run."""
    core_ms: CoreMs
    """Of `session` and `analysis`."""

    def as_json(self) -> dict[str, object]:
        """Return all figures as plain data; what is NaN is None."""
        return {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in asdict(self).items()
        }


def take_frames(settings: RunSettings, most: int, on_frames: OnFrames) -> TakenFrames:
    """Return the first frames of the camera of the settings.

    Parameters
    ----------
    settings
        Of the runs.
    most
        No more than these, nor than fit into `MOVIE_MB`.
    on_frames
        Called with the frames taken and to take.

    Raises
    ------
    RtsmlmError
        If the camera cannot be opened or fails.
    """
    camera = open_camera(settings)
    try:
        height, width = camera.shape
        n = max(1, min(most, int(MOVIE_MB * 2**20 / (2 * height * width))))
        pixels = np.empty((n, height, width), dtype=np.uint16)
        n_taken = 0
        for frame in camera.stream(threading.Event(), n):
            pixels[n_taken] = frame.pixels
            n_taken += 1
            on_frames(n_taken, n)
        rate = 1e3 / camera.exposure_ms
        return TakenFrames(pixels=pixels[:n_taken], stated=camera.stated, frames_per_s=rate)
    finally:
        camera.close()


def live_run(
    settings: RunSettings,
    taken: TakenFrames,
    n_frames: int,
    on_frames: OnFrames,
    *,
    source: str = "memory",
    raw: bool = False,
    paced: bool = True,
    one_core: bool = False,
) -> LiveRun:
    """Run a session of so many frames in a folder that is removed again.

    Parameters
    ----------
    settings
        Of the run.
    taken
        What a camera from memory shows.
    n_frames
        Of the run.
    on_frames
        Called with the frames done and to do.
    source
        `camera` for the camera of the settings, or `memory`.
    raw
        Write the raw frames.
    paced
        Frames come at the rate of the camera, or from memory as fast as they are taken.
    one_core
        Keep the session and the analysis on one core, where the system does that.

    Raises
    ------
    RtsmlmError
        If a part cannot be started, or the run fails.
    """
    rate = taken.frames_per_s if paced else None
    settings = _headless(settings, n_frames, raw=raw, paced=paced)
    with (
        tempfile.TemporaryDirectory(prefix="rtsmlm-", ignore_cleanup_errors=True) as place,
        on_one_core() if one_core else nullcontext(),
    ):
        cores = usable_cores()
        camera: Camera = (
            open_camera(settings)
            if source == "camera"
            else MovieCamera(taken.pixels, rate, taken.stated)
        )
        try:
            session = Session(camera, settings, folder=RunFolder.create(Path(place), "run"))
            session.start()
            try:
                samples, core_ms = _watch(session, n_frames, on_frames)
            finally:
                report = session.close()
        finally:
            camera.close()
    totals = report.totals
    if report.failures or totals is None:
        raise LocalizerError(f"a run failed: {'; '.join(report.failures) or 'no frame came'}")
    total = report.latency_ms.get("total", {})
    return LiveRun(
        source=source,
        raw=raw,
        cores=cores,
        asked_per_s=rate,
        frames_per_s=samples.released_per_s(min(WARM_UP_FRAMES, n_frames // 2), n_frames),
        received=totals.received,
        skipped=totals.skipped,
        lost=totals.lost,
        p50_ms=total.get("p50", float("nan")),
        p99_ms=total.get("p99", float("nan")),
        core_ms=core_ms,
    )


def localizer_cost(
    settings: RunSettings, taken: TakenFrames, sigma_nm: float
) -> tuple[dict[str, float], str]:
    """Return ms per frame of the localizer alone, with one core and with all, and its name.

    Parameters
    ----------
    settings
        Of the runs.
    taken
        The frames.
    sigma_nm
        PSF width.
    """
    calibration = resolve_calibration(settings.camera, taken.stated)

    def opened() -> Localizer:
        return open_localizer(settings, calibration, sigma_nm)

    with on_one_core():
        one = opened()
    ways = {ONE: one, ALL: opened()}
    movie = FrameBatch.from_pixels(taken.pixels)
    return cost(ways, movie, settings.pipeline.batch_frames)[0], ways[ALL].name


def _headless(settings: RunSettings, n_frames: int, *, raw: bool, paced: bool) -> RunSettings:
    """Return the settings of one run: no device but the camera, no file but frames and rows."""
    parts = {
        "acquisition": {"frames": n_frames, "seconds": None},
        "record": {"raw": raw},
        "pipeline": {"max_restarts": 0, "when_behind": "skip" if paced else "wait"},
        "results": {"catch_up": False, "export": ()},
        "stream": {"address": "tcp://127.0.0.1:*"},
    }
    update: dict[str, object] = {
        name: getattr(settings, name).model_copy(update=values) for name, values in parts.items()
    }
    return settings.model_copy(update={**update, "lasers": {}, "stages": {}})


def _watch(session: Session, n_frames: int, on_frames: OnFrames) -> tuple[RingSamples, CoreMs]:
    """Follow a run until all its frames are localized or skipped."""
    samples = RingSamples()
    tick = threading.Event()  # never set: paces the loop
    pid, began = session.analysis_pid, _core_s(session.analysis_pid)
    done = 0
    while done < n_frames:
        ended = session.camera_ended.is_set()  # before the sums: nothing is missed
        totals = session.ledger.totals()
        done = totals.localized + totals.skipped
        samples.t_ns.append(now_ns())
        samples.pushed.append(totals.received)
        samples.released.append(done)
        on_frames(done, n_frames)
        if ended and not totals.in_ring:
            break
        tick.wait(_POLL_S)
    spent = _core_s(pid)
    frames = max(samples.released[-1], 1)
    per_frame: CoreMs = {}
    for name, before in began.items():
        after = spent[name]
        if before is None or after is None:
            per_frame[name] = None
        else:
            per_frame[name] = 1e3 * (after - before) / frames
    return samples, per_frame


def _core_s(pid: int | None) -> CoreMs:
    """Return the time of cores that both processes have spent, in s."""
    analysis = None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name of the program, in brackets, may hold spaces.
        ticks = ["", "", *stat.rpartition(")")[2].split()][_CPU_FIELDS]
        analysis = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        pass
    return {"session": time.process_time(), "analysis": analysis}
