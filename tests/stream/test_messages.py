"""Messages of the stream: what is sent can be read, and what cannot be read says so once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rtsmlm.errors import FileFormatError
from rtsmlm.feedback.records import DensityEstimate, LoopStatus, Resolution
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.session.status import RunStatus, run_message
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.message import Message
from rtsmlm.stream.messages import (
    DensityMessage,
    LoopMessage,
    ResolutionMessage,
    RunMessage,
    StatusMessage,
    ValidityMessage,
    read_message,
)
from rtsmlm.stream.settings_part import SettingsPart

TOTALS = LedgerTotals(1000, 998, 990, 980, 10, 2, 8)
ESTIMATE = DensityEstimate(
    first_frame=0,
    last_frame=99,
    n_frames=100,
    t_exposure_end_ns=7_000_000_000,
    mean_per_um2=0.05,
    std_per_um2=0.004,
    local_per_um2=math.nan,
    new_per_um2=0.01,
    unexplained=math.nan,
    crowded=False,
    area_um2=400.0,
)
LOOP = LoopStatus(
    laser="activation",
    unit="%",
    power=4.5,
    cap=60.0,
    wanted=4.6,
    armed=True,
    tripped=None,
    state="steer",
    dose=12.0,
    target_per_um2=math.nan,
    estimate=ESTIMATE,
    powers={"activation": 4.5, "readout": math.nan},
)


def sent(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    """Return a status as a session sends it, as JSON data."""
    values: dict[str, Any] = {
        "totals": TOTALS,
        "frames_per_s": 99.5,
        "localizations": 5000,
        "emitters_per_frame": 5.1,
        "p50_ms": math.nan,
        "p99_ms": 12.0,
        "backlog": 8,
        "recorder_backlog": 0,
        "model": "model ok",
        "loop": LOOP,
        "resolution": Resolution(900, 25.0),
    }
    camera: Any = SimpleNamespace(shape=(64, 48), exposure_ms=10.0)
    progress = PipelineProgress(
        latency_ms={"total": {"count": 12, "p50": 3.5, "p99": math.nan}},
        validity={"verdict": "model ok", "findings": ["the PSF is 9 % wider"], "spots": 412},
        restarts=1,
    )
    message = run_message(
        RunStatus(**(values | changes)),
        progress,
        camera=camera,
        folder=RunFolder(tmp_path),
        recording=True,
        warnings=["dim"],
    )
    found: dict[str, Any] = json.loads(json.dumps(message, allow_nan=False))
    return found


def received(data: Any) -> StatusMessage:
    return read_message(StatusMessage, json.dumps(data), "the status of the run")


# -- there and back ------------------------------------------------------------------------------


def test_a_status_arrives_as_it_was_sent(tmp_path: Path) -> None:
    status = received(sent(tmp_path))

    assert status.totals == TOTALS
    assert status.frames_per_s == 99.5
    assert math.isnan(status.p50_ms)
    assert status.latency_ms["total"]["p50"] == 3.5
    assert math.isnan(status.latency_ms["total"]["p99"])
    assert status.disk_mb_per_s == pytest.approx(99.5 * 64 * 48 * 2 / 2**20)
    assert status.disk_free_mb > 0
    assert (status.recording, status.restarts, status.warnings) == (True, 1, ("dim",))
    assert status.resolution == ResolutionMessage(frame=900, resolution_nm=25.0)
    assert status.validity.verdict == "model ok"
    assert status.validity.findings == ("the PSF is 9 % wider",)


def test_the_loop_keeps_its_unit_and_what_is_not_known_stays_unknown(tmp_path: Path) -> None:
    loop = received(sent(tmp_path)).loop

    assert loop is not None
    assert (loop.laser, loop.unit, loop.power, loop.cap, loop.armed) == (
        "activation", "%", 4.5, 60.0, True,
    )  # fmt: skip
    assert math.isnan(loop.target_per_um2)
    assert loop.powers["activation"] == 4.5
    assert math.isnan(loop.powers["readout"])


def test_a_run_without_laser_and_without_resolution_sends_neither(tmp_path: Path) -> None:
    status = received(sent(tmp_path, loop=None, resolution=None))

    assert status.loop is None
    assert status.resolution is None


def test_a_resolution_before_its_first_measurement_is_unknown_and_not_missing(
    tmp_path: Path,
) -> None:
    found = received(sent(tmp_path, resolution=Resolution())).resolution

    assert found is not None
    assert found.frame == -1
    assert math.isnan(found.resolution_nm)


def test_an_estimate_of_the_density_can_be_read_by_a_listener() -> None:
    data = json.dumps(ESTIMATE.as_dict(), allow_nan=False)

    density = read_message(DensityMessage, data, "the density")

    assert density.last_frame == 99
    assert density.t_exposure_end_ns == 7_000_000_000
    assert (density.mean_per_um2, density.std_per_um2) == (0.05, 0.004)
    assert math.isnan(density.local_per_um2)
    assert math.isnan(density.target_per_um2)
    assert density.powers == {}


def test_the_settings_of_any_run_are_read_by_a_window() -> None:
    settings = RunSettings.model_validate(
        {
            "acquisition": {"exposure_ms": 12.5},
            "record": {"raw": False},
            "feedback": {"gain": 0.25, "max_local_per_um2": 0.3},
            "micromanager": {"roi": [8, 16, 32, 24]},
        }
    )
    first = {
        "run": "one", "shape": [64, 48], "pixel_nm": 100, "version": "9.9", "arrow_schema": "...",
        "settings": settings.model_dump(mode="json"), "history_port": 5760,
    }  # fmt: skip

    run = read_message(RunMessage, json.dumps(first), "the first message")

    assert (run.run, run.shape, run.pixel_nm, run.history_port) == ("one", (64, 48), 100.0, 5760)
    assert run.settings.acquisition.exposure_ms == 12.5
    assert run.settings.record.raw is False
    assert run.settings.feedback.gain == 0.25
    assert run.settings.feedback.max_local_per_um2 == 0.3
    assert run.settings.micromanager.roi == (8, 16, 32, 24)


def test_the_settings_by_default_are_those_of_the_first_message_too() -> None:
    data = RunSettings().model_dump_json()

    found = read_message(SettingsPart, data, "the settings")

    assert found.feedback.gain == RunSettings().feedback.gain
    assert found.record.raw == RunSettings().record.raw


# -- other versions, and damage ------------------------------------------------------------------


def test_what_a_newer_version_adds_is_ignored(tmp_path: Path) -> None:
    data = sent(tmp_path)
    data["weather"] = {"rain": True}
    data["loop"]["colour"] = "violet"
    data["totals"]["cached"] = 7

    assert received(data).backlog == 8


def test_what_was_added_later_may_be_missing(tmp_path: Path) -> None:
    data = sent(tmp_path)
    for name in ("resolution", "restarts"):
        del data[name]

    status = received(data)

    assert status.resolution is None
    assert status.restarts == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("totals",), None),
        (("totals",), []),
        (("totals", "received"), "many"),
        (("totals", "lost"), 1.5),
        (("frames_per_s",), "fast"),
        (("frames_per_s",), True),
        (("localizations",), None),
        (("backlog",), "8"),
        (("loop",), "steer"),
        (("loop", "cap"), "high"),
        (("loop", "armed"), 1),
        (("loop", "tripped"), 0),
        (("loop", "powers"), [4.5]),
        (("loop", "powers", "readout"), "full"),
        (("latency_ms", "total", "p50"), "3.5"),
        (("validity", "findings"), "wide"),
        (("resolution", "frame"), None),
        (("warnings",), "dim"),
        (("warnings",), [7]),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named_in_one_sentence(
    tmp_path: Path, path: tuple[str, ...], value: Any
) -> None:
    data = inner = sent(tmp_path)
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value

    with pytest.raises(FileFormatError) as caught:
        received(data)

    text = str(caught.value)
    assert text.startswith(f"the status of the run cannot be read: {'.'.join(path)}"), text
    assert text.endswith("it is damaged, or of another version of rtsmlm")
    assert "\n" not in text


@pytest.mark.parametrize("name", ["totals", "loop", "backlog", "warnings", "validity"])
def test_a_value_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    data = sent(tmp_path)
    del data[name]

    with pytest.raises(FileFormatError, match=f"cannot be read: {name}: field required"):
        received(data)


@pytest.mark.parametrize("kind", [StatusMessage, DensityMessage, RunMessage, LoopMessage])
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"{}"])
def test_bytes_that_are_no_message_raise_the_one_error(kind: type[Message], data: bytes) -> None:
    with pytest.raises(FileFormatError, match="the message cannot be read"):
        read_message(kind, data, "the message")


def test_a_message_cannot_be_changed_by_who_shows_it(tmp_path: Path) -> None:
    status = received(sent(tmp_path))

    with pytest.raises(ValueError, match="frozen"):
        status.backlog = 0  # type: ignore[misc]


def test_the_figures_behind_a_verdict_are_passed_on(tmp_path: Path) -> None:
    assert sent(tmp_path)["validity"]["spots"] == 412
    assert ValidityMessage.model_validate({}).verdict == ""
