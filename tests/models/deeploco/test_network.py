"""The network after DeepLOCO: the published size, and the packaged one with layers of cells."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch")

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.deeploco.architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.deeploco.network import (  # noqa: E402
    SIZES,
    DeepLocoNetwork,
    NetworkSettings,
)
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402

TINY = NetworkSettings(widths=(2, 3, 4), hidden=8, local=True, light=True)


def parameters_of(size: str) -> int:
    return sum(weight.numel() for weight in DeepLocoNetwork(SIZES[size]).parameters())


def test_the_published_size_has_the_published_number_of_weights() -> None:
    assert parameters_of("paper") == 11_033_712


def test_the_packaged_size_is_small() -> None:
    assert parameters_of("S") <= 600_000


def test_the_published_size_answers_with_64_slots_without_light() -> None:
    network = DeepLocoNetwork(NetworkSettings(widths=(2, 3, 4), hidden=16))

    with torch.no_grad():
        slots = network(torch.rand(2, 1, 64, 64))

    assert slots.shape == (2, 64, 4)
    assert bool(((slots[:, :, :3] > 0.0) & (slots[:, :, :3] < 1.0)).all())
    assert bool((slots[:, :, 3] >= 0.0).all())


def test_slots_begin_side_by_side_all_over_the_tile() -> None:
    torch.manual_seed(0)
    network = DeepLocoNetwork(SIZES["S"]).eval()

    with torch.no_grad():
        slots = network(torch.zeros(1, 1, 64, 64))[0]

    places = slots[:, :2] * 8.0 - 0.5
    assert len({tuple(place) for place in places.round().int().tolist()}) == 64
    assert float((places - places.round()).abs().max()) < 0.1
    assert float((slots[:, 2] - 0.5).abs().max()) < 0.05


def test_a_slot_of_a_cell_follows_its_light_to_another_cell() -> None:
    torch.manual_seed(1)
    network = DeepLocoNetwork(TINY).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn(weight.shape))
    tile = torch.zeros(1, 1, 64, 64)
    moved = tile.clone()
    tile[0, 0, 20:26, 21:24] = 2.0
    moved[0, 0, 20:26, 37:40] = 2.0

    with torch.no_grad():
        first, second = network(tile)[0], network(moved)[0]

    cells, others = slice(20, 24), slice(24, 28)
    assert torch.allclose(first[cells, 3:], second[others, 3:], atol=1e-5)
    shift = second[others, :3] - first[cells, :3]
    assert torch.allclose(shift, torch.tensor([0.25, 0.0, 0.0]).expand(4, 3), atol=1e-5)


def test_training_goes_on_from_the_weights_of_a_model() -> None:
    trained, again = DeepLocoNetwork(TINY).eval(), DeepLocoNetwork(TINY).eval()

    ARCHITECTURE.start_from(again, {k: v.numpy() for k, v in trained.state_dict().items()})

    tiles = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(again(tiles), trained(tiles))


def test_weights_of_another_size_are_refused() -> None:
    other = DeepLocoNetwork(TINY.model_copy(update={"hidden": 16}))
    weights = {name: value.numpy() for name, value in other.state_dict().items()}

    with pytest.raises(
        ConfigError, match=r"training\.start names a model of other layers or of another size"
    ):
        ARCHITECTURE.start_from(DeepLocoNetwork(TINY), weights)


def test_a_recipe_builds_either_size() -> None:
    for size in ARCHITECTURE.sizes():
        section = NetworkSection(architecture="deeploco", size=size)
        assert isinstance(ARCHITECTURE.build(Recipe(network=section)), DeepLocoNetwork)
