"""Steering in whole sessions on the simulated microscope: what reaches the lasers, and when."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.files.run.report import RunReport
from rtsmlm.frames import CameraFrame
from rtsmlm.pipeline.pipeline import Pipeline
from rtsmlm.protocols import Camera
from rtsmlm.session.devices import open_actuators, open_camera
from rtsmlm.session.session import Session
from rtsmlm.settings.lasers import at_time
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

FAST = (
    "localizer.name=gaussian-mle",
    "stream.enabled=false",
    "pipeline.process=false",
    "record.raw=false",
    "feedback.tick_s=0.5",
    "feedback.feed_forward=false",
    "lasers.activation.start_power=3",
)
STEP_S = 0.5
"""Time between two looks at a schedule."""


class Bench:
    """The simulated microscope with a session on it."""

    def __init__(self, folder: RunFolder, settings: RunSettings) -> None:
        self.settings = settings
        self.folder = folder
        self.camera: Camera = open_camera(settings)
        self.core: Any = self.camera.core
        self.lasers, self.stages = open_actuators(settings, self.camera)

    def session(self, *, arm: bool) -> Session:
        return Session(
            self.camera,
            self.settings,
            folder=self.folder,
            lasers=self.lasers,
            stages=self.stages,
            arm=arm,
        )

    @contextmanager
    def run(self, *, arm: bool = True) -> Iterator[Session]:
        session = self.session(arm=arm)
        try:
            session.start()
            yield session
        finally:
            session.close()

    def power_mw(self, name: str) -> float:
        return float(self.lasers[name].setpoint())

    def rows(self, laser: str, *kinds: str) -> list[dict[str, str]]:
        rows = [row for row in read_laser_log(self.folder.lasers) if row["actuator"] == laser]
        return [row for row in rows if not kinds or row["kind"] in kinds]


Make = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Make]:
    """Return a function that opens the microscope with some settings changed."""
    opened: list[Bench] = []

    def make(*overrides: str) -> Bench:
        settings = load(Path("hil_sim.toml"), [*FAST, *overrides])
        opened.append(Bench(RunFolder.create(tmp_path, "run"), settings))
        return opened[-1]

    yield make
    for each in opened:
        each.camera.close()


def until(session: Session, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    for _ in range(round(timeout_s / 0.05)):
        if condition():
            return
        assert not session.wait(0.05), session.messages()
    pytest.fail("it did not happen")


def test_who_only_watches_sends_nothing_and_follows_what_others_set(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = bench()
    core, commands = rig.core, []
    set_property = core.setProperty

    def note(device: str, name: str, value: Any) -> None:
        if device.startswith("Laser"):
            commands.append((device, name, value))
        set_property(device, name, value)

    monkeypatch.setattr(core, "setProperty", note)
    with rig.run(arm=False) as session:
        until(session, lambda: len(rig.rows("activation", "monitor")) >= 2)
        set_property("Laser640", "State", 1)
        set_property("Laser405", "PowerSetpoint", 20)
        set_property("Laser405", "State", 1)
        n = len(rig.rows("activation", "monitor"))
        until(session, lambda: len(rig.rows("activation", "monitor")) >= n + 3)
        loop = session.status().loop
        session.stop()

    assert commands == []
    assert loop is not None
    assert (loop.armed, loop.power) == (False, 20.0)
    rise = math.exp(rig.settings.feedback.max_rise)
    last = rig.rows("activation")[-1]
    assert 20 * math.exp(-rig.settings.feedback.max_fall) <= float(last["wanted"]) <= 20 * rise
    assert {row["kind"] for row in read_laser_log(rig.folder.lasers)} == {"monitor"}
    assert rig.power_mw("activation") == 20.0, "what somebody else has lit is theirs"


def test_a_readout_laser_follows_its_schedule_within_a_step(bench: Make) -> None:
    rig = bench(
        "lasers.readout.schedule=[[0, 20], [3, 80], [4, 80], [4.001, 0]]",
        "lasers.readout.start_power=60",
        "feedback.stop.seconds=5.5",
    )
    with rig.run() as session:
        assert session.wait(60)

    planned = rig.settings.lasers["readout"].schedule
    rows = rig.rows("readout", "command")
    # The schedule begins when all is armed; the clock of the audit ran before that.
    [armed] = rig.rows("readout", "arm")
    sent = [(float(row["t_s"]) - float(armed["t_s"]), float(row["sent"])) for row in rows]
    assert len(sent) >= 4
    for t_s, power in sent:
        nearby = [at_time(planned, t) for t in np.linspace(t_s - STEP_S, t_s + 0.05, 50)]
        assert min(nearby) - 0.5 <= power <= max(nearby) + 0.5, (t_s, power)
    gaps = np.diff([t_s for t_s, _ in sent if t_s < 3])
    assert max(gaps) < 2 * STEP_S
    assert max(power for _, power in sent) == pytest.approx(80, abs=0.01), "not one near it"
    assert sent[-1][1] == 0.0, "the end of the schedule is dark"
    assert {row["state"] for row in rows} == {"schedule"}


def test_another_target_is_steered_to_from_then_on(bench: Make) -> None:
    rig = bench("feedback.target_per_um2=0.5")
    with rig.run() as session:
        until(session, lambda: len(rig.rows("activation", "command")) >= 4)
        before = float(rig.rows("activation", "command")[-1]["sent"])
        session.set_target(0.001)
        until(session, lambda: rig.power_mw("activation") < before / 2)
        loop = session.status().loop
        session.stop()

    assert loop is not None
    assert loop.target_per_um2 == 0.001
    rows = rig.rows("activation", "command", "unchanged")
    targets = [float(row["target_per_um2"]) for row in rows if row["target_per_um2"]]
    assert [target for target, _ in groupby(targets)] == [0.5, 0.001]


@pytest.mark.parametrize(
    ("criterion", "says"),
    [
        ("feedback.stop.localizations=800", "800 were asked for"),
        ("feedback.stop.seconds=2", "2 s were asked for"),
    ],
)
def test_a_criterion_ends_the_acquisition_in_the_dark(
    bench: Make, criterion: str, says: str
) -> None:
    rig = bench(criterion)
    with rig.run() as session:
        until_dark = session.wait(60)
        dark_at_end = {name: rig.power_mw(name) for name in rig.lasers}

    report: RunReport = session.report
    assert until_dark
    assert dark_at_end == {"activation": 0.0, "readout": 0.0}
    assert report.ok, report.failures
    assert says in report.ended_by
    for name in rig.lasers:
        last = rig.rows(name)[-1]
        assert (last["kind"], last["sent"]) == ("dark", "0")
        assert says in last["reason"]
        assert max(float(row["sent"] or 0) for row in rig.rows(name)) > 0, "there was light"
    latency = json.loads(rig.folder.latency.read_text())
    assert latency["laser"]["count"] >= 2
    assert 0 < latency["laser"]["p50"] < 1000


def test_a_criterion_ends_a_run_without_lasers_as_well(
    spot_camera: Callable[..., Any], quick_settings: Callable[..., RunSettings]
) -> None:
    settings = quick_settings(
        "feedback.stop.localizations=200", "record.raw=false", "feedback.tick_s=0.2"
    )
    session = Session(spot_camera(period_s=0.002), settings)
    with session:
        assert session.wait(60)

    assert "200 were asked for" in session.report.ended_by
    assert "laser" not in session.report.latency_ms
    assert session.status().loop is None


def test_every_frame_carries_the_power_in_force(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    powers: list[float] = []
    deliver = Pipeline._deliver

    def look(self: Pipeline, batch: Any, targets: slice, *more: Any) -> None:
        powers.extend(batch.activation_power[targets].tolist())
        deliver(self, batch, targets, *more)

    monkeypatch.setattr(Pipeline, "_deliver", look)
    rig = bench("feedback.stop.seconds=3")
    with rig.run() as session:
        assert session.wait(60)

    totals = session.report.totals
    assert totals is not None
    assert len(powers) == totals.localized > 0
    commands = rig.rows("activation", "arm", "command", "dark")
    sent = [power for power, _ in groupby(float(row["sent"]) for row in commands)]
    seen = [float(f"{power:.6g}") for power, _ in groupby(powers)]
    assert seen[0] == 0.0, "no light before the first estimate"
    assert max(seen) >= 3
    left = iter(sent)
    assert all(power in left for power in seen), f"{seen} is not what was sent, {sent}"


class Order:
    """What happened in leaving, in its order; the camera and the lasers of a bench tell."""

    def __init__(self, rig: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.power_at_end: Mapping[str, float] = {}
        stream = rig.camera.stream

        def watched(stop: threading.Event, n: int | None = None) -> Iterator[CameraFrame]:
            try:
                yield from stream(stop, n)
            finally:
                self.power_at_end = {name: rig.power_mw(name) for name in rig.lasers}
                self.events.append("camera")

        monkeypatch.setattr(rig.camera, "stream", watched)
        for name, laser in rig.lasers.items():
            monkeypatch.setattr(laser, "make_safe", self._note(f"dark {name}", laser.make_safe))

    def _note(self, name: str, act: Callable[[], Any]) -> Callable[[], Any]:
        def noted() -> Any:
            result = act()
            self.events.append(name)
            return result

        return noted


@pytest.mark.parametrize("how", ["stop", "close", "seconds"])
def test_the_lasers_are_dark_before_the_camera_stops(
    bench: Make, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    rig = bench(*(["acquisition.seconds=3"] if how == "seconds" else []))
    order = Order(rig, monkeypatch)
    with rig.run() as session:
        until(session, lambda: rig.power_mw("activation") > 0)
        order.events.clear()  # what arming did
        if how == "stop":
            session.stop()
        if how != "close":
            assert session.wait(60)

    assert order.events[-1] == "camera"
    # Each is ordered dark, and again until it is seen dark.
    assert set(order.events[:-1]) == {"dark activation", "dark readout"}
    assert order.power_at_end == {"activation": 0.0, "readout": 0.0}
    assert session.report.ok, session.report.failures


def test_lasers_off_latches_and_the_recording_goes_on(bench: Make) -> None:
    rig = bench()
    with rig.run() as session:
        until(session, lambda: rig.power_mw("activation") > 0)
        session.lasers_off("a drill")
        assert [rig.power_mw(name) for name in rig.lasers] == [0.0, 0.0]
        tripped = [session.tripped]
        received = session.status().totals.received
        until(session, lambda: session.status().totals.received > received + 50)
        assert [rig.power_mw(name) for name in rig.lasers] == [0.0, 0.0], "and stays dark"

        session.reset_trip("done")
        tripped.append(session.tripped)
        until(session, lambda: bool(rig.rows("activation", "monitor")))
        assert rig.power_mw("activation") == 0.0, "a reset arms nothing"
        session.stop()

    assert tripped == [True, False]
    assert [row["reason"] for row in rig.rows("activation", "trip", "reset")] == ["a drill", "done"]
