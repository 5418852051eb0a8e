"""The network: size, what it sees, what the condition does."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork, light_level, stabilize  # noqa: E402
from rtsmlm.models.training.optimizer import orthogonalize  # noqa: E402


def shining(network: FlagshipNetwork) -> FlagshipNetwork:
    """Give all weights that start at zero a value, so that every path matters."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    return network


@pytest.mark.parametrize(("size", "most"), [("S", 150_000), ("S+", 250_000), ("M+", 950_000)])
def test_weights_of_all_sizes_fit_into_four_megabytes(size: str, most: int) -> None:
    network = FlagshipNetwork(SIZES[size])

    assert sum(p.numel() for p in network.parameters()) < most < 1_000_000


def test_maps_have_half_the_resolution_of_the_frames() -> None:
    network = FlagshipNetwork(SIZES["S"])

    maps = network(torch.zeros(2, 4, 40, 64), torch.zeros(2, 2))

    assert maps.shape == (2, 32, 20, 32)


def test_an_untrained_network_sees_next_to_nothing() -> None:
    maps = FlagshipNetwork(SIZES["S+"])(torch.zeros(1, 4, 64, 64), torch.zeros(1, 2))

    assert torch.sigmoid(maps[:, :4]).mean().item() < 0.01


def test_what_the_network_is_told_of_the_psf_changes_what_it_says() -> None:
    network = shining(FlagshipNetwork(SIZES["S"]))
    planes = torch.randn(1, 4, 32, 32)

    narrow, wide = (network(planes, torch.tensor([[c, 1.0]])) for c in (-0.3, 0.5))

    assert (narrow - wide).abs().max().item() > 1e-3


def test_noise_is_equal_at_all_light_levels(rng: np.random.Generator) -> None:
    for level in (3.0, 30.0, 500.0):
        counts = rng.poisson(level, (4, 3, 64, 64)) + rng.normal(0, 1.4, (4, 3, 64, 64))
        photons = torch.tensor(counts, dtype=torch.float32)
        variance = torch.full((1, 1, 64, 64), 1.4**2)

        planes = stabilize(photons, variance, torch.ones(4, 2))[:, :3]

        assert float(planes.std()) == pytest.approx(0.25, rel=0.06)


def test_a_missing_neighbour_is_a_plane_of_zeros() -> None:
    photons = 20.0 + torch.rand(1, 3, 64, 64)

    planes = stabilize(photons, torch.ones(1, 1, 64, 64), torch.tensor([[0.0, 1.0]]))

    assert not planes[:, 0].any()
    assert planes[:, 1].any()
    assert planes[:, 2].any()


def test_emitters_do_not_lift_the_light_level() -> None:
    photons = torch.full((1, 3, 64, 64), 20.0)
    photons[:, :, 20:23, 30:33] += 500.0

    assert float(light_level(photons).max()) == pytest.approx(20.0, abs=0.01)


def test_a_ramp_of_light_is_followed() -> None:
    ramp = torch.linspace(20.0, 200.0, 128).expand(1, 3, 128, 128)

    level = light_level(ramp)

    assert float((ramp - level)[..., 16:-16].abs().max()) < 25.0


def test_a_step_of_the_optimizer_is_equally_long_in_all_directions(
    rng: np.random.Generator,
) -> None:
    matrix = torch.tensor(rng.normal(size=(32, 288)) * np.logspace(0, -1, 32)[:, None])

    values = torch.linalg.svdvals(orthogonalize(matrix))

    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3
