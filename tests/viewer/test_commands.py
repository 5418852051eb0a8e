"""Commands of the window: one parser, one place that acts, and nothing is dropped in silence."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest

import rtsmlm
from rtsmlm.cli.run_loop import LiveRunner
from rtsmlm.cli.signals import StopRequest
from rtsmlm.errors import CommandError, DeviceError
from rtsmlm.files.run.report import Notice
from rtsmlm.settings.load import load
from rtsmlm.viewer.commands import (
    Command,
    LasersOff,
    ResetTrip,
    SetGain,
    SetTarget,
    Snap,
    Start,
    Stop,
    WindowAlive,
    WindowClosed,
    WindowFigures,
    WindowMessage,
    WindowReady,
    carry_out,
    carry_out_or_report,
    describe,
    from_line,
    to_line,
)
from rtsmlm.viewer.owner_notice import OwnerNotice

ALL: list[Any] = [
    LasersOff(), ResetTrip(), Stop(), SetTarget(0.08), SetGain(0.5),
    Start(("record.raw=false", "acquisition.exposure_ms=20")), Snap(("micromanager.roi=none",)),
]  # fmt: skip
OF_A_RUN = ALL[:5]
DEEDS = ["lasers_off", "reset_trip", "stop", "set_target 0.08", "set_gain 0.5"]


class FakeEvent:
    """The end of a camera that the test decides on."""

    def __init__(self) -> None:
        self.ended = False

    def is_set(self) -> bool:
        return self.ended


class FakeRun:
    """Notes what a command does to a run; stands in for a session."""

    def __init__(self, fails_with: Exception | None = None) -> None:
        self.deeds: list[str] = []
        self.warnings: list[str] = []
        self.camera_ended = FakeEvent()
        self.stream_address = None
        self._fails_with = fails_with

    def _note(self, deed: str) -> None:
        if self._fails_with is not None:
            raise self._fails_with
        self.deeds.append(deed)

    def lasers_off(self) -> None:
        self._note("lasers_off")

    def reset_trip(self, reason: str) -> None:
        assert "window" in reason
        self._note("reset_trip")

    def set_target(self, per_um2: float) -> None:
        self._note(f"set_target {per_um2:g}")

    def set_gain(self, gain: float) -> None:
        self._note(f"set_gain {gain:g}")

    def stop(self) -> None:
        self._note("stop")

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class FakeOwner:
    """Owns a run, or none."""

    def __init__(self, run: FakeRun | None = None) -> None:
        self.current_run = run
        self.deeds: list[tuple[str, tuple[str, ...]]] = []

    def start_run(self, settings: Sequence[str]) -> None:
        self.deeds.append(("start", tuple(settings)))

    def stop_run(self) -> None:
        if self.current_run is not None:
            self.current_run.stop()

    def snap(self, settings: Sequence[str]) -> None:
        self.deeds.append(("snap", tuple(settings)))


FIGURES = WindowFigures("1f", 60.0, 1.5, 20.0, 180.0, 9.5, 310.0, 0.25)


@pytest.fixture
def runner(tmp_path: Path) -> LiveRunner:
    settings = load(Path("demo.toml"), (f"results.out={tmp_path.as_posix()}",))
    return LiveRunner(settings, arm=False, request=StopRequest(), with_window=False)


# -- the lines -----------------------------------------------------------------------------------


def test_the_list_of_this_test_holds_every_command() -> None:
    assert {type(command) for command in ALL} == set(get_args(Command))
    assert set(get_args(WindowMessage)) == {
        *get_args(Command), WindowReady, WindowAlive, WindowFigures, WindowClosed,
    }  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [*ALL, WindowReady(), WindowAlive(), FIGURES, WindowClosed(True), WindowClosed(False)],
    ids=repr,
)
def test_a_message_is_the_same_after_its_way_through_the_pipe(message: Any) -> None:
    line = to_line(message)

    assert "\n" not in line
    assert from_line(line + "\n") == message
    assert json.loads(line)["command"] == type(message).__name__


def test_a_whole_number_is_a_number_too() -> None:
    assert from_line('{"command": "SetTarget", "per_um2": 1}') == SetTarget(1.0)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("", "not a line of JSON"),
        ("LasersOff", "not a line of JSON"),
        ('{"command": "LasersOff"', "not a line of JSON"),
        ("[]", "does not name a command"),
        ("null", "does not name a command"),
        ('{"do": "stop"}', "does not name a command"),
        ('{"command": "Explode"}', "unknown command 'Explode'"),
        ('{"command": ["Stop"]}', "unknown command ['Stop']"),
        ('{"command": null}', "unknown command None"),
        ('{"command": "stop"}', "unknown command 'stop'"),
        ('{"command": "Stop", "now": true}', "Stop from the window has no value 'now'"),
        ('{"command": "SetTarget"}', "SetTarget from the window cannot be used: per_um2: "),
        ('{"command": "SetTarget", "per_um2": "0.1"}', "(got '0.1')"),
        ('{"command": "SetTarget", "per_um2": null}', "(got None)"),
        ('{"command": "SetTarget", "per_um2": true}', "(got True)"),
        ('{"command": "SetTarget", "per_um2": 0}', "greater than 0 (got 0"),
        ('{"command": "SetTarget", "per_um2": -1.5}', "greater than 0 (got -1.5)"),
        ('{"command": "SetTarget", "per_um2": NaN}', "per_um2: "),
        ('{"command": "SetTarget", "per_um2": Infinity}', "per_um2: "),
        ('{"command": "SetGain", "gain": 1.5}', "less than or equal to 1 (got 1.5)"),
        ('{"command": "SetGain", "value": 0.5}', "has no value 'value'"),
        ('{"command": "Start", "settings": "record.raw=true"}', "settings: "),
        ('{"command": "Start", "settings": [1]}', "settings.0: "),
        ('{"command": "Snap", "settings": {"a": 1}}', "settings: "),
        ('{"command": "WindowClosed"}', "WindowClosed from the window cannot be used: stop: "),
        ('{"command": "WindowClosed", "stop": 1}', "stop: "),
    ],
)
def test_what_is_no_command_is_refused_in_one_sentence(line: str, part: str) -> None:
    with pytest.raises(CommandError) as caught:
        from_line(line)

    text = str(caught.value)
    assert part in text, text
    assert "\n" not in text
    assert "window" in text


def test_a_long_damaged_line_is_not_repeated_whole() -> None:
    with pytest.raises(CommandError) as caught:
        from_line("x" * 100_000)

    assert len(str(caught.value)) < 200


def test_a_command_is_named_in_words() -> None:
    assert [describe(command) for command in ALL] == [
        "lasers off", "reset trip", "stop", "set target", "set gain", "start", "snap",
    ]  # fmt: skip


def test_the_name_of_the_safety_command_is_typed_in_one_file() -> None:
    """A second spelling, as a text, would be a command that no parser knows."""
    quoted = re.compile(r"""["']lasers[ _]off["']""", re.IGNORECASE)
    root = Path(rtsmlm.__file__).parent
    paths = [path for name in ("viewer", "cli", "session") for path in (root / name).rglob("*.py")]
    found = [path.name for path in paths if quoted.search(path.read_text("utf-8"))]

    assert found == []


# -- what is done --------------------------------------------------------------------------------


def test_each_command_of_a_run_does_its_own_deed() -> None:
    run = FakeRun()
    owner = FakeOwner(run)

    for command in OF_A_RUN:
        carry_out(command, owner)

    assert run.deeds == DEEDS
    assert owner.deeds == []


@pytest.mark.parametrize("command", OF_A_RUN, ids=describe)
def test_between_two_runs_a_command_of_a_run_is_refused_by_name(command: Any) -> None:
    with pytest.raises(CommandError, match=f"{describe(command)}: there is no run now"):
        carry_out(command, FakeOwner())


def test_start_and_snap_need_no_run_and_keep_their_settings() -> None:
    owner = FakeOwner()

    carry_out(Start(("a.b=1", "c.d=2")), owner)
    carry_out(Snap(("a.b=3",)), owner)

    assert owner.deeds == [("start", ("a.b=1", "c.d=2")), ("snap", ("a.b=3",))]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DeviceError("the shutter is stuck"), "the shutter is stuck"),
        (ZeroDivisionError("by zero"), "reset trip failed: ZeroDivisionError: by zero"),
    ],
)
def test_what_goes_wrong_is_reported_and_logged_and_ends_nothing(
    error: Exception, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    reports: list[str] = []

    with caplog.at_level(logging.WARNING):
        carry_out_or_report(ResetTrip(), FakeOwner(FakeRun(error)), reports.append)

    assert reports == [text]
    assert "ResetTrip()" in caplog.text
    assert str(error) in caplog.text


# -- both owners ---------------------------------------------------------------------------------


def test_rtsmlm_live_acts_on_every_command(runner: LiveRunner) -> None:
    run: Any = FakeRun()
    runner._session = run
    for command in OF_A_RUN:
        runner.handle_line(to_line(command))
    assert run.deeds == DEEDS
    assert run.warnings == []

    run.camera_ended.ended = True  # it still closes its files
    for command in ALL[5:]:
        runner.handle_line(to_line(command))
    waiting = [runner._waiting.get_nowait() for _ in range(2)]

    assert waiting == ALL[5:]
    runner.handle_line(to_line(WindowReady()))
    assert runner._window_ready.is_set()


def test_the_plug_in_acts_on_every_command() -> None:
    from rtsmlm.viewer.embedded_session import EmbeddedSession

    attached: list[Sequence[str]] = []
    run: Any = FakeRun()

    def attach(settings: Sequence[str]) -> Any:
        attached.append(settings)
        return run

    embedded = EmbeddedSession(attach)

    def texts() -> list[str]:
        return [notice.text for notice in embedded.take_notices()]

    embedded.ask(Start(("a.b=1",)))
    assert embedded._worker is not None
    assert embedded._worker.wait(10.0)
    embedded.update()
    assert embedded.state == "running"
    for command in OF_A_RUN:
        if command != Stop():
            embedded.ask(command)
    embedded.ask(Snap())
    assert texts() == ["take single frames in the program that owns the camera"]
    run.close = lambda: run  # its report
    run.notices, run.verdict = [Notice(0.0, "warning", "dim")], "all frames accounted for"
    embedded.ask(Stop())
    embedded.close()

    assert attached == [("a.b=1",)]
    assert sorted(run.deeds) == sorted(DEEDS)
    assert texts() == ["dim", "all frames accounted for"]
    assert texts() == []


def test_the_plug_in_refuses_a_second_start() -> None:
    from rtsmlm.viewer.embedded_session import EmbeddedSession

    run: Any = FakeRun()
    embedded = EmbeddedSession(lambda settings: run)
    embedded.state = "running"

    embedded.ask(Start())

    [refused] = embedded.take_notices()
    assert refused.text == "a run goes on; stop it first"


def test_rtsmlm_live_refuses_a_start_while_the_camera_runs(runner: LiveRunner) -> None:
    run: Any = FakeRun()
    runner._session = run

    runner.handle_line(to_line(Start()))
    runner.handle_line(to_line(Snap()))

    assert run.warnings == ["a run goes on; stop it first"] * 2
    assert runner._waiting.empty()


def test_more_starts_than_fit_are_refused_and_reported(
    runner: LiveRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(40):
        runner.handle_line(to_line(Start()))

    assert runner._waiting.qsize() == 16
    assert "16 commands wait for the end of the run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ['{"command": "Explode"}', '{"command": "SetTarget"}', '{"command": "SetGain", "gain": 7}'],
)
def test_a_bad_line_shows_in_the_run_and_leaves_the_next_one_working(
    runner: LiveRunner, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    run: Any = FakeRun()
    runner._session = run

    runner.handle_line(line)
    runner.handle_line(to_line(LasersOff()))

    assert len(run.warnings) == 1
    assert "window" in run.warnings[0]
    assert run.warnings[0] in caplog.text
    assert run.deeds == ["lasers_off"]


def test_without_a_run_the_terminal_shows_what_was_refused(
    runner: LiveRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    runner.handle_line(to_line(LasersOff()))

    assert "lasers off: there is no run now; start one first" in capsys.readouterr().err


def test_settings_that_are_wrong_are_reported_and_the_next_start_counts(
    runner: LiveRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    class Open:
        is_open = True
        shown: ClassVar[list[OwnerNotice]] = []

        def notify(self, notice: OwnerNotice) -> None:
            self.shown.append(notice)

    runner._window = Open()  # type: ignore[assignment]
    runner.handle_line(to_line(Start(("acquisition.exposure_ms=-3",))))
    runner.handle_line(to_line(Start(("acquisition.exposure_ms=7",))))

    settings = runner.next_run()

    assert settings is not None
    assert settings.acquisition.exposure_ms == 7
    assert "exposure_ms" in capsys.readouterr().err
    [refused] = Open.shown
    assert refused.level == "error"
    assert "exposure_ms" in refused.text


def test_every_control_of_the_window_sends_a_known_command(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, run_on: Any
) -> None:
    """Whatever is clicked, typed and ticked, and the end of the window: all are commands."""
    from rtsmlm.viewer.widgets.qt import QtWidgets

    window = open_window(control)
    tripped = status()
    tripped["loop"] |= {"tripped": "no estimate for 3 s"}
    for connection in ("live", "ended"):
        source.connection = connection
        source.next = {"status": tripped}
        run_on(window)
        panels = (window.header, window.laser, window.acquisition)
        for button in (b for p in panels for b in p.findChildren(QtWidgets.QAbstractButton)):
            if button.isEnabled() and button not in (window.header.theme, window.header.help):
                button.click()
        window.header.off.pressed.emit()
        for box in window.laser.findChildren(QtWidgets.QDoubleSpinBox):
            box.stepUp()
    window.close()

    assert {type(command) for command in control.asked} == set(get_args(Command))
