"""The calibration of stated errors finds what is wrong with them."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.catalog import find_model  # noqa: E402
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork  # noqa: E402
from rtsmlm.models.flagship.packaging import calibrate  # noqa: E402
from rtsmlm.models.manifest import WEIGHTS_NAME  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402


def test_errors_stated_too_small_are_scaled_up() -> None:
    numpy_files = pytest.importorskip("safetensors.torch")
    try:
        folder = find_model("flagship-2d")
    except ConfigError:
        pytest.skip("needs the shipped weights")
    network = FlagshipNetwork(SIZES["S+"])
    network.load_state_dict(numpy_files.load_file(folder / WEIGHTS_NAME))
    honest = calibrate(network, SimulationRanges(), n_windows=128)

    with torch.no_grad():
        # Raw values of the standard deviations along x and y: smaller by a factor of 1.3.
        network.out.bias[16:24] -= 0.2624
        network.out.bias[12:16] += 0.1
    boastful = calibrate(network, SimulationRanges(), n_windows=128)

    for after, before in zip(boastful.std_scale, honest.std_scale, strict=True):
        assert after == pytest.approx(1.3 * before, rel=0.08)
    assert boastful.photons_scale == pytest.approx(honest.photons_scale / 1.105, rel=0.02)
