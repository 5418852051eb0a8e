"""What the network of volumes is asked for, and how its answer is judged."""

import pytest

torch = pytest.importorskip("torch")

from rtsmlm.models.deepstorm3d.loss import blurred, volume_loss  # noqa: E402
from rtsmlm.models.deepstorm3d.network import SIZES, DeepStorm3dNetwork  # noqa: E402
from rtsmlm.models.deepstorm3d.volume import plane_of, shares_of, voxel_of  # noqa: E402
from rtsmlm.models.simulation.training_windows import Targets  # noqa: E402

SHAPE = (2, 12, 16, 20)
"""Windows, planes, height and width in voxels, two voxels along a pixel."""


def targets_at(x_px: list[float], y_px: list[float], z: list[float]) -> Targets:
    n = len(x_px)
    return Targets(
        window=torch.ones(n, dtype=torch.int64),
        x_px=torch.tensor(x_px),
        y_px=torch.tensor(y_px),
        photons=torch.full((n,), 1000.0),
        ignored=torch.zeros(SHAPE[0], 8, 10),
        background=torch.zeros(SHAPE[0], 4, 5),
        z=torch.tensor(z),
    )


def volume_of(targets: Targets) -> "torch.Tensor":
    voxels, shares = shares_of(targets, SHAPE, 2)
    n, planes, height, width = SHAPE
    flat = torch.zeros(n * height * width * planes).index_add_(0, voxels, shares)
    return flat.view(n, height, width, planes).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("size", "parameters"), [("paper", 612_703), ("paper-81", 435_743), ("S", 141_026)]
)
def test_the_network_has_the_published_number_of_parameters(size: str, parameters: int) -> None:
    network = DeepStorm3dNetwork(SIZES[size])

    assert sum(value.numel() for value in network.parameters()) == parameters


def test_the_shares_of_an_emitter_sum_to_one_and_their_centre_is_its_place() -> None:
    x_px, y_px, z = 4.3, 2.85, 0.37

    volume = volume_of(targets_at([x_px], [y_px], [z]))[1]

    planes, rows, columns = torch.meshgrid(*(torch.arange(s) for s in SHAPE[1:]), indexing="ij")
    assert float(volume.sum()) == pytest.approx(1.0)
    assert float((volume * columns).sum()) == pytest.approx(2 * (x_px + 0.5) - 0.5, abs=1e-5)
    assert float((volume * rows).sum()) == pytest.approx(2 * (y_px + 0.5) - 0.5, abs=1e-5)
    assert float((volume * planes).sum()) == pytest.approx(11 * (z + 1.0) / 2, abs=1e-5)


def test_an_emitter_at_the_end_of_the_range_is_all_in_the_last_plane() -> None:
    volume = volume_of(targets_at([4.0], [4.0], [1.0]))

    assert float(volume[1, -1].sum()) == pytest.approx(1.0)


def test_places_in_voxels_begin_at_the_centre_of_the_first_one() -> None:
    assert float(voxel_of(torch.tensor(-0.25), 2)) == pytest.approx(0.0)
    assert float(plane_of(torch.tensor(-1.0), 12)) == pytest.approx(0.0)


def loss_of(volume: "torch.Tensor", targets: Targets) -> dict[str, float]:
    voxels, shares = shares_of(targets, SHAPE, 2)
    ignored = torch.zeros(SHAPE[0], SHAPE[2], SHAPE[3], dtype=torch.bool)
    terms = volume_loss(volume, voxels, shares, ignored)
    return {name: float(value) for name, value in terms.items()}


def test_the_right_volume_has_no_loss_and_the_empty_one_has_most() -> None:
    targets = targets_at([4.3, 7.0], [2.85, 5.1], [0.37, -0.5])
    right = volume_of(targets)

    assert loss_of(right, targets)["total"] == pytest.approx(0.0, abs=1e-5)
    assert loss_of(torch.zeros(SHAPE), targets)["overlap"] > 0.25
    assert loss_of(torch.zeros(SHAPE), targets)["blurred"] > 0.4


def test_a_near_miss_costs_less_than_a_far_one() -> None:
    targets = targets_at([4.25], [3.75], [0.0])
    right = volume_of(targets)

    near = loss_of(right.roll(1, dims=3), targets)["blurred"]
    far = loss_of(right.roll(5, dims=3), targets)["blurred"]

    assert near < 0.5 * far


def test_what_is_ignored_has_no_loss() -> None:
    targets = targets_at([4.3], [2.85], [0.37])
    voxels, shares = shares_of(targets, SHAPE, 2)
    ignored = torch.ones(SHAPE[0], SHAPE[2], SHAPE[3], dtype=torch.bool)

    terms = volume_loss(torch.rand(SHAPE), voxels, shares, ignored)

    assert float(terms["blurred"]) == 0.0


def test_the_blur_is_a_gaussian_of_one_voxel_that_is_one_at_its_peak() -> None:
    volume = torch.zeros(1, 15, 15, 15)
    volume[0, 7, 7, 7] = 1.0

    blur = blurred(volume)[0].permute(1, 2, 0)

    expected = torch.exp(-0.5 * torch.tensor([1.0, 4.0, 3.0]))
    found = torch.stack([blur[7, 7, 8], blur[7, 9, 7], blur[8, 8, 8]])
    assert float(blur[7, 7, 7]) == pytest.approx(1.0)
    torch.testing.assert_close(found, expected)


def test_the_way_that_saves_memory_in_training_is_the_same_convolution() -> None:
    torch.manual_seed(0)
    layer = DeepStorm3dNetwork(SIZES["S"]).dilated[2]
    features, frames = torch.randn(1, 48, 24, 24), torch.randn(1, 1, 24, 24)

    in_parts = layer._in_parts(features, frames)

    whole = layer.convolution(torch.cat([features, frames], 1))
    torch.testing.assert_close(in_parts, whole, atol=1e-5, rtol=1e-4)
