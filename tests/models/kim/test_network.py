"""The network after Kim, Moon & Xu."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network is written in torch")

from rtsmlm.engines.class_networks import NetworkClasses  # noqa: E402
from rtsmlm.models.box_classes.calibration import calibration_error, fit_temperature  # noqa: E402
from rtsmlm.models.catalog import model_folders  # noqa: E402
from rtsmlm.models.kim.architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.kim.losses import Depths, loss_of  # noqa: E402
from rtsmlm.models.kim.network import BOX_PX, SIZES, KimNetwork  # noqa: E402
from rtsmlm.models.simulation.dye_boxes import (  # noqa: E402
    DyeBoxSampler,
    dye_psfs,
    dye_spots,
    gaussian_tables,
)
from rtsmlm.models.simulation.dye_ranges import DyeBoxRanges  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402
from rtsmlm.models.simulation.spot_tables import spot_tables  # noqa: E402
from rtsmlm.models.training.recipe import Recipe  # noqa: E402
from rtsmlm.physics.dye_information import dye_bounds  # noqa: E402
from rtsmlm.physics.psf import GaussianPsf  # noqa: E402

SIGMAS_PX = (1.25, 1.40)
AT_4000 = DyeBoxRanges(
    photons=(4000.0, 4001.0), background=(20.0, 20.1), z_nm=(0.0, 1.0), neighbour_fraction=0.0,
    slope=0.0,
)  # fmt: skip


def count(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_the_networks_of_colour_and_of_depth_have_the_parameters_of_the_paper() -> None:
    network = KimNetwork(SIZES["paper"], 2)
    assert count(network.colour) == 830_722
    assert [count(one) for one in network.depth] == [76_545, 76_545]


def test_two_colours_are_told_apart_at_4000_photons_nearly_as_often_as_these_allow() -> None:
    torch.manual_seed(0)
    network = KimNetwork(SIZES["S"], 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    draw = DyeBoxSampler(AT_4000, gaussian_tables(SIGMAS_PX), torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    depths = Depths.of(AT_4000.z_nm, 2)
    for _ in range(160):
        boxes = draw(256, generator)
        loss = loss_of(network(boxes.photons), boxes.dye, boxes.z_nm, depths)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    boxes = draw(2000, torch.Generator().manual_seed(2))
    with torch.no_grad():
        right = (network(boxes.photons)[:, :2].argmax(1) == boxes.dye).float().mean()

    bound = dye_bounds(
        [GaussianPsf(sigma) for sigma in SIGMAS_PX], 0, (0.1, -0.2, 0.0), 4000.0, 20.0,
        z_nm=AT_4000.z_nm, box_px=BOX_PX,
    )  # fmt: skip
    assert float(right) > 0.85
    assert float(right) < bound.right + 0.02, "no network sees more than the photons hold"


def test_the_bound_of_known_spots_is_what_their_likelihood_ratio_reaches(
    rng: np.random.Generator,
) -> None:
    place, photons, background = (0.1, -0.2, 0.0), 800.0, 20.0
    middle = (BOX_PX - 1) / 2.0
    means = []
    for sigma in SIGMAS_PX:
        image = np.full((BOX_PX, BOX_PX), background, dtype=np.float32)
        at = np.array([[place[0] + middle], [place[1] + middle], [0.0]])
        GaussianPsf(sigma).render(image, *at, np.array([photons]))
        means.append(image.astype(np.float64))
    seen = rng.poisson(means[0], (20000, BOX_PX, BOX_PX))
    ratio = (seen * np.log(means[0] / means[1]) - (means[0] - means[1])).sum(axis=(1, 2))

    bound = dye_bounds(
        [GaussianPsf(sigma) for sigma in SIGMAS_PX], 0, place, photons, background,
        z_nm=(0.0, 1.0), box_px=BOX_PX, read_variance=0.0,
    )  # fmt: skip
    assert np.mean(ratio > 0) == pytest.approx(bound.right_if_known, abs=0.03)
    assert 0.5 < bound.right < bound.right_if_known, "light and background have to be found, too"


def test_a_redder_dye_has_a_wider_spot_and_depth_widens_both() -> None:
    ranges = DyeBoxRanges(wavelengths=1, z_nm=(0.0, 500.0))
    tables = spot_tables(dye_psfs(ranges, OpticsSection(zernikes=())))
    dye, zero = torch.tensor([0, 1, 0, 1]), torch.zeros(4)
    spots = dye_spots(tables, dye, zero, zero, torch.tensor([0.0, 0.0, 500.0, 500.0]), BOX_PX)
    peak = spots[:, BOX_PX // 2, BOX_PX // 2]
    assert float(peak[0]) > 1.15 * float(peak[1])
    assert float(peak[1]) > 1.5 * float(peak[3])
    moved = dye_spots(tables, dye, zero - 1.0, zero + 2.0, zero, BOX_PX)
    assert torch.allclose(moved[:, 2:, :-1], spots[[0, 1, 0, 1]][:, :-2, 1:], atol=1e-6)


def test_one_temperature_makes_overconfident_probabilities_honest() -> None:
    torch.manual_seed(0)
    honest = torch.randn(4000, 3)
    truth = torch.multinomial(torch.softmax(honest, dim=1), 1)[:, 0]
    boastful = 3.0 * honest
    temperature = fit_temperature(boastful, truth)
    assert temperature == pytest.approx(3.0, rel=0.15)
    before, after = (
        calibration_error(torch.softmax(boastful / t, dim=1), truth) for t in (1.0, temperature)
    )
    assert after < 0.03 < before


def test_the_depth_of_the_true_dye_alone_is_learned() -> None:
    raw = torch.zeros(1, 6)
    depths = Depths.of((0.0, 600.0), 2)
    here, there = torch.tensor([0]), torch.tensor([450.0])
    raw[0, 2] = 0.5  # the first dye, 450 nm
    assert float(loss_of(raw, here, there, depths)["depth"]) == pytest.approx(0.0, abs=1e-6)
    raw[0, 3] = 9.0  # the second dye
    assert float(loss_of(raw, here, there, depths)["depth"]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_the_packaged_graph_answers_as_the_network(engine: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the model is written as ONNX")
    recipe = Recipe.model_validate({"name": "kim", "network": {"architecture": "kim", "size": "S"}})
    torch.manual_seed(3)
    network = ARCHITECTURE.build(recipe).eval()
    write_model(network, recipe, tmp_path)
    classes = NetworkClasses(tmp_path, engine, min_probability=0.01)
    boxes = np.random.default_rng(0).poisson(30.0, (40, BOX_PX, BOX_PX)).astype(np.float32)

    found = classes(boxes)

    with torch.no_grad():
        raw = network(torch.from_numpy(boxes)[:, None])
    probability = torch.softmax(raw[:, :2], dim=1).amax(dim=1)
    np.testing.assert_allclose(found.probability, probability, atol=2e-3)
    assert found.z_nm is not None
    assert found.std_z_nm is not None
    assert np.all((found.z_nm > -600.0) & (found.z_nm < 1200.0))
    assert np.all(found.std_z_nm > 0.0)
    assert classes.names == ("mEos3.2", "AF647")


def write_model(network: torch.nn.Module, recipe: Recipe, folder: Path) -> None:
    """Write a model folder as the export does, without a checkpoint."""
    from rtsmlm.models.half_precision import stored_as
    from rtsmlm.models.manifest import ONNX_NAME, WEIGHTS_NAME, save_manifest
    from rtsmlm.models.model_files import file_entry
    from rtsmlm.models.training.trainable import trainable_of

    manifest = trainable_of(recipe).package(network, folder, recipe, tuning_windows=0)
    files = tuple(file_entry(folder / name) for name in (ONNX_NAME, WEIGHTS_NAME))
    save_manifest(
        manifest.model_copy(update={"files": files, "weights": stored_as(folder)}), folder
    )


@pytest.mark.skipif("kim" not in model_folders(), reason="its weights are not there yet")
def test_the_packaged_weights_are_near_what_the_photons_allow() -> None:
    from rtsmlm.models.manifest import load_manifest

    manifest = load_manifest(model_folders()["kim"])
    figures = {
        row["figure"]: float(row["value"])
        for row in manifest.accuracy
        if "4000 photons" in str(row["condition"])
    }
    assert figures["right dye, %"] > figures["right dye, % that the photons allow"] - 3.0
    assert figures["right dye, %"] < figures["right dye, % that they allow with all else known"]
    assert math.isfinite(figures["z: RMSE, nm"])
