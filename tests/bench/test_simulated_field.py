"""The simulated field shows the numbers of the rate equations, and detection its fall."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.control.metrics import reach_s, settle_s, swing
from rtsmlm.bench.control.rehearsal import Trace
from rtsmlm.bench.control.simulated_field import FieldSpec, SimulatedField


@pytest.mark.parametrize("frame_s", [0.02, 0.05])
@pytest.mark.parametrize("per_frame", [100.0, 200.0])
def test_the_power_worked_out_brings_the_emitters_wanted(frame_s: float, per_frame: float) -> None:
    spec = FieldSpec(frame_s=frame_s, n_emitters=200_000)
    field = SimulatedField(spec, 1)

    # 200 000 emitters have 57 on by heat alone.
    sample = field.sample(800, spec.needed_w_cm2(per_frame))

    assert sample.true[100:].mean() == pytest.approx(per_frame, rel=0.05)


def test_in_a_steady_state_as_many_vanish_as_come() -> None:
    spec = FieldSpec()
    sample = SimulatedField(spec, 2).sample(1000, spec.needed_w_cm2(60.0))

    share = sum(spec.rates) * spec.frame_s / spec.per_frame_over_on
    assert sample.vanished[100:].mean() == pytest.approx(sample.new[100:].mean(), rel=0.05)
    assert sample.vanished[100:].mean() == pytest.approx(
        share * sample.found[100:].mean(), rel=0.06
    )


def test_the_count_falls_beyond_the_crowding_density() -> None:
    spec = FieldSpec(crowding_per_um2=0.4)

    counts = [spec.found(n) for n in (60.0, 120.0, 240.0, 600.0)]

    assert counts[1] == max(counts)
    assert counts[3] < counts[0]
    assert spec.found(spec.true_per_frame(30.0)) == pytest.approx(30.0)


def test_the_alarm_sounds_in_a_crowd_and_only_there() -> None:
    spec = FieldSpec(crowding_per_um2=0.4)
    alarms = {}
    for per_frame in (40.0, 240.0):
        field = SimulatedField(spec, 3)
        samples = [field.sample(20, spec.needed_w_cm2(per_frame)) for _ in range(20)]
        alarms[per_frame] = [field.estimate(sample).crowded for sample in samples[5:]]

    assert not any(alarms[40.0])
    assert all(alarms[240.0])


def test_half_of_the_emitters_leave_at_once() -> None:
    spec = FieldSpec()
    field = SimulatedField(spec, 4)
    w_cm2 = spec.needed_w_cm2(200.0)
    before = field.sample(200, w_cm2).true[100:].mean()

    field.remove_half()

    assert field.sample(100, w_cm2).true.mean() == pytest.approx(before / 2, rel=0.08)


def test_dna_paint_does_not_see_the_light() -> None:
    spec = FieldSpec(dye="DNA-PAINT", n_emitters=5000)
    counts = [SimulatedField(spec, 5).sample(400, w).true[100:].mean() for w in (0.0, 1.0)]

    assert counts[0] == counts[1] > 20


def trace(true: list[float]) -> Trace:
    return Trace(0.05, np.array(true, dtype=np.int64), np.ones(len(true)))


def test_settling_counts_from_the_last_excursion() -> None:
    steps = trace([50] * 200 + [100] * 200 + [50] * 200 + [100] * 400)

    assert reach_s(steps, 100.0) == pytest.approx(11.2, abs=0.3)
    assert settle_s(steps, 100.0) == pytest.approx(31.2, abs=0.3)
    assert settle_s(trace([50] * 400), 100.0) == float("inf")


def test_a_lasting_swing_is_seen_and_noise_is_none() -> None:
    t_s = np.arange(200 * 20) / 20
    noise = np.random.default_rng(0).poisson(100, len(t_s))
    wave = noise + 20 * np.sin(2 * np.pi * t_s / 25)

    assert swing(trace(wave.tolist())) > 0.7
    assert swing(trace(noise.tolist())) < 0.4
