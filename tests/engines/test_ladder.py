"""What `auto` may mean: the network for the PSF, what is faster, and a width to begin with."""

from __future__ import annotations

import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.ladder import assumed_sigma_px, ladder
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest
from rtsmlm.settings.load import load

CAMERA = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.0)
CURVES = (
    "psf.astigmatism={ z_min_nm = -500, z_max_nm = 500, "
    "x = { sigma0_nm = 130, focus_nm = 220, depth_nm = 400 }, "
    "y = { sigma0_nm = 130, focus_nm = -220, depth_nm = 400 } }"
)


@pytest.mark.parametrize(
    ("overrides", "sigma_nm", "names"),
    [
        ((), 130.0, ("flagship-2d", "flagship-2d-fast", "gaussian-mle")),
        ((), 600.0, ("gaussian-mle",)),
        ((CURVES,), 130.0, ("flagship-astig", "astigmatic-mle")),
        (("localizer.name=flagship-2d",), 130.0, ("flagship-2d",)),
        (("localizer.name=my-lab",), 130.0, ("my-lab",)),
    ],
    ids=["round", "too wide for the network", "astigmatic", "named", "of a lab"],
)
def test_the_best_comes_first_and_one_that_is_named_stays_alone(
    overrides: tuple[str, ...], sigma_nm: float, names: tuple[str, ...]
) -> None:
    assert ladder(load(None, list(overrides)), CAMERA, sigma_nm) == names


def test_the_width_to_begin_with_is_one_that_the_network_takes() -> None:
    low, high = load_manifest(find_model("flagship-2d")).valid.sigma_px

    assert assumed_sigma_px(load(None), 1.3) == 1.3
    assert assumed_sigma_px(load(None), 9.0) == high
    assert assumed_sigma_px(load(None, ["localizer.name=flagship-2d"]), 0.1) == low
    assert assumed_sigma_px(load(None, ["localizer.name=gaussian-mle"]), 9.0) == 9.0
