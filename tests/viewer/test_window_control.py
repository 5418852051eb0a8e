"""What is clicked reaches the control; Laser off does so from everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rtsmlm.viewer.commands import (
    LasersOff,
    ResetTrip,
    SetGain,
    SetTarget,
    Snap,
    Start,
    Stop,
)


def test_the_button_switches_the_lasers_off(open_window: Callable[..., Any], control: Any) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    window = open_window(control)

    QTest.mouseClick(window.header.off, QtCore.Qt.MouseButton.LeftButton)

    assert control.asked == [LasersOff()]


@pytest.mark.parametrize("stroke", ["F12", "Ctrl+L"])
def test_the_keys_switch_the_lasers_off_from_every_focus(
    open_window: Callable[..., Any], control: Any, stroke: str
) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

    window = open_window(control)
    keys, modifiers = QtCore.Qt.Key, QtCore.Qt.KeyboardModifier
    key, modifier = {
        "F12": (keys.Key_F12, modifiers.NoModifier),
        "Ctrl+L": (keys.Key_L, modifiers.ControlModifier),
    }[stroke]
    window.help.show()
    widgets = [w for w in window.findChildren(QtWidgets.QWidget)
               if w.focusPolicy() != QtCore.Qt.FocusPolicy.NoFocus]  # fmt: skip
    assert any(isinstance(w, QtWidgets.QLineEdit) for w in widgets)

    for k, widget in enumerate(widgets):
        widget.setFocus()
        QTest.keyClick(widget, key, modifier)
        assert control.asked == [LasersOff()] * (k + 1), widget


def test_the_keys_reach_past_a_dialog(
    open_window: Callable[..., Any], control: Any, app: Any
) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

    window = open_window(control)
    window.ask_where_to_export()
    app.processEvents()
    dialog = window.findChild(QtWidgets.QFileDialog)

    QTest.keyClick(dialog.findChild(QtWidgets.QLineEdit), QtCore.Qt.Key.Key_F12)
    dialog.close()

    assert control.asked == [LasersOff()]


@pytest.mark.parametrize("able", [True, False])
def test_the_key_comes_before_a_shortcut_of_the_program_only_where_it_has_an_effect(
    open_window: Callable[..., Any], control: Any, app: Any, able: bool
) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

    open_window(control if able else None)
    host = QtWidgets.QWidget()
    field = QtWidgets.QLineEdit(host)
    shortcut = QtGui.QShortcut(QtGui.QKeySequence("F12"), host)
    seen: list[str] = []
    shortcut.activated.connect(lambda: seen.append("host"))
    host.show()
    host.activateWindow()
    field.setFocus()
    app.processEvents()
    QTest.keyClick(field, QtCore.Qt.Key.Key_F12)
    app.processEvents()

    assert control.asked == ([LasersOff()] if able else [])
    assert seen == ([] if able else ["host"])
    host.close()


def test_a_closed_window_takes_no_keys(
    open_window: Callable[..., Any], control: Any, app: Any
) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

    window = open_window(control)
    window.close()
    other = QtWidgets.QLineEdit()
    QTest.keyClick(other, QtCore.Qt.Key.Key_F12)

    assert control.asked == []


def test_without_control_everything_says_why_not(open_window: Callable[..., Any]) -> None:
    from rtsmlm.viewer.live_widget import VIEW_ONLY

    window = open_window(None)
    header, laser, acquisition = window.header, window.laser, window.acquisition

    for widget in (header.off, header.start, header.stop, header.snap, laser.target, laser.gain,
                   acquisition.exposure, acquisition.record, acquisition.draw):  # fmt: skip
        assert not widget.isEnabled()
        assert VIEW_ONLY in widget.toolTip()
    window.lasers_off()
    assert VIEW_ONLY in window.newest.text()


def test_stop_while_a_run_goes_on_and_start_after_it(
    open_window: Callable[..., Any], control: Any, source: Any, run_on: Any
) -> None:
    window = open_window(control)
    assert not window.header.start.isEnabled()
    window.header.stop.click()

    source.connection = "ended"
    run_on(window)
    assert not window.header.stop.isEnabled()
    window.acquisition.exposure.setValue(20)
    window.acquisition.roi["x"].setValue(16)
    window.acquisition.roi["width"].setValue(32)
    window.header.start.click()
    window.header.snap.click()

    settings = ("acquisition.exposure_ms=20", "micromanager.roi=[16, 0, 32, 64]")
    assert control.asked == [Stop(), Start(settings), Snap(settings)]


def test_target_and_gain_are_sent_once_and_not_undone_by_an_older_status(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, run_on: Any
) -> None:
    window = open_window(control)
    source.next = {"status": status()}
    run_on(window)
    assert control.asked == []  # showing what is does not ask for it

    window.laser.target.setValue(0.08)
    window.laser.gain.setValue(0.5)
    source.next = {"status": status()}  # still the old target, was on its way
    run_on(window)

    assert control.asked == [SetTarget(0.08), SetGain(0.5)]
    assert window.laser.target.value() == 0.08
    assert window.laser.overrides() == ["feedback.target_per_um2=0.08", "feedback.gain=0.5"]


def test_raw_recording_is_chosen_for_the_next_start_and_not_for_this_run(
    open_window: Callable[..., Any], control: Any, source: Any, run_on: Any
) -> None:
    window = open_window(control)
    window.acquisition.record.click()
    assert control.asked == []

    source.connection = "ended"
    run_on(window)
    window.header.start.click()

    assert "record.raw=false" in control.asked[0].settings


def test_a_start_before_the_first_run_leaves_the_recording_to_the_configuration(
    open_window: Callable[..., Any], control: Any, source: Any, run_on: Any
) -> None:
    source.about = {}  # nothing is known of a run
    source.connection = "waiting"
    window = open_window(control)
    assert window.acquisition.record.isChecked()
    window.header.start.click()
    window.acquisition.record.click()
    window.header.start.click()

    assert control.asked == [Start(), Start(("record.raw=false",))]


def test_a_trip_shows_its_reason_and_is_reset(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, run_on: Any
) -> None:
    window = open_window(control)
    assert not window.laser.reset.isVisible()
    data = status()
    data["loop"] |= {"tripped": "no estimate for 3 s", "power": 0.0}
    source.next = {"status": data}
    run_on(window)

    assert window.laser.alarm.isVisible()
    assert "no estimate for 3 s" in window.laser.alarm.text()
    window.laser.reset.click()
    assert control.asked == [ResetTrip()]


def test_two_windows_both_get_the_key_and_one_without_control_leaves_it(
    open_window: Callable[..., Any], control: Any
) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

    class Heard(QtWidgets.QLineEdit):
        keys = 0

        def keyPressEvent(self, event: Any) -> None:
            self.keys += 1
            super().keyPressEvent(event)

    field = Heard()
    view_only = open_window(None)
    QTest.keyClick(field, QtCore.Qt.Key.Key_F12)
    assert field.keys == 1, "the embedding program may use the key where no window here can"
    first, second = open_window(control), open_window(control)
    QTest.keyClick(field, QtCore.Qt.Key.Key_F12)

    assert control.asked == [LasersOff(), LasersOff()]
    assert field.keys == 1
    assert len({view_only, first, second}) == 3


def test_without_its_parent_the_window_stays_and_shows_why_nothing_can_be_clicked(
    open_window: Callable[..., Any], control: Any
) -> None:
    window = open_window(control)

    window.lose_control("the program is gone")

    assert window.isVisible()
    assert not window.header.off.isEnabled()
    assert "the program is gone" in window.header.off.toolTip()
