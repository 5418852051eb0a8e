"""LiveRunner: runs in the command line, one after another, with or without a window."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from rich.live import Live
from rich.text import Text

from rtsmlm.cli.console import console, fail, inform, log_to, stop_log, warn
from rtsmlm.cli.run_output import (
    conclude,
    introduce,
    rehearse,
    report_arming,
    report_progress,
    report_step,
)
from rtsmlm.cli.signals import StopRequest
from rtsmlm.cli.snap import take_frame
from rtsmlm.cli.start_progress import COMPILING, StartProgress
from rtsmlm.cli.status import latency_line, status_line
from rtsmlm.cli.window import Window
from rtsmlm.cli.window_end import report_ended, take_closed, write_figures
from rtsmlm.errors import CommandError, RtsmlmError, WorkerError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import NoticeLevel, RunReport
from rtsmlm.realtime.clock import now_ns
from rtsmlm.session.devices import open_actuators, open_camera
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load_over
from rtsmlm.settings.run import RunSettings
from rtsmlm.viewer.commands import (
    Snap,
    Start,
    WindowAlive,
    WindowClosed,
    WindowFigures,
    WindowReady,
    carry_out_or_report,
    from_line,
)
from rtsmlm.viewer.owner_notice import OwnerNotice

_STATUS_S = 0.25
_PLAIN_LINE_S = 5.0
_WINDOW_NS = 30_000_000_000
"""A window that needs longer is not waited for."""
_MOST_WAITING = 16
"""Starts and snaps that wait for the end of a run."""

_log = logging.getLogger(__name__)


class LiveRunner:
    """One run after another, as the user of the window asks; without a window, one.

    It is the `RunOwner` of the window's commands: those of a run act at once, in the thread that
    reads from the window; starting a run and taking a frame wait for `next_run`.

    Parameters
    ----------
    settings
        Settings of the first run; for each next one the window changes some of them.
    arm
        Send commands to the lasers.
    request
        Whether the program was asked to end.
    with_window
        Open one before the first run.
    """

    def __init__(
        self, settings: RunSettings, *, arm: bool, request: StopRequest, with_window: bool
    ) -> None:
        self._settings = self._first = settings
        self._arm = arm
        self._request = request
        request.on_stop, request.on_pause = self._stop_now, self._pause_now
        request.more_in_order = 1
        self._is_asked_to_stop = False
        self._with_window = with_window
        self._window: Window | None = None
        self._window_ready = threading.Event()
        self._window_figures: WindowFigures | None = None
        self._has_reported_close = False
        self._session: Session | None = None
        self._waiting: queue.Queue[Start | Snap] = queue.Queue(maxsize=_MOST_WAITING)

    def run(self, settings: RunSettings, folder: RunFolder) -> RunReport:
        """Run once and report how it went."""
        self._settings = settings
        rehearsal = rehearse(settings, self._arm)
        progress = StartProgress(lambda: self._notify(COMPILING))
        with progress.opening("camera"):
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
                owns_devices=True,
                rehearsal=rehearsal,
                on_step=report_step,
                on_progress=report_progress,
                on_preparing=progress.show,
            )
            handler = log_to(session.folder.log)
            introduce(session, camera.name)
            report_arming(settings, self._arm)
            try:
                # Before the camera starts: loading and compiling a window takes all cores.
                self._open_window()
                session.start(self._request.event)
                progress.close()
                _watch(session, self._request.event, lambda: self._attend_window(session))
            finally:
                progress.close()
                write_figures(session, self._window_figures)
                report = session.close()
                self._session = None
                stop_log(handler)
        finally:
            progress.close()
            camera.close()
            if rehearsal is not None:
                rehearsal.close()
        conclude(report)
        return report

    def _stop_now(self) -> None:
        """Stop the run at a signal, in a thread that no terminal can block.

        A second signal, or one after the last frame, breaks off the work that is left.
        """
        if (session := self._session) is not None:
            session.stop(at_once=self._is_asked_to_stop or session.camera_ended.is_set())
        self._is_asked_to_stop = True

    def _pause_now(self) -> None:
        """Switch the lasers off before the program is stopped by Ctrl-Z."""
        if (session := self._session) is not None:
            session.lasers_off("the program was stopped from the keyboard (Ctrl-Z)")

    def _open_window(self) -> None:
        stream = self._settings.stream
        if not self._with_window or self._window is not None or not stream.enabled:
            return
        report_step("opening the window")
        try:
            window = self._window = Window(
                self.handle_line, stream.curve_keys, is_armed=self._is_armed
            )
        except WorkerError as error:
            self._with_window = False
            warn(str(error))
            return
        deadline_ns = now_ns() + _WINDOW_NS
        while window.is_open and not self._window_ready.wait(_STATUS_S):
            if self._request.event.is_set() or now_ns() > deadline_ns:
                return

    def _attend_window(self, session: Session) -> None:
        """Let the window follow the run, and warn where its LASER OFF would come late."""
        if self._window is not None:
            self._window.follow(session.stream_address, session.run_id, session.folder.path)
            warning = self._window.take_warning()
            if warning is not None and self._arm:
                session.warn(warning)
        self._report_closed_window()

    def _report_closed_window(self) -> None:
        if self._window is None or self._window.is_open or self._has_reported_close:
            return
        self._has_reported_close = True
        if not self._request.event.is_set():  # Ctrl-C ends both
            report_ended(self._window.exit_code, is_armed=self._is_armed)

    @property
    def _is_armed(self) -> bool:
        """Whether the runs command their lasers."""
        return self._arm and self._settings.feedback.arm and bool(self._settings.lasers)

    # -- commands of the window ------------------------------------------------------------

    def handle_line(self, line: str) -> None:
        """Act on a line from the window; what goes wrong is reported and raises nothing."""
        try:
            message = from_line(line)
        except CommandError as error:
            _log.warning("%s", error)
            self._report(str(error))
            return
        if isinstance(message, WindowReady):
            self._window_ready.set()
        elif isinstance(message, WindowClosed):
            self._has_reported_close = True
            if (session := self._session) is not None:
                take_closed(session, stop=message.stop, is_armed=self._is_armed)
        elif isinstance(message, WindowFigures):
            self._window_figures = message
        elif not isinstance(message, WindowAlive):
            carry_out_or_report(message, self, self._report)

    def _report(self, text: str) -> None:
        """Show what went wrong: in the window as well, while a run sends it messages."""
        session = self._session
        if session is None or session.camera_ended.is_set():
            fail(text)
            self._notify(OwnerNotice(text, "error"))
        else:
            session.warn(text)

    @property
    def current_run(self) -> Session | None:
        """The session that goes on; None between two runs."""
        return self._session

    def start_run(self, settings: Sequence[str]) -> None:
        """Start the next run as soon as the one that ends has closed its files.

        Raises
        ------
        CommandError
            If a run goes on.
        """
        self._wait_for_end(Start(tuple(settings)))

    def snap(self, settings: Sequence[str]) -> None:
        """Take one frame into a file beside the runs, as soon as no run has the camera.

        Raises
        ------
        CommandError
            If a run goes on.
        """
        self._wait_for_end(Snap(tuple(settings)))

    def _wait_for_end(self, command: Start | Snap) -> None:
        session = self._session
        if session is not None and not session.camera_ended.is_set():
            raise CommandError("a run goes on; stop it first")
        try:
            self._waiting.put_nowait(command)
        except queue.Full as error:
            raise CommandError(
                f"{_MOST_WAITING} commands wait for the end of the run; wait for it, too"
            ) from error

    def stop_run(self) -> None:
        """End the run that goes on, in order."""
        if self._session is not None:
            self._session.stop()

    def next_run(self) -> RunSettings | None:
        """Wait for what the user of the window wants; None if that is to end."""
        window = self._window
        while window is not None and window.is_open and not self._request.event.is_set():
            try:
                command = self._waiting.get(timeout=_STATUS_S)
            except queue.Empty:
                continue
            try:
                settings = load_over(self._first, command.settings)
                if isinstance(command, Start):
                    return settings
                path = take_frame(settings)
                self._notify(OwnerNotice(f"one frame was taken: {path}", picture=str(path)))
            except RtsmlmError as error:
                self._report(str(error))
        return None

    def _notify(self, notice: OwnerNotice) -> None:
        if self._window is not None:
            self._window.notify(notice)

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window.close()


_PRINT: dict[NoticeLevel, Callable[[str], None]] = {
    "information": inform, "warning": warn, "error": fail,
}  # fmt: skip


def _watch(session: Session, stop: threading.Event, check: Callable[[], None]) -> None:
    """Show the status line until the camera has ended or the program is asked to stop."""
    display = Live(console=console, refresh_per_second=8, transient=True)
    on_screen = console.is_terminal
    last_line_ns = now_ns()
    shown: list[str] = []
    tick_s = session.settings.feedback.tick_s
    with display if on_screen else nullcontext():
        while not session.wait(_STATUS_S):
            check()
            if stop.is_set():
                session.stop()
            for notice in session.report.notices[len(shown) :]:
                if notice.text not in shown:
                    _PRINT[notice.level](notice.text)
                shown.append(notice.text)
            status = session.status()
            if on_screen:
                display.update(Text(f"{status_line(status, tick_s)}\n{latency_line(status)}"))
            elif now_ns() - last_line_ns > _PLAIN_LINE_S * 1e9:
                last_line_ns = now_ns()
                console.print(status_line(status, tick_s))
    status = session.status()
    console.print(f"{status_line(status, tick_s)}\n{latency_line(status)}")
