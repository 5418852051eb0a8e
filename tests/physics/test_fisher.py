"""The CRLB agrees with published closed forms and with independent numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from rtsmlm.errors import LocalizerError
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.fisher import (
    astigmatic_crlb,
    crlb,
    fisher_information,
    gaussian_crlb,
    mortensen_std_px,
)
from rtsmlm.physics.gaussian import render_spots

PIXEL_NM = 100.0
BOX_PX = 31
# photons, background, sigma nm, then CRLB: x nm, photons, sigma nm, EMCCD x nm.
TABLE = [
    (500, 5, 130, 7.96, 26.1, 5.16, 11.25),
    (500, 10, 110, 7.27, 27.2, 4.84, 10.28),
    (1000, 10, 130, 5.63, 36.8, 3.65, 7.96),
    (1000, 50, 130, 8.20, 48.8, 5.74, 11.60),
    (5000, 10, 130, 2.10, 74.1, 1.25, 2.97),
    (5000, 100, 110, 2.30, 86.1, 1.53, 3.25),
    (20000, 100, 130, 1.14, 155, 0.71, 1.62),
]


@pytest.mark.parametrize("row", TABLE)
def test_gaussian_crlb_reproduces_the_table_of_known_bounds(row: tuple[float, ...]) -> None:
    photons, background, sigma_nm, x_nm, photons_std, sigma_std_nm, emccd_x_nm = row
    sigma_px = sigma_nm / PIXEL_NM

    bound = gaussian_crlb(photons, background, sigma_px, box_px=BOX_PX)
    free = gaussian_crlb(photons, background, sigma_px, box_px=BOX_PX, fit_sigma=True)
    emccd = gaussian_crlb(photons, background, sigma_px, box_px=BOX_PX, excess_noise=2.0)

    # Half of the last digit that the table gives.
    assert bound.x_px[0] * PIXEL_NM == pytest.approx(x_nm, abs=0.0051)
    assert bound.y_px[0] == pytest.approx(bound.x_px[0], rel=1e-9)
    assert bound.photons[0] == pytest.approx(photons_std, rel=0.004)
    assert free.sigma_px[0] * PIXEL_NM == pytest.approx(sigma_std_nm, abs=0.0051)
    assert emccd.x_px[0] * PIXEL_NM == pytest.approx(emccd_x_nm, abs=0.0101)
    assert np.isnan(bound.sigma_px[0])


@pytest.mark.parametrize(
    ("box_px", "read_variance", "x_nm", "photons_std", "background_std"),
    [(7, 0.0, 5.65, 44.5, 0.77), (11, 0.0, 5.63, 38.5, 0.34), (11, 1.6**2, 5.85, None, None)],
)
def test_a_small_box_costs_photons_but_hardly_any_position(
    box_px: int,
    read_variance: float,
    x_nm: float,
    photons_std: float | None,
    background_std: float | None,
) -> None:
    bound = gaussian_crlb(1000, 10, 1.3, box_px=box_px, read_variance=read_variance)

    assert bound.x_px[0] * PIXEL_NM == pytest.approx(x_nm, abs=0.0051)
    if photons_std is not None:
        assert bound.photons[0] == pytest.approx(photons_std, abs=0.051)
        assert bound.background[0] == pytest.approx(background_std, abs=0.0051)


@pytest.mark.parametrize("row", TABLE)
def test_the_bound_agrees_with_mortensen_in_a_large_box(row: tuple[float, ...]) -> None:
    photons, background, sigma_nm = row[:3]
    sigma_px = sigma_nm / PIXEL_NM
    area = sigma_px**2 + 1 / 12
    tau = 2 * np.pi * area * background / photons
    integral, _ = quad(lambda t: np.log(t) / (1 + t / tau), 0, 1)
    mortensen_px = np.sqrt(area / photons / (1 + integral))

    bound = gaussian_crlb(photons, background, sigma_px, box_px=BOX_PX)

    assert bound.x_px[0] == pytest.approx(mortensen_px, rel=0.01)
    assert mortensen_std_px(photons, background, sigma_px) == pytest.approx(mortensen_px, rel=0.02)


def test_without_background_the_bound_is_the_width_over_the_root_of_the_photons() -> None:
    bound = gaussian_crlb(2500, 1e-9, 2.0, box_px=41)

    # Large pixels cost a little: the variance of a pixel, 1/12, adds to that of the PSF.
    assert bound.x_px[0] == pytest.approx(np.sqrt(4.0 + 1 / 12) / 50, rel=0.002)
    assert bound.photons[0] == pytest.approx(50.0, rel=0.002)


@pytest.mark.parametrize("excess_noise", [1.0, 2.0])
def test_numeric_information_agrees_with_the_analytic_one_per_pixel_variance(
    rng: np.random.Generator, excess_noise: float
) -> None:
    read_variance = rng.gamma(1.0, 3.0, (11, 11))
    theta = [5.3, 4.8, 1.25, 900.0, 7.0]

    information = fisher_information(
        lambda t: render_spots((11, 11), t[0], t[1], t[3], t[2], t[4]),
        theta,
        [1e-3, 1e-3, 1e-3, 1.0, 1e-2],
        read_variance=read_variance,
        excess_noise=excess_noise,
    )
    bound = gaussian_crlb(
        900,
        7,
        1.25,
        box_px=11,
        x_px=5.3,
        y_px=4.8,
        fit_sigma=True,
        read_variance=read_variance,
        excess_noise=excess_noise,
    )

    expected = [bound.x_px, bound.y_px, bound.sigma_px, bound.photons, bound.background]
    np.testing.assert_allclose(crlb(information), np.ravel(expected), rtol=1e-4)


def test_many_spots_at_once_give_the_bound_of_each() -> None:
    photons = np.array([300.0, 900.0, 5000.0])

    together = gaussian_crlb(photons, 10.0, 1.2, box_px=9)

    for i, n in enumerate(photons):
        alone = gaussian_crlb(n, 10.0, 1.2, box_px=9)
        assert together.x_px[i] == pytest.approx(alone.x_px[0], rel=1e-12)


def test_parameters_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(LocalizerError, match="singular"):
        crlb(np.array([[1.0, 1.0], [1.0, 1.0]]))


ASTIGMATIC = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=380.0, cubic=0.05, quartic=0.05),
    y=WidthCurve(sigma0_nm=125.0, focus_nm=240.0, depth_nm=400.0, cubic=-0.05, quartic=0.05),
    z_min_nm=-500.0,
    z_max_nm=500.0,
)


@pytest.mark.parametrize("z_nm", [-400.0, -220.0, 0.0, 150.0, 400.0])
@pytest.mark.parametrize(("read_variance", "excess_noise"), [(0.0, 1.0), (2.5, 1.0), (0.1, 2.0)])
def test_the_astigmatic_bound_is_that_of_numeric_derivatives(
    z_nm: float, read_variance: float, excess_noise: float
) -> None:
    box_px = 15
    edges = np.arange(box_px + 1) - 0.5

    def image(theta: np.ndarray) -> np.ndarray:
        x_px, y_px, z, photons, background = theta
        widths_px = [float(c.sigma_nm(z)) / PIXEL_NM for c in (ASTIGMATIC.x, ASTIGMATIC.y)]
        columns = np.diff(norm.cdf(edges, x_px, widths_px[0]))
        rows = np.diff(norm.cdf(edges, y_px, widths_px[1]))
        return np.asarray(photons * rows[:, None] * columns + background)

    theta = np.array([7.2, 6.7, z_nm, 2000.0, 20.0])
    information = fisher_information(
        image,
        theta,
        [1e-3, 1e-3, 1.0, 1.0, 0.01],
        read_variance=read_variance,
        excess_noise=excess_noise,
    )

    bound = astigmatic_crlb(
        2000,
        20,
        z_nm,
        ASTIGMATIC,
        pixel_nm=PIXEL_NM,
        box_px=box_px,
        x_px=7.2,
        y_px=6.7,
        read_variance=read_variance,
        excess_noise=excess_noise,
    )

    ours = [bound.x_px[0], bound.y_px[0], bound.z_nm[0], bound.photons[0], bound.background[0]]
    np.testing.assert_allclose(ours, crlb(information), rtol=2e-4)


def test_z_is_known_best_where_the_foci_of_both_axes_meet() -> None:
    z_nm = np.array([-400.0, 0.0, 400.0])

    bound = astigmatic_crlb(2000, 20, z_nm, ASTIGMATIC, pixel_nm=PIXEL_NM, box_px=17)

    assert bound.z_nm[1] < bound.z_nm[0]
    assert bound.z_nm[1] < bound.z_nm[2]
    # In focus along x the spot is wide along y, and the other way round.
    assert bound.x_px[0] < bound.y_px[0]
    assert bound.y_px[2] < bound.x_px[2]
