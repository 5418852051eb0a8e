"""Attention along time: what longer windows change, and that every engine answers the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference is torch")
onnx = pytest.importorskip("onnx", reason="the export needs onnx")

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.runtimes import localizer_of  # noqa: E402
from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.models.flagship.maps import Map  # noqa: E402
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork, stabilize  # noqa: E402
from rtsmlm.models.flagship.packaging import macs_per_px, package  # noqa: E402
from rtsmlm.models.flagship.time_architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.flagship.time_network import TIME_SIZES, TimeNetwork, stabilized  # noqa: E402
from rtsmlm.models.flagship.warm_start import start_from  # noqa: E402
from rtsmlm.models.inputs import context_of  # noqa: E402
from rtsmlm.models.manifest import (  # noqa: E402
    ONNX_NAME,
    WEIGHTS_NAME,
    TrainingEntry,
    save_manifest,
)
from rtsmlm.models.model_files import file_entry  # noqa: E402
from rtsmlm.models.psf_condition import round_psf  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.simulation.training_windows import simulate  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402

RECIPE = Recipe(
    name="in-time",
    network=NetworkSection(architecture="flagship-time", size="S 7"),
    simulation=SimulationRanges(window_frames=7, crop_px=32, computed_fraction=0.0),
)
CONDITION = torch.from_numpy(round_psf(1.3).condition)
READ = torch.ones(1, 1, 32, 32)


def random_network(size: str = "S 7") -> TimeNetwork:
    torch.manual_seed(1)
    network = TimeNetwork(TIME_SIZES[size])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


def frames(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.poisson(torch.full((n, 1, 32, 32), 40.0), generator=generator)


@torch.no_grad()
def maps_in_time(
    network: TimeNetwork, photons: torch.Tensor, context: torch.Tensor
) -> torch.Tensor:
    roots, noise = stabilized(photons, READ)
    reach = network.time.neighbours
    return network.in_time(roots, noise[reach:-reach], context, CONDITION)


@pytest.mark.parametrize(
    ("size", "parameters", "kmac"),
    [("S 7", 186_364, 20.4), ("S+ 7", 264_444, 25.1), ("S+ 15", 264_476, 25.1)],
)
def test_the_sizes_are_what_they_are_stated_to_be(size: str, parameters: int, kmac: float) -> None:
    network = TimeNetwork(TIME_SIZES[size])
    weights = {name: value.numpy() for name, value in network.state_dict().items()}

    assert sum(value.numel() for value in network.parameters()) == parameters
    assert macs_per_px(weights) / 1000.0 == pytest.approx(kmac, abs=0.1)


def test_a_network_with_attention_starts_as_the_one_without() -> None:
    torch.manual_seed(3)
    plain = FlagshipNetwork(SIZES["S+"])
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network = TimeNetwork(TIME_SIZES["S+ 7"])

    start_from(network, {name: v.detach().numpy() for name, v in plain.state_dict().items()})

    photons = frames(7)
    with torch.no_grad():
        planes = stabilize(photons[None, 2:5, 0], READ, torch.ones(1, 2))
        expected = plain(planes, CONDITION)
    assert torch.allclose(maps_in_time(network, photons, torch.ones(1, 6)), expected, atol=1e-5)


def test_a_network_with_fewer_blocks_takes_what_the_psf_does_to_those_it_has() -> None:
    plain = FlagshipNetwork(SIZES["S+"])
    with torch.no_grad():
        plain.condition_second.bias.copy_(torch.arange(len(plain.condition_second.bias)))
    network = TimeNetwork(TIME_SIZES["S 7"])

    start_from(network, {name: v.detach().numpy() for name, v in plain.state_dict().items()})

    bias = network.condition_second.bias.detach()
    # Stem, half block, down and first quarter block as they were; the second one's 128 are gone.
    assert bias[:384].tolist() == list(range(384))
    assert float(bias[384]) == 384 + 128


def test_training_windows_and_frames_of_a_movie_have_the_same_answer() -> None:
    network, photons, context = random_network(), frames(9), torch.ones(3, 6)

    of_movie = maps_in_time(network, photons, context)

    windows = torch.stack([photons[k : k + 7, 0] for k in range(3)])
    with torch.no_grad():
        roots, noise = stabilized(windows, READ)
        of_windows = network.of_windows(roots, noise[:, 3:4], context, CONDITION)
    assert torch.allclose(of_movie, of_windows, atol=1e-5)


def test_the_farthest_frame_counts_unless_it_is_not_there() -> None:
    network, photons = random_network(), frames(7)
    other = photons.clone()
    other[0] += 200.0
    there, missing = torch.ones(1, 6), torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]])

    assert not torch.allclose(
        maps_in_time(network, photons, there), maps_in_time(network, other, there), atol=1e-4
    )
    assert torch.allclose(
        maps_in_time(network, photons, missing), maps_in_time(network, other, missing), atol=1e-5
    )


def test_a_frame_behind_a_gap_is_not_there() -> None:
    context = context_of(np.array([4, 5, 6, 9, 10]), 2)

    assert context.tolist() == [
        [0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0],
    ]  # fmt: skip


def test_longer_windows_are_drawn_and_learned_from() -> None:
    network = ARCHITECTURE.build(RECIPE)
    windows = simulate(RECIPE.simulation, 4, torch.Generator().manual_seed(1))

    output = ARCHITECTURE.forward(network, windows)
    ARCHITECTURE.loss(output, windows, RECIPE)["total"].backward()

    assert windows.photons.shape == (4, 7, 32, 32)
    assert windows.context.shape == (4, 6)
    assert float(network.attention.out.weight.grad.abs().sum()) > 0.0


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"simulation\.window_frames is 3.*looks at 7"):
        ARCHITECTURE.build(RECIPE.model_copy(update={"simulation": SimulationRanges()}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = random_network()
    with torch.no_grad():
        network.out.bias[:4] = 1.0  # many rows to compare
        network.out.bias[4 * Map.STD_X : 4 * Map.STD_PHOTONS + 4] = -3.0
    manifest = package(network, tmp_path, RECIPE, tuning_windows=0)
    manifest = manifest.model_copy(
        update={
            "files": tuple(file_entry(tmp_path / name) for name in (ONNX_NAME, WEIGHTS_NAME)),
            "training": TrainingEntry(steps=0, windows=0, seconds=0.0, hardware="", recipe={}),
        }
    )
    save_manifest(manifest, tmp_path)
    return tmp_path


def test_engines_agree_on_rows_in_batches_of_any_size_and_beside_gaps(
    folder: Path, rng: np.random.Generator
) -> None:
    pytest.importorskip("openvino")
    pixels = rng.poisson(140.0, (9, 40, 48)).astype(np.uint16)
    batch = FrameBatch.from_pixels(pixels, index=np.array([0, 1, 2, 3, 4, 5, 6, 9, 10]))
    camera = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.0)
    made = [
        localizer_of(
            folder, calibration=camera, sigma_nm=130.0, engine=engine, precision="f32", refine=False
        )
        for engine in ("torch", "openvino")
    ]

    rows = [localizer(batch) for localizer in made]
    one = made[0](batch.frames(0, 8), slice(4, 5))

    assert [localizer.neighbours for localizer in made] == [3, 3]
    assert len(rows[0]) == len(rows[1]) > 100
    for name in ("x_nm", "y_nm", "photons"):
        first, second = (getattr(table, name) for table in rows)
        assert np.allclose(first, second, rtol=1e-3, atol=0.02), name
    same = rows[0].take(rows[0].frame == 4)
    assert np.allclose(one.x_nm, same.x_nm, atol=0.02), "a frame has its rows whatever the batch"
