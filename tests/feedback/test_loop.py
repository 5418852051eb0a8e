"""FeedbackLoop: estimates in, commands out, and dark before anything else when it ends."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.feedback.loop import FeedbackLoop
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety import rehearsal
from rtsmlm.settings.load import from_mapping


class Laser:
    """A laser in memory."""

    def __init__(self, name: str = "activation", unit: str = "mW") -> None:
        self.name, self.unit = name, unit
        self.power = 0.0
        self.range = (0.5, 100.0)
        self.lit = threading.Event()

    def limits(self) -> tuple[float, float]:
        return self.range

    def set(self, value: float) -> None:
        self.power = value
        self.lit.set()

    def make_safe(self) -> list[str]:
        self.power = 0.0
        return []

    def setpoint(self) -> float:
        return self.power

    def readback(self) -> float | None:
        return None

    def fault(self) -> str | None:
        return None

    def close(self) -> None:
        pass


class Beats:
    """The counts of a sentinel that is always alive, and finds nothing to do."""

    light_is_possible = False

    def __init__(self) -> None:
        self._count = itertools.count()
        self.owner_beats = 0

    @property
    def sentinel_beats(self) -> int:
        return next(self._count)

    def beat(self) -> None:
        self.owner_beats += 1

    def acknowledge(self) -> bool:
        return False

    def ask_to_take_over(self) -> None:
        pass


class CalmSentinel:
    alive, pid = True, 0

    def __init__(self, configuration: object, lasers: object, silence_s: float) -> None:
        self.heartbeat = Beats()
        self.unreachable: dict[str, str] = {}

    def rehearse(self) -> None:
        pass

    def guard(self, audit: str, start_ns: int, units: object, *, may_end_owner: bool) -> None:
        pass

    def dismiss(self) -> None:
        pass


class Rig:
    """A loop and everything round it."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.warnings: list[str] = []
        self.reasons: list[str] = []
        self.finished = threading.Event()
        self.lasers = {"activation": Laser()}
        self.loop: FeedbackLoop | None = None

    def finish(self, reason: str) -> None:
        self.reasons.append(reason)
        self.finished.set()

    def make(self, *, armed: bool = True, perturb: Any = None, **feedback: Any) -> FeedbackLoop:
        keys = {"laser": "activation", "arm": True, "feed_forward": False, "tick_s": 0.2}
        powers = {"device": "L", "max_power": 50.0, "start_power": 5.0}
        settings = from_mapping(
            {"lasers": dict.fromkeys(self.lasers, powers), "feedback": keys | feedback}
        )
        self.loop = FeedbackLoop(
            settings,
            self.lasers,
            {},
            folder=self.folder,
            armed=armed,
            warn=self.warnings.append,
            finish=self.finish,
            perturb=perturb,
        )
        self.loop.prepare()
        return self.loop

    def rows(self, *kinds: str) -> list[dict[str, str]]:
        return [row for row in read_laser_log(self.folder.lasers) if row["kind"] in kinds]


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(rehearsal, "Sentinel", CalmSentinel)
    rig = Rig(RunFolder.create(tmp_path, "run"))
    yield rig
    if rig.loop is not None:
        rig.loop.close()


def estimate(density: float = 0.01) -> DensityEstimate:
    return DensityEstimate(
        first_frame=0,
        last_frame=99,
        n_frames=100,
        t_exposure_end_ns=now_ns(),
        mean_per_um2=density,
        std_per_um2=0.1 * density,
        local_per_um2=density,
        new_per_um2=density,
        unexplained=0.0,
        crowded=False,
        area_um2=300.0,
    )


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what another thread does."""
    pause = threading.Event()
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come")


def test_too_few_emitters_light_the_laser_and_the_audit_says_why(rig: Rig) -> None:
    loop = rig.make()
    loop.start()

    loop.handle_estimate(estimate(0.01), 100)
    until(rig.lasers["activation"].lit.is_set)
    until(lambda: rig.rows("command"))

    [row] = rig.rows("command")
    assert 0 < float(row["sent"]) <= 5.0, "light begins at start_power at most"
    assert row["unit"] == "mW"
    assert float(row["estimate_per_um2"]) == 0.01
    assert row["frame"] == "99"
    assert float(row["latency_ms"]) >= 0
    assert loop.power() == rig.lasers["activation"].power
    assert loop.power_unit == "mW"


def test_a_loop_that_only_watches_notes_what_it_would_send(rig: Rig) -> None:
    rig.lasers["activation"].power = 2.0  # another program has set it
    loop = rig.make(armed=False)
    loop.start()

    loop.handle_estimate(estimate(0.01), 100)
    until(lambda: rig.rows("monitor"))

    assert rig.lasers["activation"].power == 2.0
    assert not rig.lasers["activation"].lit.is_set()
    assert float(rig.rows("monitor")[0]["wanted"]) > 2.0, "it goes on from what is set"


def test_the_unit_is_that_of_the_laser_and_none_without_one(rig: Rig) -> None:
    rig.lasers = {"activation": Laser(unit="%")}
    loop = rig.make()
    assert loop.power_unit == "%"
    loop.close()

    rig.lasers = {}
    loop = rig.make(laser=None)
    assert loop.power_unit is None
    assert math.isnan(loop.power())
    assert loop.status() is None
    assert loop.latency_ms() == {}


def test_a_run_with_nothing_to_steer_or_end_has_no_thread(rig: Rig) -> None:
    rig.lasers = {}
    before = threading.active_count()
    loop = rig.make(laser=None)

    loop.start()
    loop.handle_estimate(estimate(), 1)
    loop.set_target(0.3)
    loop.switch_off("nothing to switch off")

    assert not loop.active
    assert threading.active_count() == before
    assert not loop.tripped
    assert not rig.folder.lasers.exists()


def test_a_laser_that_cannot_be_armed_leaves_all_dark_and_no_thread(rig: Rig) -> None:
    rig.lasers["activation"].range = (0.5, 20.0)
    loop = rig.make()
    before = threading.active_count()

    with pytest.raises(ConfigError, match="the device gives 20 at most"):
        loop.start()

    assert threading.active_count() == before
    assert rig.lasers["activation"].power == 0.0


def test_localizations_enough_end_the_acquisition_in_the_dark(rig: Rig) -> None:
    loop = rig.make(stop={"localizations": 500})
    loop.start()
    loop.handle_estimate(estimate(), 100)
    until(rig.lasers["activation"].lit.is_set)

    loop.handle_estimate(estimate(), 600)
    assert rig.finished.wait(20)

    assert rig.lasers["activation"].power == 0.0, "dark before the end is reported"
    assert "500 were asked for" in rig.reasons[0]
    assert len(rig.reasons) == 1


def test_a_lost_analysis_trips_the_steered_laser_and_not_the_others(rig: Rig) -> None:
    rig.lasers["readout"] = Laser("readout")
    loop = rig.make()
    loop.start()
    loop.handle_estimate(estimate(), 100)
    until(rig.lasers["activation"].lit.is_set)
    until(rig.lasers["readout"].lit.is_set)

    loop.analysis_lost("the analysis died")

    assert rig.lasers["activation"].power == 0.0
    assert rig.lasers["readout"].power == 5.0
    assert loop.tripped
    loop.reset("the user has looked")
    assert not loop.tripped


def test_after_shutting_down_no_estimate_lights_it_again(rig: Rig) -> None:
    loop = rig.make()
    loop.start()
    loop.handle_estimate(estimate(), 100)
    until(rig.lasers["activation"].lit.is_set)

    loop.shut_down("the run was asked to end")
    handled = len(rig.rows("command", "monitor"))
    loop.handle_estimate(estimate(), 200)
    until(lambda: not loop._is_new)

    assert len(rig.rows("command", "monitor")) == handled, "nothing is decided any more"
    assert rig.lasers["activation"].power == 0.0
    assert not loop.tripped, "shutting down is no trip"
    loop.analysis_lost("it ended with the run")
    assert not loop.tripped


def test_a_fault_in_the_law_is_a_trip_and_a_warning(rig: Rig) -> None:
    def fail(_: DensityEstimate) -> DensityEstimate:
        raise ZeroDivisionError("in a drill")

    loop = rig.make(perturb=fail)
    loop.start()

    loop.handle_estimate(estimate(), 100)
    until(lambda: loop.tripped)

    assert rig.lasers["activation"].power == 0.0
    assert any("ZeroDivisionError: in a drill" in text for text in rig.warnings)


def test_an_estimate_is_perturbed_before_the_law_sees_it(rig: Rig) -> None:
    loop = rig.make(armed=False, perturb=lambda e: replace(e, mean_per_um2=0.7))
    loop.start()

    loop.handle_estimate(estimate(0.01), 100)
    until(lambda: rig.rows("monitor"))

    assert float(rig.rows("monitor")[0]["estimate_per_um2"]) == 0.7


def test_another_target_and_gain_are_in_force_at_the_next_estimate(rig: Rig) -> None:
    loop = rig.make(armed=False)
    loop.start()

    loop.set_target(0.33)
    loop.set_gain(0.9)
    loop.handle_estimate(estimate(0.01), 100)
    until(lambda: rig.rows("monitor"))

    assert float(rig.rows("monitor")[0]["target_per_um2"]) == 0.33
    status = loop.status()
    assert status is not None
    assert status.target_per_um2 == 0.33
    assert status.powers == {"activation": 0.0}


def test_closing_twice_is_safe(rig: Rig) -> None:
    loop = rig.make()
    loop.start()

    loop.close()
    loop.close()

    assert rig.lasers["activation"].power == 0.0
    assert rig.rows("dark")


def test_after_it_stood_still_it_is_dark_before_it_decides(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = rig.make()
    loop.start()
    loop.handle_estimate(estimate(), 100)
    until(rig.lasers["activation"].lit.is_set)
    wait = loop._wait_for_estimate
    stood_still = threading.Event()

    def wait_long() -> DensityEstimate | None:
        if stood_still.is_set():
            return wait()
        time.sleep(1.3)  # as when a call of the host holds the interpreter
        stood_still.set()
        return estimate(0.001)  # that asks for more light

    commands = len(rig.rows("command"))
    monkeypatch.setattr(loop, "_wait_for_estimate", wait_long)
    until(lambda: loop.tripped)

    until(lambda: rig.lasers["activation"].power == 0.0)
    assert len(rig.rows("command")) == commands
    [trip] = rig.rows("trip")
    assert "this program stood still for" in trip["reason"]


def test_while_it_runs_it_proves_that_it_decides(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[CalmSentinel] = []

    def make(*arguments: Any) -> CalmSentinel:
        made.append(CalmSentinel(*arguments))
        return made[-1]

    monkeypatch.setattr(rehearsal, "Sentinel", make)
    loop = rig.make()
    loop.start()
    beats = made[0].heartbeat
    deadline = time.monotonic() + 20
    while beats.owner_beats < 5:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert beats.light_is_possible

    loop.shut_down("a test")

    assert not beats.light_is_possible, "after that its silence is no fault"
