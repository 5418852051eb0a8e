"""`rtsmlm bench window`: what the window costs the run that it shows."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.table import Table

from rtsmlm.cli.console import console
from rtsmlm.cli.live import check_seconds, overrides
from rtsmlm.cli.options import JsonPath, Overrides
from rtsmlm.cli.run_loop import LiveRunner
from rtsmlm.cli.signals import StopRequest, stop_on_signal
from rtsmlm.cli.window import why_no_window
from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder, machine, write_text
from rtsmlm.realtime.latency import duration_text
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

_NONE = LedgerTotals(0, 0, 0, 0, 0, 0, 0)

MOST_RATIO, MOST_LAG_MS = 1.5, 100.0
"""Aims: p99 of the latency over that of a headless run, and p99 of how late the event loop is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """One run."""

    has_window: bool
    received: int
    skipped: int
    lost: int
    p50_ms: float
    """From the end of the exposure to published, over the whole run."""
    p99_ms: float
    load: float | None
    """Of the machine at the end, by its load average of one minute; None where it has none."""
    window: dict[str, float | None] | None
    """What the window measured of itself (`window.json`); None without one."""


def window(
    config: Annotated[
        Path | None,
        typer.Argument(help="Run configuration (TOML); none takes the packaged demo."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of each run.")] = 120.0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each kind, in turn.")] = 1,
    set_: Overrides = None,
    json_path: JsonPath = None,
) -> None:
    """Run headless and with the window in turn, and compare latency, frames and event loop.

    Without a screen the window is drawn into memory. Nothing else should run on the machine.
    """
    check_seconds(seconds)
    settings = load([config or Path("demo.toml")], overrides(set_, None, seconds, None))
    _find_screen()
    runs: list[RunFigures] = []
    with stop_on_signal() as request:
        for _ in range(repeats):
            for has_window in (False, True):
                console.rule("with the window" if has_window else "headless")
                runs.append(_run(settings, request, has_window=has_window))
                if request.event.is_set():
                    raise typer.Exit(request.exit_code)
    console.print(_table(runs))
    console.print(_judge(runs))
    if json_path is not None:
        data = {"seconds": seconds, "machine": machine(), "runs": [asdict(run) for run in runs]}
        write_text(json_path, json.dumps(data, indent=2) + "\n")


def _find_screen() -> None:
    """Let the window be drawn into memory where there is no screen.

    Raises
    ------
    ConfigError
        If there can be no window at all.
    """
    if why_no_window() is None:
        return
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    if (why := why_no_window()) is not None:
        raise ConfigError(f"no window can be opened: {why}")


def _run(settings: RunSettings, request: StopRequest, *, has_window: bool) -> RunFigures:
    """Run once in a folder that is removed afterwards."""
    runner = LiveRunner(settings, arm=False, request=request, with_window=has_window)
    with tempfile.TemporaryDirectory(prefix="rtsmlm-", ignore_cleanup_errors=True) as place:
        folder = RunFolder.create(Path(place), "run")
        try:
            report = runner.run(settings, folder)
        finally:
            runner.close()
            folder.release()
        found = json.loads(folder.window.read_text("utf-8")) if folder.window.exists() else None
    total, totals = report.latency_ms.get("total", {}), report.totals or _NONE
    return RunFigures(
        has_window=has_window,
        received=totals.received,
        skipped=totals.skipped,
        lost=totals.lost,
        p50_ms=total.get("p50", float("nan")),
        p99_ms=total.get("p99", float("nan")),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        window=found,
    )


_ROWS = {
    "lag_p50_ms": "event loop late by, p50 (ms)",
    "lag_p99_ms": "event loop late by, p99 (ms)",
    "lag_max_ms": "event loop late by, most (ms)",
    "pictures_per_s": "pictures per second",
    "memory_mb": "memory of the window (MB)",
    "memory_growth_mb_per_min": "its growth in the last minute (MB)",
}
"""Figures of the window, and what they are called."""


def _table(runs: list[RunFigures]) -> Table:
    table = Table(caption="Latency is from the end of the exposure to published.")
    table.add_column("")
    for run in runs:
        table.add_column("window" if run.has_window else "headless", justify="right")
    table.add_row("frames", *(str(run.received) for run in runs))
    table.add_row("skipped", *(str(run.skipped) for run in runs))
    table.add_row("lost", *(str(run.lost) for run in runs))
    table.add_row("latency p50", *(duration_text(run.p50_ms) for run in runs))
    table.add_row("latency p99", *(duration_text(run.p99_ms) for run in runs))
    for name, heading in _ROWS.items():
        table.add_row(heading, *(_number((run.window or {}).get(name)) for run in runs))
    table.add_row("load of the machine", *(_number(run.load) for run in runs))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _judge(runs: list[RunFigures]) -> str:
    """Return the ratio of the medians and the worst event loop, beside what is aimed at."""
    headless = median(run.p99_ms for run in runs if not run.has_window)
    shown = median(run.p99_ms for run in runs if run.has_window)
    found = (run.window.get("lag_p99_ms") for run in runs if run.window is not None)
    lags = [lag_ms for lag_ms in found if lag_ms is not None]
    lag = f"{max(lags):.1f} ms" if lags else "not measured: no run was shown long enough"
    return (
        f"p99 with the window / headless: {shown / headless:.2f} (aim: at most {MOST_RATIO:g}); "
        f"event loop p99: {lag} (aim: below {MOST_LAG_MS:g} ms); "
        f"skipped: {sum(run.skipped for run in runs)}, lost: {sum(run.lost for run in runs)}"
    )
