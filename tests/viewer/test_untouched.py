"""What was not touched in the window changes nothing of the configuration of the next run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.settings.load import load
from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.commands import Start


def start(window: Any, control: Any) -> tuple[str, ...]:
    """Press Start between two runs and return the settings that were sent."""
    window.header.start.click()
    [command] = [command for command in control.asked if isinstance(command, Start)]
    control.asked.clear()
    return command.settings


@pytest.fixture
def idle(open_window: Callable[..., Any], control: Any, source: Any, run_on: Any) -> Any:
    """A window after a run that had settings of its own for everything that it shows."""
    settings = {
        "experiment": {"sample": "beads", "operator": "Ada", "notes": "slide 3"},
        "acquisition": {"exposure_ms": 7.0, "frames": 500, "seconds": 60.0},
        "micromanager": {"roi": [8, 8, 32, 32]},
        "record": {"raw": False},
        "feedback": {"gain": 0.5},
    }
    source.about = source.about | {"settings": settings}
    source.connection = "ended"
    window = open_window(control)
    run_on(window)
    return window


def test_a_start_without_a_touch_sends_no_setting(idle: Any, control: Any) -> None:
    assert start(idle, control) == ()


def test_a_first_start_records_raw_frames(
    open_window: Callable[..., Any], control: Any, source: Any
) -> None:
    source.about, source.connection = {}, "waiting"
    window = open_window(control)

    assert window.acquisition.record.isChecked()
    assert load(overrides=start(window, control)).record.raw


def test_each_control_sends_its_own_setting_and_no_other(idle: Any, control: Any) -> None:
    panel, laser = idle.acquisition, idle.laser
    touches: dict[str, Callable[[], object]] = {
        "acquisition.exposure_ms=9": lambda: panel.exposure.setValue(9),
        "acquisition.frames=none": lambda: panel.frames.setValue(0),
        "acquisition.seconds=30": lambda: panel.seconds.setValue(30),
        "micromanager.roi=none": panel.whole.click,
        "record.raw=true": panel.record.click,
        "feedback.target_per_um2=0.2": lambda: laser.target.setValue(0.2),
    }
    for wanted, touch in touches.items():
        touch()
        assert start(idle, control) == (wanted,)
        panel.reset.click()
        laser._chosen.clear()
    assert start(idle, control) == ()


def test_texts_of_the_experiment_reach_the_settings_as_they_were_typed(
    idle: Any, control: Any
) -> None:
    from qtpy.QtTest import QTest

    sample, notes = 'COS-7 "α-tubulin" = 1\\2', "two lines,\nof notes # 1"
    idle.experiment.sample.setText("")
    idle.experiment.sample.textEdited.emit("")
    QTest.keyClicks(idle.experiment.operator, " Lin")
    idle.experiment.sample.setText(sample)
    idle.experiment.notes.setPlainText(notes)

    settings = load(overrides=start(idle, control)).experiment

    assert (settings.sample, settings.operator, settings.notes) == (sample, "Ada Lin", notes)


def test_the_operator_is_remembered_and_the_sample_is_not(
    open_window: Callable[..., Any], control: Any, source: Any, tmp_path: Path
) -> None:
    from qtpy.QtTest import QTest

    source.about, source.connection = {}, "waiting"
    first = open_window(control)
    QTest.keyClicks(first.experiment.sample, "beads")
    QTest.keyClicks(first.experiment.operator, "Ada")
    start(first, control)
    first.close()

    second = open_window(control)
    assert start(second, control) == ('experiment.operator="Ada"',)
    second.show_settings(SettingsPart.of(load(overrides=["experiment.operator=Lin"])), None, 5.0)
    assert start(second, control) == (), "a configuration that names one is left alone"


def test_the_wheel_over_a_number_without_the_focus_changes_nothing(idle: Any, app: Any) -> None:
    from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

    idle.super_res.canvas.setFocus()
    for box in idle.findChildren(QtWidgets.QDoubleSpinBox):
        before = box.value()
        at = QtCore.QPointF(box.rect().center())
        event = QtGui.QWheelEvent(
            at, QtCore.QPointF(box.mapToGlobal(at.toPoint())), QtCore.QPoint(0, 0),
            QtCore.QPoint(0, 120), QtCore.Qt.MouseButton.NoButton,
            QtCore.Qt.KeyboardModifier.NoModifier, QtCore.Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        app.sendEvent(box, event)
        assert box.value() == before, box.toolTip()


def test_a_region_waits_until_the_size_of_the_image_is_known(
    open_window: Callable[..., Any], control: Any, source: Any
) -> None:
    source.about, source.connection = {}, "waiting"
    window = open_window(control)
    assert not window.acquisition.roi["x"].isEnabled()

    window.show_settings(SettingsPart(), (48, 64), 12.5)

    assert window.acquisition.roi["x"].isEnabled()
    assert window.acquisition.roi_px() == (0, 0, 64, 48)
    assert window.acquisition.exposure.value() == 12.5
    assert start(window, control) == ()
