"""Where the shipped networks put emitters of a crowd: anywhere in a pixel alike."""

import numpy as np
import pytest

from rtsmlm.bench.accuracy.scenes import crowded_scene
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.localizations import F32
from rtsmlm.models.catalog import find_model

PIXEL_NM = 100.0


def edge_over_middle(places_nm: F32) -> float:
    """Return the rows near the borders of pixels over those near their middles, per width."""
    from_middle = np.abs(places_nm / PIXEL_NM - np.round(places_nm / PIXEL_NM))
    return float(np.count_nonzero(from_middle > 0.4) / np.count_nonzero(from_middle < 0.1))


@pytest.mark.parametrize("name", ["flagship-2d", "flagship-2d-fast"])
def test_rows_of_a_crowd_are_not_drawn_to_the_middle_of_pixels(name: str) -> None:
    rng = np.random.default_rng(17)
    scene = crowded_scene(rng, 8, 1.0, (1.3, 2000.0, 20.0))
    localizer = localizer_of(
        find_model(name), calibration=scene.calibration, sigma_nm=scene.sigma_nm, refine=False
    )

    found = localizer(scene.batch)

    n = len(found)
    assert n > 0.85 * len(scene.truth) * 256**2 / 265**2
    # Some 1800 rows of 9000 lie in either of both: the ratio scatters by 3 %.
    ratio = edge_over_middle(np.concatenate([found.x_nm, found.y_nm]))
    truth = np.concatenate([scene.truth.x_nm, scene.truth.y_nm])
    assert ratio == pytest.approx(edge_over_middle(truth), abs=0.12)
