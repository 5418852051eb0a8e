"""The live window as a program of its own."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.errors import RtsmlmError
from rtsmlm.viewer.commands import Control
from rtsmlm.viewer.live_widget import LiveWidget
from rtsmlm.viewer.pipe_control import GONE, PipeControl
from rtsmlm.viewer.sources.stream_source import StreamSource
from rtsmlm.viewer.sources.updates import Source
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_SIZE = (1280, 800)
_SHARE = 0.9
_FRAME_PX, _TITLE_PX = 4, 36
"""Of the frame that the system draws around a window, which it states only once that is shown."""
_SIGNALS_MS = 200
_FLUSH_S = 2.0
"""For commands on their way to the program that owns the run."""


def application() -> QtWidgets.QApplication:
    """Return the application, made if there is none."""
    found = QtWidgets.QApplication.instance()
    if isinstance(found, QtWidgets.QApplication):
        return found
    made = QtWidgets.QApplication(["rtsmlm"])
    made.setApplicationName("rtsmlm")
    made.setStyle("Fusion")  # the same on every system, and takes all colours
    return made


def open_window(
    source: Source,
    control: Control | None = None,
    *,
    settings_file: Path | None = None,
    is_armed: bool = False,
) -> LiveWidget:
    """Return a window that is shown, as large as it was last time."""
    window = LiveWidget(source, control, settings_file=settings_file, is_armed=is_armed)
    window.setWindowTitle(f"rtsmlm: {source.name}")
    geometry = window.preferences.bytes("geometry")
    if geometry is None or not window.restoreGeometry(geometry):
        free = _room(window).size()
        width, height = (
            min(max(least, round(_SHARE * side)), side)
            for least, side in zip(_SIZE, (free.width(), free.height()), strict=True)
        )
        window.resize(width, height)
    _bring_inside(window)
    window.show()
    return window


def _room(window: LiveWidget) -> QtCore.QRect:
    """Return what a window can fill of its screen, without its own frame."""
    free = window.screen().availableGeometry()
    return free.adjusted(_FRAME_PX, _TITLE_PX, -_FRAME_PX, -_FRAME_PX)


def _bring_inside(window: LiveWidget) -> None:
    """Make a window smaller and move it where it lies beyond its screen.

    LASER OFF is at its right edge and the ledger at the lower one; a screen may be smaller than
    the one that the window was on last time.
    """
    room, now = _room(window), window.geometry()
    now.setSize(now.size().boundedTo(room.size()))
    now.moveRight(min(now.right(), room.right()))
    now.moveBottom(min(now.bottom(), room.bottom()))
    now.moveLeft(max(now.left(), room.left()))
    now.moveTop(max(now.top(), room.top()))
    if now != window.geometry():
        window.setGeometry(now)


def show(
    source: Source,
    control: Control | None = None,
    *,
    settings_file: Path | None = None,
    is_armed: bool = False,
) -> int:
    """Run the window until it is closed; a run ends with it only if the user says so.

    Parameters
    ----------
    source
        Where the updates come from; closed at the end.
    control
        Takes the commands; None makes it a window to view only.
    settings_file
        Ini file with the preferences; None takes the place that the system has for it.
    is_armed
        As for `LightState`.

    Returns
    -------
    :
        Exit code.
    """
    app = application()
    window = open_window(source, control, settings_file=settings_file, is_armed=is_armed)
    if isinstance(control, PipeControl):
        window.refresher.on_ready = control.report_ready
        window.refresher.meter.on_figures = control.report_figures
        window.closing.on_closed = control.report_closed
    # Python sees Ctrl-C only while it runs, and not in the toolkit's loop.
    pulse = QtCore.QTimer()
    pulse.timeout.connect(lambda: _follow_parent(window, control))
    pulse.start(_SIGNALS_MS)
    code = int(app.exec())
    window.preferences.set_bytes("geometry", window.saveGeometry())
    window.shut_down()
    if isinstance(control, PipeControl):
        control.flush(_FLUSH_S)
    return code


def _follow_parent(window: LiveWidget, control: Control | None) -> None:
    """Show the run that the parent has begun, notice its end, and report that the loop runs."""
    if not isinstance(control, PipeControl) or window.control is None:
        return
    control.report_alive()
    if (place := control.take_place()) is not None:
        try:
            source = StreamSource(place.address, control.curve_keys, only_run_id=place.run_id)
        except RtsmlmError as error:
            window.report(str(error), window.theme.red)
        else:
            window.follow(source, Path(place.folder) if place.folder else None)
            window.setWindowTitle(f"rtsmlm: {place.address}")
    for notice in control.take_notices():
        window.show_notice(notice)
    if control.is_gone:
        window.lose_control(GONE)
