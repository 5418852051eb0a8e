"""What `rtsmlm live` prints of a run: how it begins, its steps, how it ended."""

from __future__ import annotations

import os

from rich.markup import escape

from rtsmlm.cli.console import console, fail, warn
from rtsmlm.files.run.report import RunReport
from rtsmlm.realtime.latency import duration_text
from rtsmlm.safety.rehearsal import Rehearsal
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings


def report_arming(settings: RunSettings, arm: bool) -> None:
    """Print whether commands are sent to the lasers, and why not."""
    if not settings.lasers and not arm:
        return
    if not settings.lasers:
        warn("--arm does nothing: the configuration has no [lasers]; see rtsmlm devices")
    elif arm and settings.feedback.arm:
        console.print(f"[bold red]ARMED[/]    {escape(', '.join(settings.lasers))}")
    else:
        missing = "--arm" if settings.feedback.arm else "feedback.arm = true"
        if arm or settings.feedback.arm:
            warn(f"monitor only: lasers are not driven ({missing} is missing)")
        else:
            console.print(
                "lasers   left as they are, monitor only (--arm and feedback.arm = true drive them)"
            )


def rehearse(settings: RunSettings, arm: bool) -> Rehearsal | None:
    """Let the sentinel reach the lasers of an armed run, before this program opens them.

    Returns
    -------
    Rehearsal or None
        To be closed in the end; None for a run that is not armed.

    Raises
    ------
    RtsmlmError
        If there is no configuration, or the sentinel does not answer.
    """
    if not (arm and settings.feedback.arm and settings.lasers):
        return None
    report_step("the sentinel tries to switch the lasers off")
    rehearsal = Rehearsal(settings, end_program=True)
    rehearsal.run()
    return rehearsal


def introduce(session: Session, camera: str) -> None:
    """Print camera and folder."""
    console.print(f"camera   {escape(camera)}")
    console.print(f"results  {escape(str(session.folder.path))}")


def report_step(step: str) -> None:
    """Print the step that begins."""
    console.print(f"[dim]{escape(step)} ...[/]")


def report_progress(done: int, total: int) -> None:
    """Print every tenth of the frames that are caught up."""
    if done == total or done * 10 // total != (done - 1) * 10 // total:
        console.print(f"[dim]  {done} of {total} frames[/]")


def conclude(report: RunReport) -> None:
    """Print warnings, failures, latency and the verdict."""
    for text in report.warnings:
        warn(text)
    for text in report.failures:
        fail(text)
    total = report.latency_ms.get("total", {})
    if total:
        console.print(
            f"latency  exposure end to published: p50 {duration_text(total['p50'])}, "
            f"p95 {duration_text(total['p95'])}, p99 {duration_text(total['p99'])}"
        )
    if verdict := str(report.validity.get("verdict", "")).removeprefix("model").lstrip(": "):
        remark = str(report.validity.get("remark", ""))
        console.print(f"model    {escape(verdict)}{escape(f': {remark}' if remark else '')}")
    if report.ended_by:
        console.print(f"ended    {escape(report.ended_by)}")
    console.print(f"results  {escape(str(report.folder))}{os.sep}")
    colour = "green" if report.ok else "red"
    console.print(f"[bold {colour}]{escape(report.verdict)}[/]")
