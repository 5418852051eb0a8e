"""Checks of the camera: its rate, its losses, and how long frames and commands take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.report import RunReport
from rtsmlm.hil.result import DrillResult
from rtsmlm.hil.rig import TICK_S, HilRig
from rtsmlm.realtime.clock import now_ns

_BEGIN_S = 10.0
_POLL_S = 0.05
_KEPT = "camera run"
_PERCENTILES = ("p50", "p95", "p99", "max")


def camera_rate(rig: HilRig) -> DrillResult:
    """Check frames per second against the exposure time."""
    found = _camera_run(rig)
    expected = 1000.0 / found.exposure_ms
    rate, least = found.frames_per_s, expected * (1 - rig.limits.rate_tolerance)
    return DrillResult(
        "camera-rate",
        rate >= least,
        f"{rate:.1f} frames/s at an exposure of {found.exposure_ms:g} ms (at least {least:.1f})",
        {"frames_per_s": rate, "exposure_ms": found.exposure_ms},
    )


def no_frame_lost(rig: HilRig) -> DrillResult:
    """Check that every frame is accounted for, and that their numbers have no gap."""
    found = _camera_run(rig)
    report = found.report
    totals = report.totals
    if totals is None or report.failures:
        return DrillResult("no-frame-lost", False, "; ".join(report.failures) or "no frames came")
    passed = totals.balances and totals.lost == 0 and found.gaps == 0
    return DrillResult(
        "no-frame-lost",
        passed,
        f"{totals.received} frames, {totals.lost} lost, {found.gaps} gaps in their numbers "
        f"(0 allowed), the ledger {'balances' if totals.balances else 'does not balance'}",
        {"received": totals.received, "lost": totals.lost, "skipped": totals.skipped},
    )


def latency(rig: HilRig) -> DrillResult:
    """Check the 99th percentile of every stage, and of the way from a frame to the laser."""
    stages: dict[str, dict[str, float]] = _camera_run(rig).report.latency_ms
    table = {name: {p: float(s[p]) for p in _PERCENTILES} for name, s in stages.items()}
    if not table:
        return DrillResult("latency", False, "no latency was measured: no frame was localized")
    worst = max(table, key=lambda name: table[name]["p99"])
    limit = rig.limits.p99_ms
    laser = f", to the laser {table['laser']['p99']:.1f} ms" if "laser" in table else ""
    return DrillResult(
        "latency",
        table[worst]["p99"] < limit,
        f"99th percentile of {worst} {table[worst]['p99']:.1f} ms{laser} (limit {limit:g} ms)",
        {"latency_ms": table},
    )


@dataclass(frozen=True, slots=True)
class _CameraRun:
    exposure_ms: float
    frames_per_s: float
    gaps: int
    report: RunReport


def _camera_run(rig: HilRig) -> _CameraRun:
    """Run the camera once for all three; the lasers are watched and not touched."""
    before = rig.kept.get(_KEPT)
    if isinstance(before, _CameraRun):
        return before
    settings = rig.run_settings(feedback={"tick_s": TICK_S}, record={"raw": True})
    with rig.run("camera", settings) as session:
        deadline_ns = now_ns() + round(_BEGIN_S * 1e9)
        while not (first := session.ledger.totals().received) and now_ns() < deadline_ns:
            rig.pause(_POLL_S)
        begin_ns = now_ns()
        rig.pause(rig.limits.camera_s)
        n = session.ledger.totals().received - first
        passed_s = (now_ns() - begin_ns) / 1e9
    with open_movie(session.folder.raw, settings.movie) as movie:
        index = np.arange(0) if movie.frame_index is None else movie.frame_index
    gaps = int(np.count_nonzero(np.diff(index) != 1))
    run = _CameraRun(rig.camera.exposure_ms, n / passed_s, gaps, session.report)
    rig.kept[_KEPT] = run
    return run
