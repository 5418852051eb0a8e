"""Colours of density and value: brightness follows the density, hue the value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.render.depth_tables import depth_table
from rtsmlm.render.hue import (
    BRIGHTNESS_STEPS,
    brightness_table,
    paint_hue,
    paint_index,
)
from rtsmlm.render.rgb import CHANNEL_COLORS, RGB8, color_table, to_index8


def hued(planes: list[float], limits: tuple[float, float] = (0.0, 1.0), white: float = 1.0) -> RGB8:
    """Return the colour of one pixel."""
    image = np.array(planes, np.float32).reshape(-1, 1, 1)
    out = np.full((1, 1, 3), 99, np.uint8)
    paint_hue(image, white, brightness_table(1.0), depth_table(), np.array(limits), out, (0, 1))
    return out[0, 0]


@settings(deadline=None)
@given(value=st.floats(-2, 3), density=st.floats(0.01, 50))
def test_the_hue_is_that_of_the_mean_value_whatever_the_density(
    value: float, density: float
) -> None:
    alone, dense = hued([1.0, value]), hued([density, density * value])

    share = min(density, 1.0)
    np.testing.assert_allclose(dense, share * alone.astype(float), atol=1.6)


def test_values_beyond_the_limits_get_the_hues_of_the_ends() -> None:
    first, last = (np.rint(255 * depth_table()[k]) for k in (0, 255))

    for value in (-1e30, -1.0, 0.0):
        np.testing.assert_array_equal(hued([1.0, value]), first)
    for value in (1.0, 7.0, 1e30):
        np.testing.assert_array_equal(hued([1.0, value]), last)


def test_an_unknown_value_is_shown_with_the_first_hue() -> None:
    np.testing.assert_array_equal(hued([1.0, math.nan]), hued([1.0, 0.0]))


def test_equal_limits_are_no_division_by_zero() -> None:
    np.testing.assert_array_equal(hued([1.0, 4.0], (5.0, 5.0)), hued([1.0, 0.0]))


@pytest.mark.parametrize("density", [0.0, -1.0, math.nan])
def test_without_localizations_a_pixel_is_black(density: float) -> None:
    assert hued([density, 0.5]).tolist() == [0, 0, 0]


def test_equal_parts_of_magenta_and_green_are_white() -> None:
    mixed = 0.5 * (CHANNEL_COLORS[0] + CHANNEL_COLORS[1])

    assert hued([1.0, *mixed]).tolist() == [255, 255, 255]
    assert hued([1.0, *CHANNEL_COLORS[2]]).tolist() == [0, 255, 255]


@settings(deadline=None)
@given(gamma=st.floats(0.2, 3), a=st.floats(0, 3), b=st.floats(0, 3))
def test_denser_is_never_darker(gamma: float, a: float, b: float) -> None:
    colors = np.repeat(np.rint(255 * brightness_table(gamma)).astype(np.uint8)[:, None], 3, axis=1)
    planes = np.array([[[min(a, b), max(a, b), 1.0, 9.0]]], np.float32)
    out = np.zeros((1, 4, 3), np.uint8)

    paint_index(planes, 1.0, colors, out, (0, 1))

    assert out[0, 0, 0] <= out[0, 1, 0]
    assert out[0, 2, 0] == out[0, 3, 0] == 255


def test_the_live_picture_and_the_file_have_the_same_brightness() -> None:
    image = np.linspace(0, 2, 1000, dtype=np.float32).reshape(1, 1, -1)
    at = np.minimum(brightness_table(0.6) * 255 + 0.5, 255).astype(np.uint8)
    out = np.zeros((1, 1000, 3), np.uint8)

    paint_index(image, 1.5, np.repeat(at[:, None], 3, axis=1), out, (0, 1))

    off = out[:, :, 0].astype(int) - to_index8(image[0], white=1.5)
    # Steps of 1/4096 of white: the darkest pixels, where the curve is steep, differ a little.
    assert np.abs(off).max() <= 2


def test_only_the_rows_asked_for_are_painted() -> None:
    out = np.full((4, 2, 3), 7, np.uint8)

    paint_index(
        np.ones((1, 4, 2), np.float32),
        1.0,
        np.zeros((BRIGHTNESS_STEPS + 1, 3), np.uint8),
        out,
        (1, 3),
    )

    assert (out[[0, 3]] == 7).all()
    assert not out[1:3].any()


def test_both_colour_tables_go_from_black_to_their_brightest() -> None:
    for name in ("ember", "gray"):
        table = color_table(name).astype(int)
        assert table[0].tolist() == [0, 0, 0]
        luminance = table @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(luminance) >= -0.5).all()
        assert luminance[-1] > 240
