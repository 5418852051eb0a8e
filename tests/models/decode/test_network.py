"""DECODE: its size, what it learns, and that its graph is the network."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.decode.architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.decode.graph import Graph, maps_of_windows  # noqa: E402
from rtsmlm.models.decode.maps import CHANNELS, quantities  # noqa: E402
from rtsmlm.models.decode.network import SIZES, DecodeNetwork  # noqa: E402
from rtsmlm.models.decode.scaling import scaling_of  # noqa: E402
from rtsmlm.models.manifest import ONNX_NAME  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402
from rtsmlm.models.simulation.psf_section import PsfSection  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.simulation.training_windows import TARGET  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402
from rtsmlm.models.training.trainer import Trainer  # noqa: E402

RECIPE = Recipe(
    name="decode-try",
    network=NetworkSection(architecture="decode", size="S"),
    optics=OpticsSection(vectorial=False),
    psf=PsfSection(z_nm=(-400.0, 400.0), z_step_nm=100.0, box_px=13),
    simulation=SimulationRanges(
        crop_px=16, density=(0.5, 1.0), photons=(2000.0, 8000.0), background=(5.0, 50.0)
    ),
)


def network_of(size: str = "S") -> DecodeNetwork:
    torch.manual_seed(0)
    return DecodeNetwork(SIZES[size], scaling_of(RECIPE.simulation)).eval()


def test_the_published_size_has_its_number_of_parameters() -> None:
    network = network_of("paper")

    assert sum(value.numel() for value in network.parameters()) == 2_199_418


def test_the_packaged_size_is_a_ninth_of_it() -> None:
    assert sum(value.numel() for value in network_of().parameters()) < 250_000


def test_it_learns_a_few_windows_by_heart(tmp_path: Path) -> None:
    trainer = Trainer(RECIPE, tmp_path, architecture=ARCHITECTURE)
    windows = trainer.sample(4, torch.Generator().manual_seed(1), 1.0)
    trainer.sample = lambda n, generator, crowding: windows

    def mixture() -> float:
        with torch.no_grad():
            raw = ARCHITECTURE.forward(trainer.network, windows)
        return float(ARCHITECTURE.loss(raw, windows, RECIPE)["mixture"])

    before = mixture()
    for _ in range(15):
        trainer._step(torch.Generator(), 0.05)

    assert mixture() < before - 1.0


def test_the_graph_answers_as_the_network_does_on_windows() -> None:
    network = network_of()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for head in network.heads.values():
            torch.nn.init.normal_(head[-1].weight, std=0.05)
    sample = ARCHITECTURE.sampler(RECIPE, torch.device("cpu"))
    windows = sample(4, generator, 1.0)
    side, gain = windows.photons.shape[-1], 0.5
    offset = torch.full((side, side), 100.0)
    with torch.no_grad():
        for k, context in enumerate(([1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0])):
            windows.context[k] = torch.tensor(context)
            adu = (windows.photons[k] / gain + 100.0).round().clamp(min=0).int()
            windows.photons[k] = (adu.float() - 100.0) * gain
            maps = Graph(network)(
                adu, offset, torch.full_like(offset, gain), windows.context[k : k + 1]
            )
            one = type(windows)(
                windows.photons[k : k + 1],
                windows.read_variance[k : k + 1],
                windows.condition[k : k + 1],
                windows.context[k : k + 1],
                windows.targets,
            )
            expected = quantities(maps_of_windows(network, one), network.scaling)
            np.testing.assert_allclose(maps.numpy(), expected.numpy(), rtol=1e-3, atol=1e-4)


def test_features_of_a_frame_serve_all_frames_of_a_batch() -> None:
    network = network_of()
    calls: list[int] = []
    network.shared.register_forward_hook(lambda module, given, output: calls.append(len(output)))

    with torch.no_grad():
        plane = torch.ones(16, 16)
        Graph(network)(torch.zeros(7, 16, 16, dtype=torch.int32), plane, plane, torch.ones(5, 2))

    assert calls == [7]


def test_a_package_states_its_depths_and_its_psf(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="packaging writes ONNX")

    manifest = ARCHITECTURE.package(network_of(), tmp_path, RECIPE, tuning_windows=0)

    assert (tmp_path / ONNX_NAME).is_file()
    assert manifest.z_range_nm == (-400.0, 400.0)
    assert "computed, NA 1.4" in manifest.origin
    assert [channel.name for channel in manifest.channels] == list(CHANNELS)
    assert manifest.kmac_per_px == pytest.approx(66, abs=10)


def test_the_target_frame_stands_in_for_a_missing_neighbour() -> None:
    network = network_of()
    windows = ARCHITECTURE.sampler(RECIPE, torch.device("cpu"))(
        2, torch.Generator().manual_seed(3), 1.0
    )
    windows.context[:] = 0.0
    alone = windows.photons.clone()
    alone[:, [0, 2]] = alone[:, TARGET : TARGET + 1]
    with torch.no_grad():
        maps = maps_of_windows(network, windows)
        windows.photons.copy_(alone)
        windows.context[:] = 1.0
        repeated = maps_of_windows(network, windows)

    assert torch.equal(maps, repeated)
