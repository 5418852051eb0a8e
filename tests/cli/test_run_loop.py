"""The loop of `rtsmlm live`: what it prints of the window, and what it takes from it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import tifffile

from rtsmlm.cli import run_loop, snap
from rtsmlm.cli.run_loop import LiveRunner
from rtsmlm.cli.run_output import report_arming
from rtsmlm.cli.signals import StopRequest
from rtsmlm.cli.window_end import write_figures
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings
from rtsmlm.viewer.commands import Snap, Start, Stop, WindowFigures, WindowReady, to_line
from rtsmlm.viewer.owner_notice import OwnerNotice


class FakeWindow:
    """A window that is open as long as the test says, and sends what the test says."""

    opened: list[FakeWindow] = []  # noqa: RUF012

    def __init__(
        self, on_line: Any, curve_keys: Path | None = None, *, is_armed: bool = False
    ) -> None:
        self.on_line, self.curve_keys, self.is_armed = on_line, curve_keys, is_armed
        self.exit_code: int | None = None
        self.places: list[tuple[str | None, str]] = []
        self.notices: list[OwnerNotice] = []
        self.warning: str | None = None
        self.is_open = True
        self.closed = 0
        FakeWindow.opened.append(self)
        on_line(to_line(WindowReady()))

    def notify(self, notice: OwnerNotice) -> None:
        self.notices.append(notice)

    def follow(self, address: str | None, run_id: str, folder: Path | None = None) -> None:
        self.places.append((address, run_id))

    def take_warning(self) -> str | None:
        return self.warning

    def close(self) -> None:
        self.closed += 1
        self.is_open = False


@pytest.fixture
def settings(tmp_path: Path) -> RunSettings:
    return load(Path("demo.toml"), (f"results.out={tmp_path.as_posix()}",))


@pytest.fixture
def runner(settings: RunSettings, monkeypatch: pytest.MonkeyPatch) -> LiveRunner:
    FakeWindow.opened.clear()
    monkeypatch.setattr(run_loop, "Window", FakeWindow)
    return LiveRunner(settings, arm=False, request=StopRequest(), with_window=True)


class FakeSession:
    """A run, as far as its window is concerned."""

    stream_address: str | None = None
    run_id = "a"
    folder = RunFolder(Path("run"))

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.warn = self.warnings.append


def test_one_window_is_opened_for_all_runs_and_follows_them(runner: LiveRunner) -> None:
    session: Any = FakeSession()
    for address, run_id in ((None, "a"), ("tcp://127.0.0.1:5757", "a"), ("tcp://h:1", "b")):
        session.stream_address, session.run_id = address, run_id
        runner._open_window()
        runner._attend_window(session)

    [window] = FakeWindow.opened
    assert window.places == [(None, "a"), ("tcp://127.0.0.1:5757", "a"), ("tcp://h:1", "b")]
    runner.close()
    assert FakeWindow.opened[0].closed == 1


@pytest.mark.parametrize("run_id", ["a", "b"])
def test_what_the_window_measured_of_a_run_is_in_the_folder_of_that_run_alone(
    runner: LiveRunner, tmp_path: Path, run_id: str
) -> None:
    session: Any = FakeSession()
    session.folder = RunFolder(tmp_path)
    figures = WindowFigures(run_id, 60.0, 1.5, 20.0, 180.0, 9.5, math.nan, math.nan)
    runner.handle_line(to_line(figures))
    write_figures(session, runner._window_figures)

    assert session.folder.window.exists() is (run_id == "a")
    if run_id == "a":
        written = json.loads(session.folder.window.read_text(encoding="utf-8"))
        assert written["lag_p99_ms"] == 20.0
        assert written["memory_mb"] is None, "not known on every system"


@pytest.mark.parametrize("armed", [True, False])
def test_a_window_that_does_not_react_is_warned_of_where_lasers_are_driven(
    settings: RunSettings, runner: LiveRunner, armed: bool
) -> None:
    runner._arm = armed
    runner._open_window()
    FakeWindow.opened[0].warning = "the window has not reacted for 1.2 s"
    session: Any = FakeSession()

    runner._attend_window(session)

    assert bool(session.warnings) is armed


def test_without_a_window_there_is_one_run(settings: RunSettings) -> None:
    runner = LiveRunner(settings, arm=False, request=StopRequest(), with_window=False)

    runner._open_window()

    assert runner.next_run() is None


def test_the_next_run_has_the_settings_of_the_window(runner: LiveRunner) -> None:
    runner._open_window()
    FakeWindow.opened[0].on_line(to_line(Start(("acquisition.exposure_ms=7", "record.raw=false"))))

    settings = runner.next_run()

    assert settings is not None
    assert settings.acquisition.exposure_ms == 7
    assert settings.record.raw is False


def test_a_stop_between_two_runs_is_refused_and_the_window_stays(
    runner: LiveRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    runner._open_window()
    FakeWindow.opened[0].on_line(to_line(Stop()))

    assert "stop: there is no run now" in capsys.readouterr().err
    assert FakeWindow.opened[0].is_open


def test_a_snap_writes_one_frame_beside_the_runs_and_waits_for_the_next_command(
    runner: LiveRunner,
    settings: RunSettings,
    spot_camera: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    camera = spot_camera()
    monkeypatch.setattr(snap, "open_camera", lambda settings: camera)
    runner._open_window()
    for command in (Snap(), Start()):
        FakeWindow.opened[0].on_line(to_line(command))

    assert runner.next_run() is not None
    [path] = settings.results.out.glob("snap_*.tif")
    assert tifffile.imread(path).shape == camera.shape
    assert camera.closed
    assert path.name in capsys.readouterr().out.replace("\n", "")
    assert FakeWindow.opened[0].notices[0].picture == str(path.absolute())


@pytest.mark.parametrize(
    ("lasers", "arm", "allowed", "text"),
    [
        (False, False, False, ""),
        (False, True, False, "--arm does nothing"),
        (True, False, False, "monitor only (--arm and feedback.arm = true drive them)"),
        (True, True, False, "monitor only: lasers are not driven (feedback.arm = true is missing)"),
        (True, False, True, "monitor only: lasers are not driven (--arm is missing)"),
        (True, True, True, "ARMED"),
    ],
)
def test_whether_lasers_are_driven_is_printed_before_the_run(
    capsys: pytest.CaptureFixture[str], lasers: bool, arm: bool, allowed: bool, text: str
) -> None:
    name = "hil_sim.toml" if lasers else "demo.toml"
    report_arming(load(Path(name), (f"feedback.arm={'true' if allowed else 'false'}",)), arm)

    captured = capsys.readouterr()
    assert text in captured.out + captured.err
    assert bool(captured.out + captured.err) is bool(text)
