"""The state of a run in one line."""

from __future__ import annotations

from rtsmlm.analysis.validity_verdict import NOT_JUDGED, TOO_FEW
from rtsmlm.errors import number_text
from rtsmlm.feedback.records import LoopStatus
from rtsmlm.realtime.latency import duration_text
from rtsmlm.session.status import RunStatus

OLD_DATA_TICKS = 2.0
"""Data older than so many ticks of the loop are old."""


def status_line(status: RunStatus, tick_s: float = 1.0) -> str:
    """Return the state of a run in one line, which fits a terminal of 80 columns.

    The latency is that of the last ten seconds; `latency_line` has that of the run.

    Parameters
    ----------
    status
        The run at this moment.
    tick_s
        Of the loop, `feedback.tick_s`: how old its data may be.
    """
    totals, loop = status.totals, status.loop
    if (warning := _warning(loop, tick_s)) is not None:
        return f"{warning}; {totals.received} frames, backlog {status.backlog} lost {totals.lost}"
    latency = _p50_p99(status.recent_p50_ms, status.recent_p99_ms)
    skipped = f" skipped {totals.skipped}" if totals.skipped else ""
    # What does not fit has a line of its own; here only whether it fits.
    light = {
        "model ok": " model ok",
        "": "",
        "model: no verdict yet": "",
        f"model: {TOO_FEW}": " few spots",
        f"model: {NOT_JUDGED}": "",
    }
    model = light.get(status.model, " model !")
    return (
        f"{totals.received} frames {status.frames_per_s:.0f}/s, "
        f"{status.emitters_per_frame:.1f}/frame, {latency}, "
        f"backlog {status.backlog} lost {totals.lost}{skipped}{model}{_loop(loop)}"
    )


def latency_line(status: RunStatus) -> str:
    """Return the latency of the run beside that of the last ten seconds."""
    recent = _p50_p99(status.recent_p50_ms, status.recent_p99_ms)
    return f"latency: last 10 s {recent}, whole run {_p50_p99(status.p50_ms, status.p99_ms)}"


def _p50_p99(p50_ms: float, p99_ms: float) -> str:
    p50, p99 = duration_text(p50_ms), duration_text(p99_ms)
    value, _, unit = p50.partition(" ")
    return f"p50 {value if p99.endswith(f' {unit}') else p50} p99 {p99}"


def _warning(loop: LoopStatus | None, tick_s: float) -> str | None:
    """Return what matters more than all other figures."""
    if loop is None:
        return None
    if loop.not_dark:
        return f"NOT CONFIRMED DARK: {', '.join(loop.not_dark)}"
    is_steered = loop.armed and loop.tripped is None
    if is_steered and loop.data_age_s > OLD_DATA_TICKS * tick_s:
        return f"steering on data {number_text(loop.data_age_s, 2)} s old"
    return None


def _loop(loop: LoopStatus | None) -> str:
    if loop is None:
        return ""
    if loop.tripped is not None:
        return " LASER TRIPPED"
    sign = "" if loop.armed else "?"  # what would be sent
    return f", {number_text(loop.power if loop.armed else loop.wanted)} {loop.unit}{sign}"
