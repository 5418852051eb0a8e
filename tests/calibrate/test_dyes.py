from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.calibrate.dyes import LEAST_SPREAD, measure_shares
from rtsmlm.errors import CalibrationError


def light_of(rng: np.random.Generator, share: float, spread: float, n: int = 4000) -> np.ndarray:
    total = rng.exponential(1500.0, n) + 500.0
    first = np.clip(rng.normal(share, spread, n), 0.0, 1.0)
    return np.stack([rng.poisson(total * first), rng.poisson(total * (1 - first))], axis=1) * 1.0


def test_shares_and_their_spread_are_found_and_shot_noise_is_not_taken_for_spread(
    rng: np.random.Generator,
) -> None:
    wide = measure_shares(light_of(rng, 0.58, 0.04), "AF647")
    narrow = measure_shares(light_of(rng, 0.174, 0.0), "CF680")

    assert wide.fractions == pytest.approx((0.58, 0.42), abs=0.005)
    assert wide.spread == pytest.approx(0.04, rel=0.15)
    assert narrow.fractions == pytest.approx((0.174, 0.826), abs=0.005)
    assert narrow.spread <= 2 * LEAST_SPREAD


def test_two_dyes_in_one_spot_do_not_move_the_shares(rng: np.random.Generator) -> None:
    light = light_of(rng, 0.58, 0.01)
    light[:400] = light[:400, ::-1]

    assert measure_shares(light, "AF647").fractions[0] == pytest.approx(0.58, abs=0.01)


def test_few_emitters_are_refused_with_the_name_of_the_dye(rng: np.random.Generator) -> None:
    with pytest.raises(CalibrationError, match="of CF680 were found; its shares need 200"):
        measure_shares(light_of(rng, 0.2, 0.01, n=60), "CF680")
    with pytest.raises(CalibrationError, match="0 emitters of CF680"):
        measure_shares(np.empty((0, 2)), "CF680")
