"""SteeredLaser: the age of an estimate reaches the guard, which alone asks the device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.feedback.steered_laser import SteeredLaser
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow
from rtsmlm.settings.feedback import FeedbackSettings
from rtsmlm.settings.lasers import LaserSettings

S = 1_000_000_000


class Laser:
    """A laser in memory."""

    name, unit = "activation", "mW"

    def __init__(self) -> None:
        self.power = 0.0
        self.asked = 0

    def limits(self) -> tuple[float, float]:
        return 0.5, 100.0

    def set(self, value: float) -> None:
        self.power = value

    def make_safe(self) -> list[str]:
        self.power = 0.0
        return []

    def setpoint(self) -> float:
        self.asked += 1
        return self.power

    def readback(self) -> float | None:
        return None

    def fault(self) -> str | None:
        return None

    def close(self) -> None:
        pass


class Bench:
    """A steered laser in simulated time."""

    def __init__(self) -> None:
        self.t_ns = 100 * S
        self.laser = Laser()
        self.rows: list[AuditRow] = []
        settings = LaserSettings(device="L", max_power=50.0, start_power=5.0)
        self.guard = LaserGuard(
            self.laser,
            settings,
            max_rise=0.2,
            tick_s=1.0,
            silence_s=3.0,
            audit=self.rows.append,
            clock_ns=lambda: self.t_ns,
        )
        feedback = FeedbackSettings(laser="activation", target_per_um2=0.3, feed_forward=False)
        self.steered = SteeredLaser(self.guard, settings, feedback, lambda text: None)

    def decide(self, age_s: float, density: float = 0.01) -> None:
        estimate = DensityEstimate(
            first_frame=0,
            last_frame=99,
            n_frames=100,
            t_exposure_end_ns=self.t_ns - round(age_s * S),
            mean_per_um2=density,
            std_per_um2=0.1 * density,
            local_per_um2=density,
            new_per_um2=density,
            unexplained=0.0,
            crowded=False,
            area_um2=300.0,
        )
        self.steered.decide(estimate, (self.t_ns - 100 * S) / S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.guard.shut_down("the end")
    bench.guard.close()


def test_a_young_estimate_lights_the_laser_and_an_old_one_raises_it_no_further(
    bench: Bench,
) -> None:
    bench.guard.arm()
    bench.steered.begin()
    bench.decide(age_s=0.1)
    lit = bench.laser.power
    assert lit > 0

    for _ in range(3):
        bench.t_ns += S // 2
        bench.decide(age_s=2.5)

    assert bench.laser.power == lit
    assert bench.rows[-1].kind == "unchanged"
    assert "estimate 2.5 s old (limit 2 s), power held" in bench.rows[-1].context.reason


def test_the_silence_counts_from_the_exposure_of_the_newest_estimate(bench: Bench) -> None:
    bench.guard.arm()
    bench.steered.begin()
    bench.decide(age_s=0.1)
    for _ in range(4):
        bench.t_ns += S
        bench.decide(age_s=1.5)  # it comes every second, always 1.5 s late
        bench.guard.poll()
    assert bench.guard.tripped is None

    bench.t_ns += S // 10 * 16
    bench.guard.poll()

    assert "nothing was seen for 3.1 s" in (bench.guard.tripped or "")


def test_an_estimate_that_is_no_number_is_no_proof_that_anything_was_seen(bench: Bench) -> None:
    bench.guard.arm()
    bench.steered.begin()
    bench.decide(age_s=0.1)
    for _ in range(4):
        bench.t_ns += S
        bench.decide(age_s=0.1, density=float("nan"))
        bench.guard.poll()

    assert bench.guard.tripped is not None
    assert bench.laser.power == 0.0


def test_an_unarmed_laser_is_followed_without_asking_the_device_in_a_decision(
    bench: Bench,
) -> None:
    bench.laser.power = 4.0
    bench.steered.begin()
    asked = bench.laser.asked

    for _ in range(10):
        bench.decide(age_s=0.1)

    assert bench.laser.asked == asked
    assert bench.laser.power == 4.0
    assert bench.rows[0].kind == "monitor"
    assert bench.rows[0].wanted > 4.0, "it goes on from what is set"
