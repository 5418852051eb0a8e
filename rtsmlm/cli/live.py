"""`rtsmlm live`: record, localize and publish, with one status line."""

from __future__ import annotations

import math
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from rtsmlm.cli.console import console, fail, log_to, stop_on_signal, warn
from rtsmlm.config import RunSettings, load
from rtsmlm.feedback.records import LoopStatus
from rtsmlm.files.run_folder import RunFolder
from rtsmlm.prepare import open_actuators, open_camera
from rtsmlm.run_report import RunReport, RunStatus
from rtsmlm.session import Session
from rtsmlm.stats import now_ns

_STATUS_S = 0.25
_PLAIN_LINE_S = 5.0


def live(
    config: Annotated[
        Path | None,
        typer.Argument(help="Run configuration (TOML); none takes the packaged demo."),
    ] = None,
    further: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", "-c", help="Run configuration (TOML). May be repeated: later files win."
        ),
    ] = None,
    headless: Annotated[bool, typer.Option(help="Never open a window.")] = False,
    arm: Annotated[
        bool,
        typer.Option(
            "--arm", help="Let the loop steer the laser; feedback.arm must be set as well."
        ),
    ] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of this run.")] = None,
    export: Annotated[
        str | None,
        typer.Option(help="Also write csv, picasso, parquet (separate by commas)."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one setting: section.key=value. May be repeated."),
    ] = None,
) -> None:
    """Localize while the microscope records.

    Without CONFIG a simulated microscope is used, so that everything can be tried at once.
    """
    files = [*([config] if config else []), *(further or [])]
    settings = load(files or Path("demo.toml"), overrides(set_, frames, seconds, export))
    folder = run_folder(settings, out)
    with stop_on_signal() as request:
        camera = open_camera(settings)
        try:
            lasers, stages = open_actuators(settings, camera)
            session = Session(
                camera,
                settings,
                folder=folder,
                lasers=lasers,
                stages=stages,
                arm=arm,
                on_step=_say_step,
                on_progress=_say_progress,
            )
            log_to(session.folder.log)
            _introduce(session, camera.name)
            say_arming(settings, arm)
            try:
                session.start(request.event)
                _watch(session, request.event)
            finally:
                report = session.close()
        finally:
            camera.close()
    _conclude(report)
    if not report.ok:
        raise typer.Exit(1)
    if request.signal is not None and _has_target(settings):
        raise typer.Exit(request.exit_code)


def overrides(
    set_: list[str] | None, frames: int | None, seconds: float | None, export: str | None
) -> list[str]:
    """Return the options of the command line as `section.key=value` texts."""
    texts = list(set_ or [])
    if frames is not None:
        texts.append(f"acquisition.frames={frames}")
    if seconds is not None:
        texts.append(f"acquisition.seconds={seconds}")
        if frames is None:
            texts.append("acquisition.frames=none")
    if export is not None:
        names = ", ".join(f'"{name.strip()}"' for name in export.split(",") if name.strip())
        texts.append(f"results.export=[{names}]")
    return texts


def run_folder(settings: RunSettings, out: Path | None) -> RunFolder:
    """Return the folder of the run: the one named by --out, or a new one under results.out."""
    if out is not None:
        return RunFolder.create(out.parent, out.name)
    return RunFolder.create(settings.results.out, settings.results.name)


def _introduce(session: Session, camera: str) -> None:
    console.print(f"camera   {escape(camera)}")
    console.print(f"results  {escape(str(session.folder.path))}")
    if session.assumed:
        warn("nobody stated, so assumed: " + "; ".join(session.assumed))


def say_arming(settings: RunSettings, arm: bool) -> None:
    """Say whether the lasers will be touched, and why not."""
    if not settings.lasers and not arm:
        return
    if not settings.lasers:
        warn("--arm does nothing: the configuration has no [lasers]; see rtsmlm devices")
    elif arm and settings.feedback.arm:
        console.print(f"[bold red]ARMED[/]    {escape(', '.join(settings.lasers))}")
    else:
        missing = "--arm" if settings.feedback.arm else "feedback.arm = true"
        if arm or settings.feedback.arm:
            warn(f"the lasers are watched, not steered: {missing} is missing")
        else:
            console.print("lasers   watched, not steered (--arm and feedback.arm = true steer)")


def _watch(session: Session, stop: Any) -> None:
    """Show the status line until the camera has ended or somebody asks to stop."""
    display = Live(console=console, refresh_per_second=8, transient=True)
    on_screen = console.is_terminal
    last_line_ns = now_ns()
    said: set[str] = set()
    with display if on_screen else nullcontext():
        while not session.wait(_STATUS_S):
            if stop.is_set():
                session.stop()
            for text in session.news():
                if text not in said:
                    said.add(text)
                    warn(text)
            status = session.status()
            if on_screen:
                display.update(Text(status_line(status)))
            elif now_ns() - last_line_ns > _PLAIN_LINE_S * 1e9:
                last_line_ns = now_ns()
                console.print(status_line(status))
    console.print(status_line(session.status()))


def status_line(status: RunStatus) -> str:
    """Return the state of a run in one line, which fits a terminal of 80 columns."""
    totals = status.totals
    latency = f"p50 {_number(status.p50_ms)} p99 {_number(status.p99_ms)} ms"
    skipped = f" skipped {totals.skipped}" if totals.skipped else ""
    # What does not fit is told in a line of its own; here only that it fits, or not.
    light = {"model ok": " model ok", "": "", "model: no verdict yet": ""}
    model = light.get(status.model, " model !")
    return (
        f"{totals.received} frames {status.frames_per_s:.0f}/s, "
        f"{status.emitters_per_frame:.1f}/frame, {latency}, "
        f"backlog {status.backlog} lost {totals.lost}{skipped}{model}{_loop(status.loop)}"
    )


def _loop(loop: LoopStatus | None) -> str:
    if loop is None:
        return ""
    if loop.tripped is not None:
        return " LASER TRIPPED"
    sign = "" if loop.armed else "?"  # what would be sent
    return f", {loop.power if loop.armed else loop.wanted:.3g} {loop.unit}{sign}"


def _number(value_ms: float) -> str:
    return "-" if math.isnan(value_ms) else f"{value_ms:.1f}"


def _say_step(step: str) -> None:
    console.print(f"[dim]{escape(step)} ...[/]")


def _say_progress(done: int, total: int) -> None:
    if done == total or done * 10 // total != (done - 1) * 10 // total:
        console.print(f"[dim]  {done} of {total} frames[/]")


def _conclude(report: RunReport) -> None:
    for text in report.warnings:
        warn(text)
    for text in report.failures:
        fail(text)
    total = report.latency_ms.get("total", {})
    if total:
        console.print(
            f"latency  exposure end to published: p50 {_number(total['p50'])} ms, "
            f"p95 {_number(total['p95'])} ms, p99 {_number(total['p99'])} ms"
        )
    if report.ended_by:
        console.print(f"ended    {escape(report.ended_by)}")
    console.print(f"results  {escape(str(report.folder))}{os.sep}")
    colour = "green" if report.ok else "red"
    console.print(f"[bold {colour}]{escape(report.verdict)}[/]")


def _has_target(settings: RunSettings) -> bool:
    return settings.acquisition.frames is not None or settings.acquisition.seconds is not None
