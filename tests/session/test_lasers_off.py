"""A run and the other programs of this machine: lasers off is taken, nothing private is given."""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Callable
from pathlib import Path
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


@pytest.mark.parametrize("is_armed", [True, False])
def test_rtsmlm_lasers_off_reaches_runs_whose_lasers_are_driven(is_armed: bool) -> None:
    reasons: list[str] = []
    control = LocalControl("5a5a", "cell-3", reasons.append, pytest.fail, is_armed=is_armed)
    control.start()
    try:
        result = CliRunner().invoke(app, ["lasers-off"])
    finally:
        control.close()

    assert result.exit_code == 0, result.output
    assert ("run cell-3: lasers off" in result.output) is is_armed
    assert len(reasons) == is_armed
    assert not control_files.is_reachable("5a5a")


def test_a_run_that_does_not_confirm_ends_rtsmlm_lasers_off_with_a_code(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(reason: str) -> None:
        raise OSError("the port hangs")

    control = LocalControl("5a5b", "cell-4", fail, pytest.fail, is_armed=True)
    control.start()
    try:
        result = CliRunner().invoke(app, ["lasers-off"])
    finally:
        control.close()

    assert result.exit_code == 1
    assert "run cell-4: the lasers may be on: OSError: the port hangs" in (
        result.output + capfd.readouterr().err
    )


def test_what_is_published_names_no_folder_no_device_and_no_person(
    quick_settings: Make, spot_camera: Any, tmp_path: Path
) -> None:
    settings = quick_settings(
        "acquisition.frames=9", "lasers.readout.device=OBIS-640", "lasers.readout.max_power=50"
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
        "acquisition": {"exposure_ms": None}, "micromanager": {"roi": None},
        "record": {"raw": True}, "feedback": {"gain": 0.3, "max_local_per_um2": None},
    }  # fmt: skip
    text = json.dumps(reader.settings)
    for secret in (tmp_path.name, tmp_path.as_posix(), str(Path.home()), platform.node(), "OBIS"):
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
