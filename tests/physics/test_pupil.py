"""PSFs from the pupil: scaling with the aperture, aberrations, and symmetry."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.physics.pupil import Optics, pupil_psf
from rtsmlm.physics.zernike import zernike

PIXEL_NM = 50.0
MATCHED = {"n_medium": 1.518, "n_cover": 1.518, "n_immersion": 1.518}
DEPTH_NM = 1000.0


@cache
def plane_of(
    z_nm: float = 0.0,
    na: float = 1.2,
    wavelength_nm: float = 670.0,
    zernike_nm: tuple[tuple[tuple[int, int], float], ...] = (),
    vectorial: bool = False,
) -> np.ndarray:
    """The image at one depth, (31, 31) pixels of 50 nm, in media that all have one index."""
    optics = Optics(
        na=na,
        wavelength_nm=wavelength_nm,
        depth_nm=DEPTH_NM,
        zernike_nm=dict(zernike_nm),
        **MATCHED,
    )
    psf = pupil_psf(
        optics, pixel_nm=PIXEL_NM, vectorial=vectorial, z_range_nm=300.0, z_step_nm=300.0,
        box_px=31, fine_per_px=3, pupil_points=48,
    )  # fmt: skip
    image = np.zeros((31, 31), dtype=np.float32)
    columns = [np.array([value]) for value in (15.0, 15.0, z_nm, 1.0)]
    psf.render(image, *columns)
    return image.astype(np.float64)


def centre(image: np.ndarray) -> tuple[float, float]:
    """Centre of light in nm from the middle, of what is brighter than a tenth of the peak."""
    core = np.where(image > 0.1 * image.max(), image, 0.0)
    place = (np.arange(len(image)) - len(image) // 2) * PIXEL_NM
    return float(core.sum(axis=0) @ place / core.sum()), float(
        core.sum(axis=1) @ place / core.sum()
    )


@pytest.mark.parametrize(
    ("n", "m", "closed_form"),
    [
        (0, 0, lambda r, _: np.ones_like(r)),
        (1, 1, lambda r, p: 2 * r * np.cos(p)),
        (1, -1, lambda r, p: 2 * r * np.sin(p)),
        (2, 0, lambda r, _: math.sqrt(3) * (2 * r**2 - 1)),
        (2, 2, lambda r, p: math.sqrt(6) * r**2 * np.cos(2 * p)),
        (3, 1, lambda r, p: math.sqrt(8) * (3 * r**3 - 2 * r) * np.cos(p)),
        (4, 0, lambda r, _: math.sqrt(5) * (6 * r**4 - 6 * r**2 + 1)),
    ],
)
def test_zernike_polynomials_are_those_of_noll(
    n: int, m: int, closed_form: object, rng: np.random.Generator
) -> None:
    rho, phi = rng.uniform(0, 1, 200), rng.uniform(-np.pi, np.pi, 200)

    np.testing.assert_allclose(zernike(n, m, rho, phi), closed_form(rho, phi), atol=1e-12)  # type: ignore[operator]


@given(st.integers(0, 8), st.integers(0, 8), st.floats(0, 1), st.floats(-3.1, 3.1))
def test_a_negative_order_is_the_same_polynomial_turned_by_a_quarter_period(
    radial: int, azimuthal: int, rho: float, phi: float
) -> None:
    m = max(1, min(azimuthal, radial))
    n = m + 2 * (max(radial, m) - m)
    at, turned = np.array([phi]), np.array([phi - np.pi / (2 * m)])

    np.testing.assert_allclose(
        zernike(n, -m, np.array([rho]), at),
        zernike(n, m, np.array([rho]), turned),
        atol=1e-6 * math.comb(n, n // 2) + 1e-9,
    )


@pytest.mark.parametrize(("n", "m"), [(2, 0), (4, 0), (2, 2), (3, 3), (6, 2)])
def test_a_zernike_polynomial_at_the_rim_is_its_norm(n: int, m: int) -> None:
    # The radial part is 1 at the rim for all orders.
    norm = math.sqrt((2 if m else 1) * (n + 1))

    assert zernike(n, m, np.ones(1), np.zeros(1))[0] == pytest.approx(norm)


def test_a_spot_depends_on_wavelength_over_aperture_alone() -> None:
    # Small apertures, where the angle of the rays does not matter.
    sharp = plane_of(na=0.6, wavelength_nm=500.0)
    same = plane_of(na=0.72, wavelength_nm=600.0)
    wide = plane_of(na=0.6, wavelength_nm=600.0)

    np.testing.assert_allclose(same, sharp, atol=0.02 * sharp.max())
    assert wide.max() < 0.85 * sharp.max()


@pytest.mark.parametrize("vectorial", [False, True])
def test_a_larger_aperture_gives_a_brighter_middle(vectorial: bool) -> None:
    peaks = [plane_of(na=na, vectorial=vectorial).max() for na in (0.8, 1.0, 1.2)]

    assert peaks == sorted(peaks)


@pytest.mark.parametrize("tilt_nm", [-40.0, 30.0])
@pytest.mark.parametrize("m", [1, -1])
def test_tilt_of_the_wavefront_moves_the_spot_and_does_not_blur_it(tilt_nm: float, m: int) -> None:
    flat = plane_of()
    tilted = plane_of(zernike_nm=(((1, m), tilt_nm),))

    x_nm, y_nm = centre(tilted)

    # A tilt of so many nm in the mean square is twice that at the rim, at the sine NA.
    moved, still = (x_nm, y_nm) if m == 1 else (y_nm, x_nm)
    assert abs(moved) == pytest.approx(2 * abs(tilt_nm) / 1.2, rel=0.1)
    assert abs(still) < 1.0
    assert np.sqrt((tilted**2).sum()) == pytest.approx(np.sqrt((flat**2).sum()), rel=0.05)


@pytest.mark.parametrize("vectorial", [False, True])
@pytest.mark.parametrize("z_nm", [-300.0, 0.0, 300.0])
def test_without_aberrations_a_spot_is_alike_in_all_quarters(vectorial: bool, z_nm: float) -> None:
    image = plane_of(z_nm=z_nm, vectorial=vectorial)

    tolerance = 1e-3 * image.max()
    np.testing.assert_allclose(image, image.T, atol=tolerance)
    np.testing.assert_allclose(image, image[::-1], atol=tolerance)
    np.testing.assert_allclose(image, image[:, ::-1], atol=tolerance)


@pytest.mark.parametrize("vectorial", [False, True])
def test_in_media_of_one_index_both_sides_of_the_focus_look_the_same(vectorial: bool) -> None:
    below, above = (plane_of(z_nm=z_nm, vectorial=vectorial) for z_nm in (-300.0, 300.0))

    np.testing.assert_allclose(below, above, atol=0.02 * above.max())


def test_a_sideways_mode_of_astigmatism_stretches_the_spot_along_the_diagonals() -> None:
    image = plane_of(z_nm=300.0, zernike_nm=(((2, -2), 60.0),))
    core = np.where(image > 0.1 * image.max(), image, 0.0) / image.sum()
    place = np.arange(31) - 15

    across, along = core @ place @ np.ones(31), core.T @ place @ np.ones(31)
    covariance = float((core * np.outer(place, place)).sum())
    spread_x = float((core.sum(axis=0) * place**2).sum())
    spread_y = float((core.sum(axis=1) * place**2).sum())

    assert abs(across) < 0.1
    assert abs(along) < 0.1
    assert spread_x == pytest.approx(spread_y, rel=0.02)
    assert abs(covariance) > 0.1 * spread_x


@pytest.mark.parametrize("mode", [(2, 2), (3, 1), (4, 0)])
def test_any_aberration_takes_light_from_the_peak_as_strehl_says(mode: tuple[int, int]) -> None:
    rms_nm = 30.0
    flat = plane_of().max()
    bent = plane_of(zernike_nm=((mode, rms_nm),)).max()

    strehl = math.exp(-((2 * math.pi * rms_nm / 670.0) ** 2))

    assert bent / flat == pytest.approx(strehl, rel=0.06)


def test_the_planes_hold_all_light_at_every_depth() -> None:
    psf = pupil_psf(
        Optics(), pixel_nm=100.0, vectorial=True, z_range_nm=700.0, z_step_nm=350.0,
        box_px=15, fine_per_px=2, pupil_points=32,
    )  # fmt: skip

    assert psf.sums.shape[0] == 5
    np.testing.assert_allclose(psf.sums[:, -1, -1], 1.0, rtol=1e-5)
    assert np.isfinite(psf.sums).all()
