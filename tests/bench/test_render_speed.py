from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.bench.speed.rendering import (
    FIELD_PX,
    N_NEW,
    filaments,
    measure_render,
    smappy_first_image_ms,
)
from rtsmlm.errors import ConfigError, LocalizerError


def test_every_step_of_a_live_image_is_measured() -> None:
    table = filaments(20_000)
    side_nm = 100.0 * FIELD_PX

    times = measure_render(table)

    assert np.mean((table.x_nm > -50) & (table.x_nm < side_nm)) > 0.95
    assert (times.n_localizations, times.mode) == (20_000, "gaussian")
    assert N_NEW < 20_000
    steps = (times.load_ms, times.first_ms, times.increment_ms, times.redraw_ms)
    assert min(steps) > 0
    assert times.from_columns_ms > times.load_ms
    assert times.slowest_increment_ms >= times.increment_ms
    assert times.slowest_redraw_ms >= times.redraw_ms
    assert 0 < times.complete_share <= 1


def test_a_peer_that_is_not_there_is_told_from_one_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot start"):
        smappy_first_image_ms(tmp_path / "python", filaments(10))

    with pytest.raises(LocalizerError, match="failed"):
        smappy_first_image_ms(Path(sys.executable), filaments(10))
