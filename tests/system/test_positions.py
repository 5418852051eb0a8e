"""Positions: sequences that the feedback drives, on the simulated microscope."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import useq

from rtsmlm.drivers.micromanager.core import load_core, release_core
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.session.positions import PositionsRun, load_sequence
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

FAST = [
    "localizer.name=gaussian-mle",
    "stream.enabled=false",
    "pipeline.process=false",
    "record.raw=false",
    "feedback.tick_s=0.5",
    "feedback.feed_forward=false",
    "lasers.activation.start_power=3",
]


@pytest.fixture
def settings() -> RunSettings:
    return load(Path("hil_sim.toml"), [*FAST, "feedback.stop.localizations=1500"])


@pytest.fixture
def core(settings: RunSettings) -> Iterator[Any]:
    core = load_core(settings.micromanager)
    yield core
    release_core(core)


def _sequence(**fields: Any) -> useq.MDASequence:
    return useq.MDASequence.model_validate(
        {"stage_positions": [{"x": 0, "y": 0}, {"x": 2, "y": 1}], **fields}
    )


def test_each_position_runs_until_it_has_enough_and_the_laser_is_dark_between(
    core: Any, settings: RunSettings, tmp_path: Path
) -> None:
    places: list[tuple[float, float]] = []
    powers: list[str] = []

    def look(text: str) -> None:
        places.append(tuple(core.getXYPosition()))
        powers.append(core.getProperty("Laser405", "State"))

    run = PositionsRun(core, _sequence(), settings, out=tmp_path, arm=True, on_event=look)
    results = run.run()

    assert [result.name for result in results] == ["p000", "p001"]
    assert all(result.ok and "1500 were asked for" in result.ended_by for result in results)
    assert all(1500 <= result.localizations < 6000 for result in results)
    assert places == [(0.0, 0.0), (0.0, 0.0), (2.0, 1.0), (2.0, 1.0)]
    assert {int(float(power)) for power in powers} == {0}  # at the begin and end of each
    for name in ("p000", "p001"):
        rows = list(read_laser_log(tmp_path / name / "lasers.csv"))
        sent = [float(row["sent"]) for row in rows if row["actuator"] == "activation"]
        assert max(sent) >= 3
        assert sent[-1] == 0


def test_a_position_that_has_enough_is_left_out_of_later_rounds(
    core: Any, settings: RunSettings, tmp_path: Path
) -> None:
    sequence = _sequence(time_plan={"interval": 0, "loops": 2}, axis_order="tp")

    results = PositionsRun(core, sequence, settings, out=tmp_path, arm=True).run()

    assert [result.name for result in results] == ["t000_p000", "t000_p001"]


def test_channels_have_settings_of_their_own(
    core: Any, settings: RunSettings, tmp_path: Path
) -> None:
    sequence = _sequence(
        stage_positions=[{"x": 0, "y": 0}],
        channels=[{"config": "dim"}, {"config": "bright"}],
        metadata={"rtsmlm": {"dim": ["feedback.target_per_um2=0.02", "acquisition.frames=100"]}},
    )
    run = PositionsRun(core, sequence, settings, out=tmp_path, arm=True)

    assert run.settings_for("dim").feedback.target_per_um2 == 0.02
    assert run.settings_for("bright").feedback.target_per_um2 == settings.feedback.target_per_um2
    results = run.run()

    assert (results[0].name, results[0].ended_by) == ("p000_dim", "")
    assert results[1].name == "p000_bright"
    assert results[1].localizations >= 1500


def test_a_trip_ends_everything(core: Any, settings: RunSettings, tmp_path: Path) -> None:
    opened = threading.Timer(1.5, lambda: core.setProperty("Laser405", "Interlock", "OPEN"))
    opened.start()

    results = PositionsRun(core, _sequence(), settings, out=tmp_path, arm=True).run()
    opened.join()

    assert len(results) == 1
    assert results[0].tripped
    assert int(float(core.getProperty("Laser405", "State"))) == 0


def test_a_stop_from_outside_ends_in_order(
    core: Any, settings: RunSettings, tmp_path: Path
) -> None:
    stop = threading.Event()
    begun: list[str] = []

    def look(text: str) -> None:
        begun.append(text)
        threading.Timer(1.0, stop.set).start()

    sequence = _sequence(metadata={})
    slow = settings.model_copy(
        update={
            "feedback": settings.feedback.model_copy(
                update={
                    "stop": settings.feedback.stop.model_copy(update={"localizations": 10_000_000})
                }
            )
        }
    )
    results = PositionsRun(
        core, sequence, slow, out=tmp_path, arm=True, stop=stop, on_event=look
    ).run()

    assert [result.ended_by for result in results] == ["stopped by the user"]
    assert int(float(core.getProperty("Laser405", "State"))) == 0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"metadata": {"rtsmlm": {"red": ["a.b=1"]}}}, "not one of its channels"),
        ({"metadata": {"rtsmlm": ["a.b=1"]}}, "must hold lists"),
    ],
)
def test_wrong_metadata_is_one_sentence(
    core: Any, settings: RunSettings, tmp_path: Path, fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        PositionsRun(core, _sequence(**fields), settings, out=tmp_path, arm=False)


def test_a_run_without_an_end_is_refused(core: Any, tmp_path: Path) -> None:
    settings = load(Path("hil_sim.toml"), FAST)
    with pytest.raises(ConfigError, match="would never end its first position"):
        PositionsRun(core, _sequence(), settings, out=tmp_path, arm=True)


def test_a_preset_that_sets_a_laser_is_refused(
    core: Any, settings: RunSettings, tmp_path: Path
) -> None:
    core.defineConfig("Channel", "red", "Laser405", "State", "1")
    sequence = _sequence(channels=[{"group": "Channel", "config": "red"}])
    with pytest.raises(ConfigError, match="lasers are set by their guards alone"):
        PositionsRun(core, sequence, settings, out=tmp_path, arm=True)


def test_a_stage_that_does_not_arrive_is_an_error(
    core: Any, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = PositionsRun(core, _sequence(), settings, out=tmp_path, arm=True)
    monkeypatch.setattr(core, "setXYPosition", lambda *a: None)
    with pytest.raises(DeviceError, match="the stage is at"):
        run.run()


def test_a_file_that_is_no_sequence_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "seq.yaml"
    path.write_text("stage_positions: 7")
    with pytest.raises(ConfigError, match="no useq sequence"):
        load_sequence(path)
