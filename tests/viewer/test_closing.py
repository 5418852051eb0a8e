"""Closing the window: an armed run asks what becomes of it, and the answer reaches its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.viewer.commands import LasersOff, Start, WindowClosed


@pytest.fixture
def armed(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, run_on: Any
) -> Any:
    """Return a window on an armed run; what its owner is told is in `told`."""
    window = open_window(control)
    window.told = []
    window.closing.on_closed = window.told.append
    source.next = {"status": status()}
    run_on(window)
    return window


def press(widget: Any, name: str) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    QTest.keyClick(widget, getattr(QtCore.Qt.Key, f"Key_{name}"))


def test_the_window_of_an_armed_run_asks_before_it_closes(armed: Any, source: Any) -> None:
    armed.close()

    question = armed.closing.question
    assert armed.isVisible()
    assert question.isVisible()
    assert question.cancel.hasFocus() or question.cancel.focusPolicy()
    for words in ("the lasers go off", "goes on steering the lasers unattended", "lasers-off"):
        assert words in question.text.text().replace("\n", " ")
    assert armed.told == []
    assert source.closed == 0


@pytest.mark.parametrize("way", ["Escape", "Return", "cancel"])
def test_cancel_leaves_window_and_run_as_they_are(armed: Any, source: Any, way: str) -> None:
    armed.close()
    question = armed.closing.question

    if way == "Return":  # the key that is pressed by habit, in the button that has the focus
        assert armed.focusWidget() is question.cancel
        press(question.cancel, "Space")
    elif way == "Escape":
        press(armed.super_res.canvas, "Escape")  # wherever the focus is
    else:
        question.cancel.click()

    assert armed.isVisible()
    assert not question.isVisible()
    assert armed.told == []
    assert source.closed == 0
    armed.close()
    assert question.isVisible(), "it asks again the next time"


@pytest.mark.parametrize("stop", [True, False])
def test_the_answer_closes_the_window_and_reaches_the_owner_once(
    armed: Any, source: Any, control: Any, stop: bool
) -> None:
    armed.close()
    (armed.closing.question.stop if stop else armed.closing.question.keep).click()

    assert not armed.isVisible()
    assert armed.told == [stop]
    assert control.asked == []
    assert source.closed == 1


def test_lasers_off_works_while_the_question_is_open(armed: Any, control: Any) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    armed.close()
    press(armed.closing.question.cancel, "F12")
    assert control.asked == [LasersOff()]
    QTest.mouseClick(armed.header.off, QtCore.Qt.MouseButton.LeftButton)
    assert control.asked == [LasersOff(), LasersOff()]
    assert armed.closing.question.isVisible()


@pytest.mark.parametrize(
    ("connection", "loop"),
    [
        ("live", {"armed": False}),
        ("ended", {}),
        ("live", {"tripped": "lasers switched off by the user", "seen_dark": True}),
    ],
    ids=["unarmed", "over", "off and seen dark"],
)
def test_a_window_without_armed_lasers_closes_at_once(
    armed: Any, source: Any, status: Any, run_on: Any, connection: str, loop: dict[str, Any]
) -> None:
    data = status()
    data["loop"] |= loop
    source.connection, source.next = connection, {"status": data}
    run_on(armed)

    armed.close()

    assert not armed.isVisible()
    assert armed.told == [False]


def test_a_window_that_only_shows_an_armed_run_closes_at_once(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any
) -> None:
    window = open_window(None)
    source.next = {"status": status()}
    run_on(window)

    window.close()

    assert not window.isVisible()


def test_a_window_that_is_closed_before_the_first_status_asks_where_its_owner_is_armed(
    open_window: Callable[..., Any], control: Any
) -> None:
    first = open_window(control)
    first.close()
    assert not first.isVisible()

    second = open_window(control, is_armed=True)
    second.close()
    assert second.isVisible()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1024, 640), (1280, 800)])
def test_the_question_is_readable_and_stays_in_the_middle(
    armed: Any, run_on: Any, theme: str, size: tuple[int, int]
) -> None:
    armed.set_theme(theme)
    armed.close()
    run_on(armed)
    armed.resize(*size)  # now that the theme has settled the least widths
    run_on(armed)
    assert (armed.width(), armed.height()) == size

    question = armed.closing.question
    middle = question.geometry().center()
    assert abs(middle.x() - size[0] // 2) <= 1
    assert abs(middle.y() - size[1] // 2) <= 1
    assert armed.rect().contains(question.geometry())
    assert question.text.height() >= question.text.heightForWidth(question.text.width())
    for button in (question.stop, question.keep, question.cancel):
        assert button.width() >= button.minimumSizeHint().width()
        assert question.rect().contains(button.geometry())


def test_a_widget_inside_another_program_asks_too_and_cannot_keep_the_run(
    app: Any, tmp_path: Path, status: Any, source: Any
) -> None:
    from rtsmlm.viewer.widget import RtsmlmWidget

    class Core:
        """A core that is not used."""

    core: Any = Core()
    widget = RtsmlmWidget(mmcore=core, settings_file=tmp_path / "w.ini")
    widget.live.preferences.set("walk_through_seen", True)
    widget._timer.stop()
    widget.live.refresher.timer.stop()
    closed: list[str] = []
    widget.session.close = lambda: closed.append("closed")  # type: ignore[method-assign]
    widget.live.follow(source)
    widget.show()
    source.next = {"status": status()}
    assert widget.live.refresher.reader._warm_up._worker.wait(300.0)
    refresher = widget.live.refresher
    refresher.request()
    assert refresher.reading.finish(60.0)
    refresher.show_newest()

    widget.close()
    question = widget.live.closing.question
    assert widget.isVisible()
    assert question.isVisible()
    assert not question.keep.isVisible()
    assert "unattended" not in question.text.text()
    assert closed == []
    question.stop.click()

    assert not widget.isVisible()
    assert closed == ["closed"]
    widget.deleteLater()


# -- the process -----------------------------------------------------------------------------


def test_the_answer_of_a_window_process_comes_through_the_pipe(
    app: Any, source: Any, tmp_path: Path
) -> None:
    from rtsmlm.viewer.app import show
    from rtsmlm.viewer.commands import from_line
    from rtsmlm.viewer.live_widget import LiveWidget
    from rtsmlm.viewer.pipe_control import PipeControl
    from rtsmlm.viewer.widgets.qt import QtCore

    read, write = os.pipe()

    def close() -> None:
        for window in app.topLevelWidgets():
            if isinstance(window, LiveWidget):
                window.refresher.on_ready = None
                window.close()
                window.closing.question.keep.click()

    QtCore.QTimer.singleShot(200, close)
    source.connection = "waiting"
    show(source, PipeControl(write), settings_file=tmp_path / "w.ini", is_armed=True)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as lines:
        sent = [from_line(line) for line in lines if line.strip()]
    assert sent.count(WindowClosed(stop=False)) == 1
    assert WindowClosed(stop=True) not in sent


@pytest.mark.skipif(sys.platform == "win32", reason="a signal there ends the process at once")
def test_a_window_that_is_ended_by_a_signal_asks_nothing_and_answers_nothing(
    app: Any, tmp_path: Path
) -> None:
    ini = tmp_path / "window.ini"
    command = [sys.executable, "-P", "-m", "rtsmlm.viewer", "tcp://127.0.0.1:5799"]
    process = subprocess.Popen(
        [*command, "--control", "--armed", "--settings", str(ini)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    end_s = time.monotonic() + 60
    while not ini.exists() and process.poll() is None and time.monotonic() < end_s:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=90)

    assert process.returncode == 0
    assert "WindowClosed" not in out
    assert Start.__name__ not in out
