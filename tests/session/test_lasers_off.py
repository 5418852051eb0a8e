"""A run and the other programs of this machine: lasers off is taken, nothing private is given."""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from rtsmlm.cli import app
from rtsmlm.errors import ConfigError
from rtsmlm.session.local_control import LocalControl
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream import control_files
from rtsmlm.stream.subscriber import Subscriber

Make = Callable[..., RunSettings]


class Loop:
    """What drives the lasers, as far as they are switched off."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.not_dark: list[tuple[str, ...]] = [()]

    def switch_off(self, reason: str) -> None:
        self.reasons.append(reason)

    def status(self) -> Any:
        now = self.not_dark.pop(0) if len(self.not_dark) > 1 else self.not_dark[0]
        return SimpleNamespace(not_dark=now)


Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Ask:
    """Return a function that runs `rtsmlm lasers-off`: exit code, and what it prints."""

    def run(loop: Any, *, has_lasers: bool = True) -> tuple[int, str]:
        control = LocalControl("5a5a", "cell-3", loop, pytest.fail, has_lasers=has_lasers)
        control.start()
        try:
            result = CliRunner().invoke(app, ["lasers-off"])
        finally:
            control.close()
        assert not control_files.is_reachable("5a5a")
        return result.exit_code, result.output + capfd.readouterr().err

    return run


@pytest.mark.parametrize("has_lasers", [True, False])
def test_rtsmlm_lasers_off_reaches_runs_that_have_lasers(ask: Ask, has_lasers: bool) -> None:
    loop = Loop()

    code, printed = ask(loop, has_lasers=has_lasers)

    assert code == 0
    assert ("run cell-3: lasers off" in printed) is has_lasers
    assert len(loop.reasons) == has_lasers


def test_it_waits_until_the_lasers_are_confirmed_dark(ask: Ask) -> None:
    loop = Loop()
    loop.not_dark = [("readout",)] * 5 + [()]

    assert ask(loop)[0] == 0
    assert loop.not_dark == [()]


def test_lasers_that_are_not_confirmed_dark_are_named_with_a_code(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsmlm.session.local_control._CONFIRM_NS", 100_000_000)
    loop = Loop()
    loop.not_dark = [("readout", "activation")]

    code, printed = ask(loop)

    assert code == 1
    assert "the lasers may be on: readout, activation not confirmed dark" in printed


def test_what_is_published_names_no_folder_no_device_and_no_person(
    quick_settings: Make, spot_camera: Any, tmp_path: Path
) -> None:
    settings = quick_settings(
        "acquisition.frames=9",
        "experiment.operator='A. Person'",
        "experiment.notes='private'",
        "experiment.sample='cell 3'",
        "lasers.readout.device=OBIS-640",
        "lasers.readout.max_power=50",
    )
    session = Session(spot_camera(period_s=0.01), settings)
    session.start()
    try:
        assert session.stream_address is not None
        with Subscriber(session.stream_address, timeout_s=20) as reader:
            for _ in reader:
                break
    finally:
        session.wait(60)
        session.close()

    assert reader.run_id == session.run_id
    assert set(reader.settings) == {
        "run",
        "run_id",
        "shape",
        "pixel_nm",
        "settings",
        "history_port",
    }
    assert reader.settings["settings"] == {
        "experiment": {"sample": "cell 3", "operator": "", "notes": "", "has_operator": True},
        "acquisition": {"exposure_ms": None, "frames": 9, "seconds": None},
        "micromanager": {"roi": None},
        "channels": {"names": [], "views": []},
        "record": {"raw": True},
        "feedback": {"gain": 0.3, "tick_s": 1.0, "max_local_per_um2": None},
    }  # fmt: skip
    text = json.dumps(reader.settings)
    for secret in (
        tmp_path.name,
        tmp_path.as_posix(),
        str(Path.home()),
        platform.node(),
        "OBIS",
        "Person",
        "private",
    ):
        assert secret not in text


def test_two_runs_at_once_have_numbers_of_their_own(quick_settings: Make, spot_camera: Any) -> None:
    runs = [
        Session(spot_camera(), quick_settings(f"results.name={name}")) for name in ("one", "two")
    ]
    try:
        assert runs[0].run_id != runs[1].run_id
    finally:
        for run in runs:
            run.close()


def test_where_its_stated_address_is_taken_a_run_does_not_start_and_leaves_no_folder(
    quick_settings: Make, spot_camera: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        session = Session(spot_camera(), quick_settings(f"stream.address={address}"))
        with pytest.raises(ConfigError, match=f"stream.address {address} is taken"):
            session.start()

    assert not session.folder.path.exists()
