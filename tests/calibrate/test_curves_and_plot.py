"""Widths of spots, curves through widths and the picture of both, each against what is exact."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from rtsmlm.calibrate.bead_windows import find_beads
from rtsmlm.calibrate.beads import BeadWidths, known_median, plane_z_nm
from rtsmlm.calibrate.curves import fit_curve
from rtsmlm.calibrate.plot import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MAX_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    width_plot,
)
from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.widths import BACKGROUND, LIGHT, SIGMA_X, SIGMA_Y, X, Y, fit_widths
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves

SVG = "{http://www.w3.org/2000/svg}"


def spot(x: float, y: float, sx: float, sy: float, light: float, background: float) -> np.ndarray:
    """Return the mean image of an elliptical Gaussian in a box of 17 pixels."""
    edges = np.arange(18) - 0.5
    columns, rows = np.diff(norm.cdf(edges, x, sx)), np.diff(norm.cdf(edges, y, sy))
    image: np.ndarray = light * np.outer(rows, columns) + background
    return image


SPOTS = st.tuples(
    st.floats(7, 9), st.floats(7, 9), st.floats(0.8, 2.4), st.floats(0.8, 2.4),
    st.floats(500, 1e5), st.floats(1, 50),
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(parameters=SPOTS)
def test_a_spot_without_noise_is_measured_exactly(parameters: tuple[float, ...]) -> None:
    theta, good = fit_widths(spot(*parameters)[None])

    x, y, sx, sy, light, background = parameters
    assert good.all()
    assert theta[0, [X, Y]] == pytest.approx([x, y], abs=0.01)
    assert theta[0, [SIGMA_X, SIGMA_Y]] == pytest.approx([sx, sy], rel=0.01)
    assert theta[0, LIGHT] == pytest.approx(light, rel=0.02)
    assert theta[0, BACKGROUND] == pytest.approx(background, rel=0.05, abs=0.5)


@settings(deadline=None, max_examples=20)
@given(parameters=SPOTS, scale=st.floats(0.2, 50))
def test_the_scale_of_the_light_changes_no_width(
    parameters: tuple[float, ...], scale: float
) -> None:
    rng = np.random.default_rng(5)
    data = rng.poisson(spot(*parameters)).astype(float)[None]

    (one, good), (other, also) = fit_widths(data), fit_widths(scale * data)

    assert good.all() == also.all()
    if good.all():
        columns = [X, Y, SIGMA_X, SIGMA_Y]
        np.testing.assert_allclose(other[0, columns], one[0, columns], rtol=0.01)
        assert other[0, LIGHT] == pytest.approx(scale * one[0, LIGHT], rel=0.01)


def test_a_turned_box_has_its_widths_exchanged(rng: np.random.Generator) -> None:
    data = rng.poisson(spot(7.6, 8.3, 1.2, 2.1, 5000, 10)).astype(float)

    (upright, _), (turned, _) = fit_widths(data[None]), fit_widths(data.T[None])

    swapped = [Y, X, LIGHT, BACKGROUND, SIGMA_Y, SIGMA_X]
    np.testing.assert_allclose(turned[0], upright[0, swapped], rtol=1e-3)


def test_boxes_without_a_spot_are_not_good(rng: np.random.Generator) -> None:
    empty = rng.poisson(10.0, (40, 17, 17)).astype(float)
    flat = np.full((1, 17, 17), 10.0)

    assert fit_widths(empty)[1].mean() < 0.5
    assert not fit_widths(flat)[1].any()


def test_many_boxes_are_fitted_as_each_alone(rng: np.random.Generator) -> None:
    data = rng.poisson(np.repeat(spot(8.2, 7.7, 1.3, 1.5, 3000, 10)[None], 300, axis=0)).astype(
        float
    )

    together, _ = fit_widths(data)
    alone = np.concatenate([fit_widths(data[k : k + 1])[0] for k in (0, 255, 256, 299)])

    np.testing.assert_allclose(together[[0, 255, 256, 299]], alone, rtol=1e-6)


CURVES = st.builds(
    WidthCurve,
    sigma0_nm=st.floats(100, 200),
    focus_nm=st.floats(-300, 300),
    depth_nm=st.floats(250, 600),
    quartic=st.floats(0.0, 0.5),
)


@settings(deadline=None, max_examples=25)
@given(curve=CURVES, skew=st.booleans())
def test_a_curve_through_exact_widths_is_the_curve(curve: WidthCurve, skew: bool) -> None:
    z = np.arange(-800.0, 801.0, 20.0)

    found = fit_curve(z, curve.sigma_nm(z), skew=skew)

    np.testing.assert_allclose(found.sigma_nm(z), curve.sigma_nm(z), rtol=0.01)
    assert found.focus_nm == pytest.approx(curve.focus_nm, abs=8)
    assert found.sigma0_nm == pytest.approx(curve.sigma0_nm, rel=0.01)
    assert skew or found.cubic == 0.0


def test_widths_that_are_not_known_change_nothing() -> None:
    curve = WidthCurve(sigma0_nm=130.0, focus_nm=50.0, depth_nm=400.0)
    z = np.arange(-600.0, 601.0, 20.0)
    sigma = curve.sigma_nm(z)
    z_gaps, gaps = np.append(z, [np.nan, 0.0, 700.0]), np.append(sigma, [130.0, np.nan, np.nan])

    whole, with_gaps = fit_curve(z, sigma, skew=True), fit_curve(z_gaps, gaps, skew=True)

    assert with_gaps == whole


@settings(deadline=None, max_examples=25)
@given(z_nm=st.floats(-350, 350), by_nm=st.floats(-500, 500))
def test_z_of_the_widths_is_the_z_that_made_them_wherever_the_curves_are(
    z_nm: float, by_nm: float
) -> None:
    curves = WidthCurves(
        x=WidthCurve(sigma0_nm=130, focus_nm=-220, depth_nm=380),
        y=WidthCurve(sigma0_nm=125, focus_nm=240, depth_nm=400),
        z_min_nm=-400.0,
        z_max_nm=400.0,
    ).moved(by_nm)
    at = np.array([z_nm + by_nm])

    z, distance = curves.z_nm(curves.x.sigma_nm(at), curves.y.sigma_nm(at))

    assert z[0] == pytest.approx(at[0], abs=1)
    assert distance[0] == pytest.approx(0, abs=0.02)
    assert curves.crossing_nm() == pytest.approx(by_nm + curves.moved(-by_nm).crossing_nm(), abs=1)


def series(n: int = 50, name: str = "x") -> Series:
    curve = WidthCurve(sigma0_nm=130.0, focus_nm=0.0, depth_nm=400.0)
    z = np.linspace(-600, 600, n)
    return Series(
        name=name,
        z_nm=z,
        sigma_nm=curve.sigma_nm(z),
        curve_z_nm=z,
        curve_sigma_nm=curve.sigma_nm(z),
    )


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  # of our own making


def test_the_picture_is_svg_with_a_line_for_each_curve_and_its_names_as_text() -> None:
    title = "widths <before & after>"

    root = parsed(width_plot([series(), series(name="y & z")], title))

    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert title in texts
    assert "y & z" in texts
    assert len(list(root.iter(f"{SVG}polyline"))) == 2


def test_points_and_curves_stay_within_the_axes() -> None:
    wild = replace(series(), sigma_nm=np.append(series().sigma_nm[:-2], [1e5, math.nan]))

    root = parsed(width_plot([wild], "t"))

    dots = next(e for e in root.iter(f"{SVG}path") if e.get("stroke-linecap")).get("d", "")
    places = np.array([p.removesuffix("h.1").split() for p in dots.split("M")[1:]], float)
    line = np.array(
        [p.split(",") for p in next(root.iter(f"{SVG}polyline")).get("points", "").split()], float
    )
    assert len(places) == 48, "neither the unknown width nor the one above the axis"
    for at in (places, line):
        assert ((at[:, 0] >= LEFT) & (at[:, 0] <= WIDTH - RIGHT)).all()
        assert ((at[:, 1] >= TOP) & (at[:, 1] <= HEIGHT - BOTTOM)).all()


def test_wider_is_higher_and_further_is_further_right() -> None:
    points = next(parsed(width_plot([series()], "t")).iter(f"{SVG}polyline")).get("points", "")

    x, y = np.array([p.split(",") for p in points.split()], float).T
    assert (np.diff(x) > 0).all()
    assert len(x) // 2 - 1 <= np.argmax(y) <= len(x) // 2, "the focus is the lowest point"


def test_a_picture_of_very_many_points_stays_small() -> None:
    assert width_plot([series(100_000)], "t").count("h.1") <= MAX_POINTS


def bead_widths(n_beads: int = 3, n_planes: int = 6) -> BeadWidths:
    x = np.full((n_beads, n_planes), 120.0)
    return BeadWidths(
        sigma_x_nm=x, sigma_y_nm=4 * x, photons=np.arange(n_beads)[:, None] + x,
        position_px=np.zeros((n_beads, 2)), pixel_nm=100.0, box_px=9, n_rejected=2,
    )  # fmt: skip


def test_the_mean_width_is_geometric_and_the_peak_that_of_a_gaussian() -> None:
    widths = bead_widths()

    assert (widths.mean_nm == 240.0).all()
    assert widths.peak[0, 0] == pytest.approx(120 / (2 * math.pi * 120 * 480))


def test_chosen_beads_keep_their_own_values() -> None:
    kept = bead_widths().take(np.array([False, False, True]))

    assert kept.photons.tolist() == [[122.0] * 6]
    assert kept.n_rejected == 2


def test_planes_count_from_the_first_one_in_the_direction_of_the_stack() -> None:
    np.testing.assert_array_equal(plane_z_nm(bead_widths(), -50.0), -50.0 * np.arange(6))
    with pytest.raises(CalibrationError, match="4 planes; 5 or more"):
        plane_z_nm(bead_widths(n_planes=4), 50.0)


def test_a_median_leaves_out_what_is_not_known_and_asks_for_enough() -> None:
    values = np.array([[1.0, math.nan, math.nan], [2.0, 5.0, math.nan], [9.0, math.nan, math.nan]])

    np.testing.assert_array_equal(known_median(values, axis=0), [2.0, 5.0, math.nan])
    np.testing.assert_array_equal(
        known_median(values, axis=0, least=0.5), [2.0, math.nan, math.nan]
    )


def test_beads_are_found_at_their_brightest_pixel_brightest_first(rng: np.random.Generator) -> None:
    image = rng.poisson(10.0, (60, 80)).astype(np.float32)
    for (x, y), light in (((20, 30), 4000.0), ((60, 15), 9000.0)):
        image[y - 8 : y + 9, x - 8 : x + 9] += spot(8, 8, 1.3, 1.3, light, 0).astype(np.float32)

    found = find_beads(image)

    assert found[:2, :2].tolist() == [[60, 15], [20, 30]]
    assert len(found) == 2
    np.testing.assert_array_equal(find_beads(image + 1000)[:, :2], found[:, :2])
