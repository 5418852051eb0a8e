"""LiveRunner: runs in the command line, one after another, with or without a window."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import tifffile
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from rtsmlm.cli.console import StopRequest, console, fail, log_to, stop_log, warn
from rtsmlm.cli.status import number, status_line
from rtsmlm.cli.window import Act, Window
from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.realtime.clock import now_ns
from rtsmlm.session.devices import open_actuators, open_camera
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load_over
from rtsmlm.settings.run import RunSettings

_STATUS_S = 0.25
_PLAIN_LINE_S = 5.0
_WINDOW_NS = 30_000_000_000
"""A window that needs longer is not waited for."""


class LiveRunner:
    """One run after another, as the person at the window asks; without a window, one.

    Parameters
    ----------
    settings
        Settings of the first run; the window changes some of them for the next.
    arm
        Send commands to the lasers.
    request
        Whether the program was asked to end.
    with_window
        Open one as soon as the first run publishes.
    """

    def __init__(
        self, settings: RunSettings, *, arm: bool, request: StopRequest, with_window: bool
    ) -> None:
        self._settings = settings
        self._arm = arm
        self._request = request
        self._with_window = with_window
        self._window: Window | None = None
        self._session: Session | None = None

    def run(self, settings: RunSettings, folder: RunFolder) -> RunReport:
        """Run once and say how it went."""
        self._settings = settings
        camera = open_camera(settings)
        try:
            lasers, stages = open_actuators(settings, camera)
            session = self._session = Session(
                camera,
                settings,
                folder=folder,
                lasers=lasers,
                stages=stages,
                arm=self._arm,
                on_step=_say_step,
                on_progress=_say_progress,
            )
            handler = log_to(session.folder.log)
            _introduce(session, camera.name)
            say_arming(settings, self._arm)
            try:
                # Before the camera starts: loading and compiling a window takes all cores.
                self._open_window(settings.stream.address)
                session.start(self._request.event)
                self._open_window(session.stream_address)
                _watch(session, self._request.event)
            finally:
                report = session.close()
                self._session = None
                stop_log(handler)
        finally:
            camera.close()
        _conclude(report)
        return report

    def _open_window(self, address: str | None) -> None:
        if not self._with_window or self._window is not None:
            return
        if address is None or "*" in address or not self._settings.stream.enabled:
            return  # not known yet, or nothing to be seen
        _say_step("opening the window")
        window = self._window = Window(address, self._acts())
        deadline_ns = now_ns() + _WINDOW_NS
        while window.is_open and not window.ready.wait(_STATUS_S):
            if self._request.event.is_set() or now_ns() > deadline_ns:
                return

    def _acts(self) -> dict[str, Act]:
        return {
            "lasers off": lambda command: self._with_session(Session.lasers_off),
            "stop": lambda command: self._with_session(Session.stop),
            "reset trip": lambda command: self._with_session(
                lambda session: session.reset_trip("reset at the window")
            ),
            "gain": lambda command: self._with_session(
                lambda session: session.set_gain(float(command["value"]))
            ),
            "target": lambda command: self._with_session(
                lambda session: session.aim(float(command["per_um2"]))
            ),
        }

    def _with_session(self, act: Callable[[Session], object]) -> None:
        session = self._session
        if session is not None:
            act(session)

    def next_run(self) -> RunSettings | None:
        """Wait for what the person at the window wants; None if that is to end."""
        window = self._window
        while window is not None and window.is_open and not self._request.event.is_set():
            command = window.next_command(_STATUS_S)
            if command is None:
                continue
            try:
                if command["do"] == "start":
                    return load_over(self._settings, command.get("settings", ()))
                if command["do"] == "snap":
                    self._snap(command.get("settings", ()))
            except RtsmlmError as error:
                fail(str(error))
        return None

    def _snap(self, changes: Iterable[str]) -> None:
        """Take one frame into a file beside the runs."""
        settings = load_over(self._settings, changes)
        camera = open_camera(settings)
        try:
            [frame] = camera.stream(threading.Event(), 1)
            folder = settings.results.out
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"snap_{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}.tif"
            tifffile.imwrite(path, frame.pixels)
        finally:
            camera.close()
        console.print(f"snap     {escape(str(path))}")

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window.close()


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


def _introduce(session: Session, camera: str) -> None:
    console.print(f"camera   {escape(camera)}")
    console.print(f"results  {escape(str(session.folder.path))}")
    if session.assumed:
        warn("nobody stated, so assumed: " + "; ".join(session.assumed))


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
            f"latency  exposure end to published: p50 {number(total['p50'])} ms, "
            f"p95 {number(total['p95'])} ms, p99 {number(total['p99'])} ms"
        )
    if report.ended_by:
        console.print(f"ended    {escape(report.ended_by)}")
    console.print(f"results  {escape(str(report.folder))}{os.sep}")
    colour = "green" if report.ok else "red"
    console.print(f"[bold {colour}]{escape(report.verdict)}[/]")
