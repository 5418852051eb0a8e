"""The re-implemented laws do what their sources say, on numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from rtsmlm.bench.control.peer_laws import AlicaLaw, AutoLaseLaw, HtSmlmLaw


def test_htsmlm_adds_a_tenth_and_the_relative_error() -> None:
    law = HtSmlmLaw(target=10.0, power=100e-4)

    # 100 + 0.1 + 100 * 0.4 * (1 - 5/10)
    assert law.decide(5.0) == pytest.approx(120.1e-4)


def test_htsmlm_applies_a_small_change_again() -> None:
    law = HtSmlmLaw(target=10.0, power=1e-4)

    powers = [law.decide(10.0) / 1e-4 for _ in range(3)]

    assert powers == pytest.approx([1.1, 1.3, 1.6])


def test_htsmlm_keeps_its_power_while_the_camera_idles() -> None:
    assert HtSmlmLaw(target=10.0, power=0.01).decide(math.nan) == 0.01


def test_htsmlm_is_clamped() -> None:
    law = HtSmlmLaw(target=10.0, power=0.9)

    assert law.decide(0.0) == pytest.approx(1.0)
    assert law.decide(1000.0) == 0.0


def test_autolase_steps_by_a_hundredth_of_its_range_or_not_at_all() -> None:
    law = AutoLaseLaw(low_s=0.2, high_s=0.3, power=0.1)

    assert law.decide(0.1) == pytest.approx(0.1025)
    assert law.decide(0.25) == pytest.approx(0.1025)
    assert law.decide(0.9) == pytest.approx(0.1)


def test_autolase_ignores_a_request_out_of_range() -> None:
    law = AutoLaseLaw(low_s=0.2, high_s=0.3, power=0.249)

    assert law.decide(0.0) == 0.249


def test_alica_tunes_itself_by_a_step_from_the_dark() -> None:
    law = AlicaLaw(target=10.0)
    powers = [law.decide(2.0) for _ in range(12)]
    assert powers == [0.0] * 11 + [0.02]
    powers = [law.decide(6.0) for _ in range(8)]
    assert powers[:7] == [0.02] * 7

    # Response 4 to 2 mW: P = 0.3 * 2 / 4, I = 0.03 * 2 / 4, on an error of 4.
    assert powers[7] == pytest.approx((0.15 * 4 + 0.015 * 4) * 0.01)


def test_alica_does_not_wind_up() -> None:
    law = AlicaLaw(target=10.0, tuned=True, _p=1.0, _i=1.0)
    for _ in range(1000):
        law.decide(0.0)
    assert law.power == 1.0

    assert law.decide(20.0) < 0.9


def test_alica_without_a_response_gives_no_light() -> None:
    law = AlicaLaw(target=10.0)

    assert [law.decide(5.0) for _ in range(40)][-1] == 0.0


def test_alica_holds_on_nan() -> None:
    law = AlicaLaw(target=10.0, tuned=True, _p=0.1, _i=0.1)
    power = law.decide(5.0)

    assert law.decide(math.nan) == power > 0
