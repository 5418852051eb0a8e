"""GuardSet: every laser has a guard, the sentinel comes before the first light, all end dark."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import ConfigError, DeviceError, WorkerError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety import rehearsal
from rtsmlm.safety.guard_set import GuardSet
from rtsmlm.safety.heartbeat import Heartbeat
from rtsmlm.safety.records import CommandContext
from rtsmlm.settings.load import from_mapping

WHY = CommandContext(reason="a test")


class FakeSentinel:
    """Notes what its owner asks of it."""

    made: list[FakeSentinel]
    refuses = False

    def __init__(self, configuration: object, lasers: object, silence_s: float) -> None:
        self.calls = ["started"]
        self.terms: dict[str, object] = {}
        self.unreachable: dict[str, str] = {}
        self.heartbeat = Heartbeat.create()
        self.alive, self.pid = True, 1
        type(self).made.append(self)

    def rehearse(self) -> None:
        self.calls.append("rehearsed")
        if self.refuses:
            raise WorkerError("no laser sentinel")

    def guard(self, audit: str, start_ns: int, units: object, *, may_end_owner: bool) -> None:
        self.calls.append("on guard")
        self.terms = {"audit": audit, "units": units, "may_end_owner": may_end_owner}

    def dismiss(self) -> None:
        self.calls.append("dismissed")

    def leave_behind(self) -> None:
        self.calls.append("left behind")


@pytest.fixture
def sentinels(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeSentinel]]:
    FakeSentinel.made, FakeSentinel.refuses = [], False
    monkeypatch.setattr(rehearsal, "Sentinel", FakeSentinel)
    yield FakeSentinel
    for sentinel in FakeSentinel.made:
        sentinel.heartbeat.close()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "run")


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def benches(bench: Any) -> dict[str, Any]:
    readout = type(bench)()
    readout.name, readout.unit = "readout", "%"
    return {"activation": bench, "readout": readout}


def make(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str], *, armed: bool = True
) -> GuardSet:
    settings = from_mapping(
        {
            "lasers": {
                "activation": {"device": "A", "max_power": 50.0, "start_power": 10.0},
                "readout": {"device": "R", "max_power": 80.0, "start_power": 60.0},
            },
            "feedback": {"laser": "activation"},
        }
    )
    return GuardSet(
        settings, benches, {}, folder=folder, start_ns=now_ns(), armed=armed, warn=warnings.append
    )


@pytest.mark.usefixtures("sentinels")
def test_only_the_steered_laser_is_ramped_and_watched_for_silence(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str]
) -> None:
    guards = make(benches, folder, warnings)
    guards.open()
    guards.arm()

    for guard in guards.lasers.values():
        guard.beat()
    first = {name: guard.command(45.0, WHY) for name, guard in guards.lasers.items()}
    second = {name: guard.command(45.0, WHY) for name, guard in guards.lasers.items()}

    assert first == {"activation": 10.0, "readout": 45.0}, "light begins at start_power at most"
    assert 10.0 < second["activation"] < 20.0, "and rises by a part per tick"
    assert second["readout"] == 45.0
    guards.shut_down("a test")
    guards.close()


def test_the_sentinel_is_there_before_the_first_laser_is_armed(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str], sentinels: type[FakeSentinel]
) -> None:
    guards = make(benches, folder, warnings)

    guards.open()
    [sentinel] = sentinels.made
    assert sentinel.calls == ["started"], "it loads while the analysis does"
    guards.arm()

    assert sentinel.calls == ["started", "rehearsed", "on guard"]
    assert sentinel.terms == {
        "audit": str(folder.lasers.resolve()),
        "units": {"activation": "mW", "readout": "%"},
        "may_end_owner": False,
    }
    guards.shut_down("a test")
    guards.close()
    assert sentinel.calls == ["started", "rehearsed", "on guard", "dismissed"]


def test_without_a_sentinel_nothing_is_armed(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str], sentinels: type[FakeSentinel]
) -> None:
    sentinels.refuses = True
    guards = make(benches, folder, warnings)
    guards.open()

    with pytest.raises(WorkerError, match="no laser sentinel"):
        guards.arm()

    assert [bench.calls for bench in benches.values()] == [[], []]
    assert not any(guard.armed for guard in guards.lasers.values())
    guards.close()


def test_a_run_that_only_watches_has_no_sentinel_and_an_audit_all_the_same(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str], sentinels: type[FakeSentinel]
) -> None:
    guards = make(benches, folder, warnings, armed=False)
    guards.open()

    guards.lasers["activation"].command(10.0, WHY)
    guards.close()

    assert sentinels.made == []
    assert [row["kind"] for row in read_laser_log(folder.lasers)] == ["monitor"]


@pytest.mark.usefixtures("sentinels")
def test_rows_from_before_the_audit_is_open_are_in_it(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str]
) -> None:
    guards = make(benches, folder, warnings)

    guards.trip("before the start")
    guards.open()
    guards.close()

    rows = list(read_laser_log(folder.lasers))
    assert [(row["actuator"], row["kind"]) for row in rows] == [
        ("activation", "trip"),
        ("readout", "trip"),
    ]
    assert {row["unit"] for row in rows} == {"mW", "%"}


@pytest.mark.usefixtures("sentinels")
def test_a_trip_of_all_latches_all_and_a_reset_lifts_all(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str]
) -> None:
    guards = make(benches, folder, warnings)
    guards.open()
    guards.arm()
    for guard in guards.lasers.values():
        guard.command(10.0, WHY)

    guards.trip("lasers switched off by the user")

    assert guards.tripped
    assert [bench.shining for bench in benches.values()] == [0.0, 0.0]
    assert len(warnings) == 2
    guards.reset("the user has looked")
    assert not guards.tripped
    assert not any(guard.armed for guard in guards.lasers.values())
    guards.close()


@pytest.mark.usefixtures("sentinels")
def test_one_laser_that_is_not_armed_is_an_error_and_the_others_can_still_be_shut_down(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str]
) -> None:
    benches["readout"].range = (0.01, 40.0)
    guards = make(benches, folder, warnings)
    guards.open()

    with pytest.raises(ConfigError, match=r"lasers\.readout\.max_power is 80 %"):
        guards.arm()
    assert guards.lasers["activation"].armed
    guards.shut_down("it could not be armed")

    assert not guards.lasers["activation"].armed
    assert guards.lasers["activation"].is_safe
    guards.close()


def test_the_sentinel_stays_while_a_laser_is_not_dark(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str], sentinels: type[FakeSentinel]
) -> None:
    guards = make(benches, folder, warnings)
    guards.open()
    guards.arm()
    guards.lasers["readout"].command(10.0, WHY)
    benches["readout"].fails.add("make_safe")

    guards.shut_down("the run ends")
    with pytest.raises(DeviceError, match=r"readout is not confirmed dark: .*switch it off"):
        guards.close()

    assert sentinels.made[0].calls[-1] == "left behind", "it acts when this process is gone"
    assert any("readout" in text for text in warnings)
    assert benches["activation"].shining == 0.0, "one that fails keeps no other lit"


def test_a_person_switches_off_what_was_never_armed_and_may_switch_it_on_again(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str]
) -> None:
    guards = make(benches, folder, warnings, armed=False)
    guards.open()
    for bench in benches.values():
        bench.shining = 30.0  # by another program, or by hand

    guards.switch_off("lasers switched off by the user")

    assert [bench.shining for bench in benches.values()] == [0.0, 0.0]
    assert guards.tripped
    guards.reset("the user has looked")
    for bench in benches.values():
        bench.shining = 30.0
    for guard in guards.lasers.values():
        guard.poll()
    assert [bench.shining for bench in benches.values()] == [30.0, 30.0]
    guards.close()


def test_a_run_without_lasers_writes_no_audit_and_starts_nothing(
    folder: RunFolder, warnings: list[str], sentinels: type[FakeSentinel]
) -> None:
    guards = make({}, folder, warnings)

    guards.open()
    guards.arm()
    guards.shut_down("the run ends")
    guards.close()

    assert not folder.lasers.exists()
    assert sentinels.made == []
    assert not guards.tripped


@pytest.mark.usefixtures("sentinels")
def test_the_watchdog_of_the_set_polls_every_guard(
    benches: dict[str, Any], folder: RunFolder, warnings: list[str]
) -> None:
    guards = make(benches, folder, warnings)
    guards.open()
    guards.arm()
    for bench in benches.values():
        bench.complaint = "its interlock is open"

    guards.start_watchdog()
    for _ in range(200):
        if all(guard.tripped for guard in guards.lasers.values()):
            break
        threading.Event().wait(0.05)
    guards.shut_down("a test")
    guards.stop_watchdog()
    guards.close()

    assert [guard.tripped for guard in guards.lasers.values()] == [
        "the device reports its interlock is open"
    ] * 2
