"""A 3D network that starts from the 2D one sees at once what that one saw."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.flagship.layers import films_of, modulated_layers  # noqa: E402
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork  # noqa: E402
from rtsmlm.models.flagship.warm_start import TYPICAL_SIGMA_PX, start_from  # noqa: E402
from rtsmlm.models.psf_condition import round_psf  # noqa: E402


def random_network(size: str) -> FlagshipNetwork:
    torch.manual_seed(3)
    network = FlagshipNetwork(SIZES[size])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def weights_of(network: FlagshipNetwork) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in network.state_dict().items()}


def test_places_and_background_are_those_of_the_network_it_starts_from() -> None:
    flat = random_network("S+")
    deep = FlagshipNetwork(SIZES["S+ z"])
    planes = torch.randn(1, 4, 32, 32)

    start_from(deep, weights_of(flat))

    told = torch.from_numpy(round_psf(TYPICAL_SIGMA_PX).condition)
    with torch.no_grad():
        expected = flat(planes, told)
        maps = deep(planes, torch.randn(1, 11))
    assert torch.allclose(maps[:, :28], expected[:, :28], atol=1e-5)
    assert torch.allclose(maps[:, 36], expected[:, 28], atol=1e-5)


def test_weights_of_another_size_are_refused() -> None:
    with pytest.raises(ConfigError, match="same size"):
        start_from(FlagshipNetwork(SIZES["M+ z"]), weights_of(random_network("S+")))


def test_films_told_without_torch_are_those_of_the_network() -> None:
    network = random_network("S+")
    told = round_psf(1.1).condition

    films = films_of(weights_of(network), told)

    with torch.no_grad():
        expected = list(network._films(torch.from_numpy(told)))
    assert len(films) == len(expected) == len(modulated_layers(weights_of(network)))
    for (scale, shift), film in zip(films, expected, strict=True):
        theirs = film[0, :, 0, 0].numpy()
        assert np.allclose(np.concatenate([scale - 1.0, shift]), theirs, atol=1e-6)
