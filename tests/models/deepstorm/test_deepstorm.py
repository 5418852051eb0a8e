"""Deep-STORM: its size, what it is taught, and what the packaged weights make of one emitter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network is of torch")

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.image_network import NetworkImage  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.models.catalog import find_model  # noqa: E402
from rtsmlm.models.deepstorm.architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.deepstorm.network import SIZES, DeepStormNetwork  # noqa: E402
from rtsmlm.models.deepstorm.scaling import LEVEL_PX, scaled  # noqa: E402
from rtsmlm.models.deepstorm.targets import PEAK, loss_of, spikes_of  # noqa: E402
from rtsmlm.models.manifest import load_manifest  # noqa: E402
from rtsmlm.models.simulation.training_windows import Targets  # noqa: E402
from rtsmlm.models.training.recipe import load_recipe  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402

CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.5)
RECIPE = Path(__file__).parents[3] / "models" / "recipes" / "deepstorm.toml"


def one_emitter(x_px: float, y_px: float, ignored: bool = False) -> Targets:
    """Return the target of one window of 8 x 8 pixels with one emitter."""
    dim = torch.zeros(1, 8, 8, dtype=torch.bool)
    dim[0, :4] = ignored
    return Targets(
        window=torch.zeros(1, dtype=torch.int64),
        x_px=torch.tensor([x_px]),
        y_px=torch.tensor([y_px]),
        photons=torch.tensor([1000.0]),
        ignored=dim,
        background=torch.zeros(1, 4, 4),
    )


def test_the_published_size_has_the_parameters_and_the_work_that_were_reported() -> None:
    network = DeepStormNetwork(SIZES["paper"])

    assert sum(value.numel() for value in network.parameters()) == 1_366_208
    small = DeepStormNetwork(SIZES["S"])
    assert sum(value.numel() for value in small.parameters()) <= 250_000
    assert small(torch.zeros(1, 1, 6, 10)).shape == (1, 1, 24, 40)


def test_an_emitter_is_a_spike_in_the_fine_pixel_in_which_it_lies() -> None:
    # The centre of camera pixel 3 is at 3.0: its fine pixels end at 2.75, 3.0, 3.25 and 3.5.
    spikes = spikes_of(one_emitter(3.1, 4.9), (1, 8, 8), 4)

    assert spikes.sum() == 1.0
    assert spikes[0, 0, 21, 14] == 1.0


def test_the_right_spike_costs_its_sparsity_alone_and_one_beside_costs_more() -> None:
    targets = one_emitter(3.1, 4.9)
    right = PEAK * spikes_of(targets, (1, 8, 8), 4)

    loss = loss_of(right, targets, 4)
    beside = loss_of(right.roll(1, dims=3), targets, 4)
    empty = loss_of(torch.zeros_like(right), targets, 4)

    assert float(loss["fit"]) < 1e-9
    assert float(loss["total"]) == pytest.approx(PEAK / 32**2)
    assert float(loss["total"]) < float(beside["total"]) < float(empty["total"])
    assert float(loss_of(right.roll(1, dims=3), one_emitter(3.1, 4.9, True), 4)["fit"]) == (
        pytest.approx(float(beside["fit"]))
    ), "the emitter lies in the half that counts"


def test_a_hot_pixel_changes_nothing_that_is_far_from_it() -> None:
    photons = torch.full((1, 1, 64, 64), 20.0)
    hot = photons.clone()
    hot[0, 0, 5, 5] = 60_000.0

    far = 5 + 2 * LEVEL_PX
    assert torch.equal(scaled(photons)[..., far:, far:], scaled(hot)[..., far:, far:])


def test_background_is_dark_whatever_its_level() -> None:
    for level in (5.0, 50.0, 500.0):
        generator = torch.Generator().manual_seed(1)
        photons = torch.poisson(torch.full((1, 1, 64, 64), level), generator=generator)
        light = scaled(photons)
        assert abs(float(light.mean()) - 0.08) < 0.05, level
        assert float(light.std()) == pytest.approx(0.1, rel=0.15), "ten noises are one unit"


def test_the_recipe_trains_a_network_that_packages_itself(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPE)
    network = ARCHITECTURE.build(recipe)
    samples = ARCHITECTURE.sampler(recipe, torch.device("cpu"))(
        2, torch.Generator().manual_seed(3), 1.0
    )

    output = ARCHITECTURE.forward(network, samples)
    loss = ARCHITECTURE.loss(output, samples, recipe)
    loss["total"].backward()

    assert output.shape == (2, 1, 128, 128)
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())
    manifest = ARCHITECTURE.package(network.eval(), tmp_path, recipe, tuning_windows=0)
    assert (manifest.task, manifest.upsampling, manifest.block_px) == ("image", 4, 2)
    assert (tmp_path / "model.onnx").is_file()


def test_a_bright_emitter_peaks_where_it_is_with_the_light_of_the_target() -> None:
    rng = np.random.default_rng(4)
    network = NetworkImage(find_model("deepstorm"), "openvino", CALIBRATION, (24, 24))
    sums = []
    for x, y in rng.uniform(8, 15, (6, 2)):
        mean = render_spots((24, 24), x, y, 5000.0, 1.3, np.full((24, 24), 20.0))
        before = network.layer().image
        network.add_frames(FrameBatch.from_pixels((rng.poisson(mean) + 100)[None].astype("<u2")))
        image = network.layer().image - before
        row, column = np.unravel_index(np.argmax(image), image.shape)
        wanted = int((y + 0.5) * 4), int((x + 0.5) * 4)
        assert max(abs(row - wanted[0]), abs(column - wanted[1])) <= 1
        sums.append(image[wanted[0] - 2 : wanted[0] + 3, wanted[1] - 2 : wanted[1] + 3].sum())
    np.testing.assert_allclose(np.mean(sums), PEAK, rtol=0.2)


def test_openvino_answers_as_torch_on_a_frame_of_any_size() -> None:
    rng = np.random.default_rng(5)
    pixels = (rng.poisson(30.0, (2, 29, 37)) + 100).astype("<u2")
    pixels[:, 10, 20] += 400
    images = []
    for engine in ("openvino", "torch"):
        network = NetworkImage(find_model("deepstorm"), engine, CALIBRATION, (29, 37))
        network.add_frames(FrameBatch.from_pixels(pixels))
        images.append(network.layer().image)

    assert images[0].shape == (116, 148)
    assert np.abs(images[0] - images[1]).max() < 0.005 * images[1].max()


def test_the_packaged_model_states_what_it_makes_and_how_well() -> None:
    manifest = load_manifest(find_model("deepstorm"))

    assert (manifest.task, manifest.upsampling) == ("image", 4)
    assert manifest.parameters <= 250_000
    figures = {(str(row["condition"]), str(row["figure"])) for row in manifest.accuracy}
    assert any("6 per um2" in condition and "Jaccard" in figure for condition, figure in figures)
