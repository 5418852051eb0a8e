"""White level of a live picture: it goes towards the wanted level, never past it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.render import Autocontrast, Style, View
from rtsmlm.render.autocontrast import DEAD_BAND


def even(density: float, *, complete: bool = True) -> View:
    """Return a view with the same density, in localizations per pixel of 10 nm, all over."""
    planes = np.full((1, 20, 20), density, np.float32)
    return View(planes, (0.0, 0.0), 10.0, Style(), 1, complete)


def test_before_there_is_anything_the_level_is_1() -> None:
    contrast = Autocontrast()

    assert contrast.update(even(0.0)) == 1.0
    assert contrast.update(even(5.0, complete=False)) == 1.0
    assert contrast.update(even(5.0)) == pytest.approx(50_000)


@settings(deadline=None)
@given(start=st.floats(0.01, 1e4), factor=st.floats(0.01, 100))
def test_it_ends_near_the_wanted_level_and_never_goes_past_it(start: float, factor: float) -> None:
    contrast = Autocontrast()
    shown = [contrast.update(even(start))]
    wanted = Autocontrast().update(even(start * factor))

    shown += [contrast.update(even(start * factor)) for _ in range(60)]

    assert shown[-1] == pytest.approx(wanted, rel=DEAD_BAND + 0.01)
    steps = np.diff(shown)
    assert (steps >= 0).all() if factor > 1 else (steps <= 0).all()
    low, high = sorted((shown[0], wanted))
    assert all(low * 0.999 <= level <= high * 1.001 for level in shown)


@settings(deadline=None)
@given(start=st.floats(0.1, 1000))
def test_a_level_that_doubles_takes_as_many_steps_at_any_level(start: float) -> None:
    def course(level: float) -> list[float]:
        contrast = Autocontrast()
        first = contrast.update(even(level))
        return [contrast.update(even(2 * level)) / first for _ in range(8)]

    assert course(start) == pytest.approx(course(1.0), rel=1e-4)


def test_after_a_reset_the_next_level_is_taken_at_once() -> None:
    contrast = Autocontrast()
    contrast.update(even(1.0))

    contrast.reset()

    assert contrast.update(even(50.0)) == pytest.approx(500_000)
