"""Fixtures of rendering: localizations, and a pyramid of a small field."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rtsmlm.localizations import Localizations
from rtsmlm.render import Pyramid


@pytest.fixture
def table(rng: np.random.Generator) -> Callable[[int], Localizations]:
    """Return a function that makes rows in and around a field of 60 x 80 pixels of 100 nm."""

    def make(n: int) -> Localizations:
        return Localizations.from_columns(
            {
                "frame": np.arange(n),
                "x_nm": rng.uniform(-150, 8050, n),
                "y_nm": rng.uniform(-150, 6050, n),
                "z_nm": rng.uniform(-400, 400, n),
                "photons": rng.gamma(2, 500, n),
                "std_x_nm": rng.gamma(4, 4, n),
                "std_y_nm": rng.gamma(4, 4, n),
                "probability": rng.uniform(0, 1, n),
                "channel": np.arange(n) % 2,
            }
        )

    return make


@pytest.fixture
def open_pyramid() -> Iterator[Callable[..., Pyramid]]:
    """Return a function that makes a pyramid of that field, closed after the test."""
    pyramids: list[Pyramid] = []

    def make(**options: object) -> Pyramid:
        pyramids.append(Pyramid((60, 80), 100.0, **options))  # type: ignore[arg-type]
        return pyramids[-1]

    yield make
    for pyramid in pyramids:
        pyramid.close()
