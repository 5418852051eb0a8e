"""Depth colours: in order, and as far apart as stated, for normal and for colour-blind sight."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.render.depth_tables import DEPTH_TABLES, depth_table

# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A physiologically-based model for simulation
# of color vision deficiency", 2009, severity 1: matrices on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
         (-0.011820, 0.042940, 0.968881)]
    ),
    "protanopia": np.array(
        [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
         (-0.003882, -0.048116, 1.051998)]
    ),
}  # fmt: skip
SAFE = ("blue-yellow", "violet-yellow")
TENTH_APART = 15.0
"""CIELAB distance of colours a tenth of the scale apart or more; 2.3 can just be seen."""


def lab(table: np.ndarray, sight: str, dimmed: float = 1.0) -> np.ndarray:
    """Return a table as it is seen, in CIELAB, shape (n, 3); `dimmed` scales what is shown."""
    shown = dimmed * table.astype(float)
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ SIGHT[sight].T, 0, 1)
    to_xyz = np.array(
        [(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)]
    )
    xyz = seen @ to_xyz.T / (0.9505, 1.0, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def least_distance(colors: np.ndarray, apart: float) -> float:
    """Return the least distance of colours so far apart on the scale, or farther."""
    at = np.arange(0, 256, 5)
    distance = np.linalg.norm(colors[at][:, None] - colors[at][None], axis=2)
    return float(distance[np.abs(at[:, None] - at[None]) >= apart * 255].min())


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("name", SAFE)
def test_safe_colours_rise_in_lightness_and_from_blue_to_yellow_for_all_sight(
    name: str, sight: str
) -> None:
    seen = lab(depth_table(name), sight)

    assert (np.diff(seen[:, 0]) > 0).all()
    assert (np.diff(seen[:, 2]) > 0).all()


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("name", SAFE)
def test_depths_a_tenth_of_the_scale_apart_never_look_alike(name: str, sight: str) -> None:
    assert least_distance(lab(depth_table(name), sight), 0.1) > TENTH_APART
    # The density dims the colours.
    assert least_distance(lab(depth_table(name), sight, dimmed=0.4), 0.1) > 5.0


def test_the_simulation_finds_that_hues_of_one_lightness_are_not_safe() -> None:
    assert least_distance(lab(depth_table("hue"), "normal"), 0.1) > TENTH_APART
    assert least_distance(lab(depth_table("hue"), "deuteranopia"), 0.25) < 2.0


def test_the_default_is_safe_and_no_colour_is_dark() -> None:
    assert DEPTH_TABLES[0] in SAFE
    for name in DEPTH_TABLES:
        assert lab(depth_table(name), "normal")[:, 0].min() > 40
        assert depth_table(name).shape == (256, 3)


def test_an_unknown_name_gives_the_default() -> None:
    np.testing.assert_array_equal(depth_table("of another version"), depth_table())
