"""Cramér-Rao bounds of boxes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="boxes are simulated by torch")

from rtsmlm.models.box_parameters.accuracy import lone_boxes  # noqa: E402
from rtsmlm.models.box_parameters.quantities import quantities_of  # noqa: E402
from rtsmlm.models.simulation.box_bounds import box_bounds  # noqa: E402
from rtsmlm.models.simulation.box_ranges import BoxRanges  # noqa: E402
from rtsmlm.models.simulation.boxes import layer_of  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402
from rtsmlm.physics.fisher import crlb, fisher_information, gaussian_crlb  # noqa: E402

MODES = ((3, 1), (4, 0))


def test_they_are_those_of_the_general_fisher_information() -> None:
    ranges, optics = BoxRanges(box_px=12, modes=MODES, z_nm=(-300, 300)), OpticsSection()
    boxes, ranges = lone_boxes(ranges, optics, 3000.0, 10.0, 2, seed=3)
    layer = layer_of(ranges, optics)

    def mean(theta: np.ndarray) -> np.ndarray:
        x, y, z, _, _, *modes = torch.from_numpy(theta).float()[:, None]
        with torch.no_grad():
            spot = layer(x, y, z, torch.stack(modes, dim=1))[0]
        return np.asarray(spot.double() * theta[3] + theta[4])

    for k, bound in enumerate(box_bounds(boxes, ranges, optics)):
        theta = [
            boxes.x_px[k], boxes.y_px[k], boxes.z_nm[k], boxes.light[k], boxes.background[k],
            *boxes.amplitudes_nm[k],
        ]  # fmt: skip
        expected = crlb(
            fisher_information(
                mean,
                [float(value) for value in theta],
                [0.02, 0.02, 4.0, 30.0, 0.1, 0.5, 0.5],
                read_variance=boxes.read_variance[k, 0].numpy(),
            )
        )
        np.testing.assert_allclose(bound.numpy(), expected, rtol=2e-2)


def test_without_aberrations_in_focus_they_are_near_those_of_a_gaussian() -> None:
    optics = OpticsSection(zernikes=(), na=1.2, vectorial=False)
    ranges = BoxRanges(z_nm=(0.0, 1e-3))
    boxes, ranges = lone_boxes(ranges, optics, 2000.0, 20.0, 8, seed=1)
    sigma_px = 0.225 * optics.wavelength_nm / optics.na / optics.pixel_nm

    bound = box_bounds(boxes, ranges, optics).mean(dim=0)
    gaussian = gaussian_crlb(2000.0, 20.0, sigma_px, box_px=16)
    assert float(bound[0]) == pytest.approx(float(gaussian.x_px[0]), rel=0.25)
    assert float(bound[1]) == pytest.approx(float(bound[0]), rel=0.05)


def test_four_times_the_light_halves_them_and_an_emccd_costs_a_factor_of_root_two() -> None:
    optics = OpticsSection()
    dim, ranges = lone_boxes(BoxRanges(), optics, 2000.0, 20.0, 4, seed=2)
    still = dim.read_variance * 0.0
    dim = type(dim)(dim.photons, still, *(getattr(dim, f) for f in list(dim.__slots__)[2:]))
    bright = type(dim)(
        dim.photons, still, dim.x_px, dim.y_px, dim.z_nm, 4.0 * dim.light, 4.0 * dim.background,
        dim.amplitudes_nm, dim.dipole,
    )  # fmt: skip

    base = box_bounds(dim, ranges, optics)
    torch.testing.assert_close(box_bounds(bright, ranges, optics)[:, :3], base[:, :3] / 2.0)
    noisy = box_bounds(dim, ranges, optics, excess_noise=2.0)
    torch.testing.assert_close(noisy, base * 2.0**0.5)


def test_knowing_the_spread_of_aberrations_helps_and_never_exceeds_it() -> None:
    optics = OpticsSection()
    boxes, ranges = lone_boxes(
        BoxRanges(modes=MODES, aberration_nm=10.0), optics, 2000.0, 20.0, 6, seed=5
    )
    unknown = box_bounds(boxes, ranges, optics)
    known = box_bounds(boxes, ranges, optics, knows_aberrations=True)
    assert bool((known <= unknown).all())
    assert bool((known[:, 5:] < 10.0).all())


def test_there_is_one_for_each_quantity_also_for_dipoles() -> None:
    optics = OpticsSection()
    boxes, ranges = lone_boxes(
        BoxRanges(fixed_dipoles=True, z_nm=(-200, 200)), optics, 5000.0, 10.0, 6, seed=5
    )
    bounds = box_bounds(boxes, ranges, optics)
    assert bounds.shape == (6, len(quantities_of(ranges)))
    assert bool((bounds[:, 5:] > 0.0).all())
    assert bool((bounds[:, 5:] < 0.3).all()), "5000 photons tell orientations apart"
