from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.physics.gaussian import render_spots
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf, TablePsf
from rtsmlm.physics.pupil import Optics, pupil_psf
from rtsmlm.physics.zernike import zernike

PIXEL_NM = 100.0
SIZE = 81
F32 = NDArray[np.float32]


def _image(
    psf: Psf, x_px: float = 40.0, y_px: float = 40.0, z_nm: float = 0.0, photons: float = 1000.0
) -> F32:
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    columns = [np.array([value]) for value in (x_px, y_px, z_nm, photons)]
    psf.render(image, *columns)
    return image


def _centre_and_widths(image: F32) -> tuple[float, float, float, float]:
    weights = image.astype(np.float64) / image.sum()
    k = np.arange(SIZE)
    along_x, along_y = weights.sum(axis=0), weights.sum(axis=1)
    x, y = along_x @ k, along_y @ k
    return x, y, np.sqrt(along_x @ (k - x) ** 2), np.sqrt(along_y @ (k - y) ** 2)


@pytest.fixture(scope="module")
def tables() -> dict[str, TablePsf]:
    optics = Optics()
    astigmatic = Optics(zernike_nm={(2, 2): 70.0})
    return {
        "scalar": pupil_psf(optics, pixel_nm=PIXEL_NM, vectorial=False, z_step_nm=150.0),
        "vectorial": pupil_psf(optics, pixel_nm=PIXEL_NM, vectorial=True, z_step_nm=150.0),
        "bent": pupil_psf(astigmatic, pixel_nm=PIXEL_NM, vectorial=False, z_step_nm=150.0),
    }


def _psf(kind: str, tables: dict[str, TablePsf]) -> Psf:
    if kind == "gaussian":
        return GaussianPsf(1.3)
    return AstigmaticPsf(pixel_nm=PIXEL_NM) if kind == "astigmatic" else tables[kind]


@pytest.mark.parametrize("kind", ["gaussian", "astigmatic", "scalar", "vectorial"])
@pytest.mark.parametrize("z_nm", [-500.0, 0.0, 370.0])
def test_no_photon_is_lost_wherever_the_emitter_lies(
    kind: str, z_nm: float, tables: dict[str, TablePsf]
) -> None:
    image = _image(_psf(kind, tables), 40.37, 39.81, z_nm)

    assert image.sum() == pytest.approx(1000.0, rel=1e-4)
    assert image.min() > -1e-3


@pytest.mark.parametrize("kind", ["gaussian", "astigmatic", "scalar", "vectorial"])
def test_the_centre_of_light_is_the_place_of_the_emitter(
    kind: str, tables: dict[str, TablePsf]
) -> None:
    x, y, _, _ = _centre_and_widths(_image(_psf(kind, tables), 40.37, 38.81))

    assert x == pytest.approx(40.37, abs=2e-3)
    assert y == pytest.approx(38.81, abs=2e-3)


def test_gaussian_is_that_of_the_fitters() -> None:
    image = _image(GaussianPsf(1.3), 40.2, 39.7)

    expected = render_spots((SIZE, SIZE), 40.2, 39.7, 1000.0, 1.3)
    assert np.allclose(image, expected, atol=1e-4)


def test_integrating_over_pixels_widens_a_gaussian_by_a_twelfth_of_a_pixel_squared() -> None:
    _, _, width_x, _ = _centre_and_widths(_image(GaussianPsf(1.3)))

    assert width_x == pytest.approx(np.sqrt(1.3**2 + 1 / 12), rel=1e-3)


@pytest.mark.parametrize("z_nm", [-400.0, -220.0, 0.0, 220.0, 400.0])
def test_astigmatic_widths_follow_the_calibration_curve(z_nm: float) -> None:
    psf = AstigmaticPsf(pixel_nm=PIXEL_NM)
    _, _, width_x, width_y = _centre_and_widths(_image(psf, z_nm=z_nm))

    sigma_x, sigma_y = psf.sigmas_nm(z_nm)
    assert width_x == pytest.approx(np.sqrt((sigma_x / PIXEL_NM) ** 2 + 1 / 12), rel=2e-3)
    assert width_y == pytest.approx(np.sqrt((sigma_y / PIXEL_NM) ** 2 + 1 / 12), rel=2e-3)


def test_astigmatic_foci_lie_at_plus_and_minus_c() -> None:
    psf = AstigmaticPsf(pixel_nm=PIXEL_NM, c_nm=200.0)
    z_nm = np.arange(-600.0, 601.0, 10.0)

    sigma_x, sigma_y = psf.sigmas_nm(z_nm)

    assert z_nm[sigma_x.argmin()] == 200.0
    assert z_nm[sigma_y.argmin()] == -200.0
    assert sigma_x.min() == pytest.approx(130.0)


def test_scalar_psf_in_focus_is_as_sharp_as_the_aperture_allows() -> None:
    optics = Optics(na=1.2, n_medium=1.33, depth_nm=0.0)
    psf = pupil_psf(
        optics, pixel_nm=20.0, vectorial=False, z_range_nm=50.0, z_step_nm=50.0, box_px=81
    )
    profile = _image(psf)[40]

    half = profile.max() / 2
    right = 40 + np.argmax(profile[40:] < half)
    edge_px = right - 1 + (profile[right - 1] - half) / (profile[right - 1] - profile[right])
    # Airy disk: full width at half maximum 0.51 wavelength / NA.
    assert 2 * (edge_px - 40) * 20.0 == pytest.approx(0.51 * 670.0 / 1.2, rel=0.06)


def test_vectorial_psf_is_wider_than_the_scalar_one_at_high_aperture(
    tables: dict[str, TablePsf],
) -> None:
    assert _image(tables["vectorial"]).max() < 0.9 * _image(tables["scalar"]).max()


@pytest.mark.parametrize("kind", ["scalar", "vectorial"])
def test_light_spreads_out_of_focus(kind: str, tables: dict[str, TablePsf]) -> None:
    peaks = [_image(tables[kind], z_nm=z).max() for z in (-600.0, -300.0, 0.0, 300.0, 600.0)]

    assert np.argmax(peaks) == 2
    assert peaks[0] < peaks[1] < peaks[2] > peaks[3] > peaks[4]


def test_astigmatism_in_the_pupil_turns_the_spot_with_depth(tables: dict[str, TablePsf]) -> None:
    def elongation(z_nm: float) -> float:
        core = np.zeros((SIZE, SIZE), dtype=np.float32)
        core[33:48, 33:48] = _image(tables["bent"], z_nm=z_nm)[33:48, 33:48]
        _, _, width_x, width_y = _centre_and_widths(core)
        return width_x / width_y

    assert (elongation(-250.0) - 1.0) * (elongation(250.0) - 1.0) < 0
    assert abs(np.log(elongation(-250.0) / elongation(250.0))) > 0.3


def test_zernike_polynomials_are_orthonormal_over_the_pupil() -> None:
    axis = np.linspace(-1, 1, 401)
    u, v = np.meshgrid(axis, axis)
    rho, phi = np.hypot(u, v), np.arctan2(v, u)
    inside = rho <= 1
    terms = [(1, 1), (1, -1), (2, 0), (2, 2), (2, -2), (3, 1), (4, 0)]
    values = np.array([zernike(n, m, rho, phi)[inside] for n, m in terms])

    gram = values @ values.T / inside.sum()

    assert np.allclose(gram, np.eye(len(terms)), atol=0.02)


def test_emitters_beyond_the_edge_reach_into_the_image_and_far_ones_do_not(
    tables: dict[str, TablePsf],
) -> None:
    for psf in (GaussianPsf(1.3), tables["scalar"]):
        near = _image(psf, x_px=-0.5)
        far = _image(psf, x_px=-400.0, y_px=900.0)

        assert near.sum() == pytest.approx(500.0, rel=0.02)
        assert far.sum() == 0.0
