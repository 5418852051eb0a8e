"""The integrated Gaussian holds its light and its derivatives are right."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.physics.gaussian import pixel_integrals, render_spots


def test_a_spot_keeps_all_its_photons_inside_a_large_image() -> None:
    image = render_spots((41, 41), 20.3, 19.6, 1000.0, 1.4)

    assert image.sum() == pytest.approx(1000.0, rel=1e-8)


def test_the_centroid_and_variance_of_a_spot_are_those_asked_for() -> None:
    image = render_spots((41, 51), 24.3, 19.6, 500.0, 1.4)
    y_px, x_px = np.indices(image.shape)

    x_mean = (image * x_px).sum() / image.sum()
    y_mean = (image * y_px).sum() / image.sum()
    x_variance = (image * (x_px - x_mean) ** 2).sum() / image.sum()

    assert x_mean == pytest.approx(24.3, abs=1e-6)
    assert y_mean == pytest.approx(19.6, abs=1e-6)
    # Integration over a pixel adds its own variance of 1/12.
    assert x_variance == pytest.approx(1.4**2 + 1 / 12, rel=1e-5)


def test_spots_add_up_on_their_background() -> None:
    together = render_spots((16, 20), [5.0, 12.2], [6.0, 7.7], [100.0, 200.0], 1.1, 3.0)
    first = render_spots((16, 20), 5.0, 6.0, 100.0, 1.1)
    second = render_spots((16, 20), 12.2, 7.7, 200.0, 1.1)

    np.testing.assert_allclose(together, first + second + 3.0, rtol=1e-12)


def test_a_spot_beyond_the_edge_lights_only_the_pixels_inside() -> None:
    outside = render_spots((16, 16), -0.5, 8.0, 100.0, 1.2)

    assert outside.sum() == pytest.approx(50.0, rel=1e-6)
    assert render_spots((16, 16), -40.0, 8.0, 100.0, 1.2).sum() == 0.0


def test_derivatives_agree_with_differences() -> None:
    step = 1e-5
    table, above, below = (np.empty((3, 9)) for _ in range(3))
    pixel_integrals(4.2, 1.3, table)

    pixel_integrals(4.2 + step, 1.3, above)
    pixel_integrals(4.2 - step, 1.3, below)
    np.testing.assert_allclose(table[1], (above[0] - below[0]) / (2 * step), atol=1e-9)

    pixel_integrals(4.2, 1.3 + step, above)
    pixel_integrals(4.2, 1.3 - step, below)
    np.testing.assert_allclose(table[2], (above[0] - below[0]) / (2 * step), atol=1e-9)
