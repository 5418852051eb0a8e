"""A phase mask that is learned: light through it, its slope, and the files that it becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtsmlm.models.deepstorm3d.design_network import (  # noqa: E402
    SIZES,
    DesignNetwork,
    DesignSettings,
)
from rtsmlm.models.deepstorm3d.loss import volume_loss  # noqa: E402
from rtsmlm.models.deepstorm3d.mask_architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.deepstorm3d.mask_learning import MODES, LearnedMask  # noqa: E402
from rtsmlm.models.deepstorm3d.mask_packaging import learned_optics  # noqa: E402
from rtsmlm.models.deepstorm3d.volume import shares_of  # noqa: E402
from rtsmlm.models.simulation.mask_scenes import Scenes, SceneSampler  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402
from rtsmlm.models.simulation.psf_section import PsfSection  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402
from rtsmlm.physics.psf_file import load_psf  # noqa: E402
from rtsmlm.physics.pupil import pupil_psf  # noqa: E402

SMALL = DesignSettings(channels=8, slices=9, dilations=(1, 4), scale=1.0)
RECIPE = Recipe(
    network=NetworkSection(architecture="deepstorm3d-mask", size="S"),
    optics=OpticsSection(pixel_nm=110, na=1.45, depth_nm=1000, vectorial=False, zernikes=()),
    psf=PsfSection(z_nm=(-1000, 1000), box_px=25),
    simulation=SimulationRanges(
        crop_px=24, margin_px=4, density=(0.2, 0.4), photons=(5000, 9000), background=(10, 20)
    ),
)


def scenes_of(n: int) -> Scenes:
    sampler = SceneSampler(RECIPE, torch.device("cpu"))
    return sampler(n, torch.Generator().manual_seed(3), 1.0)


def test_the_published_size_has_its_number_of_parameters() -> None:
    network = DesignNetwork(SIZES["paper"])
    assert sum(p.numel() for p in network.parameters()) == 305_141
    assert network(torch.zeros(1, 1, 16, 24)).shape == (1, 51, 16, 24)


def test_spots_through_a_learned_mask_are_those_of_its_psf() -> None:
    torch.manual_seed(0)
    learned = LearnedMask(RECIPE, SMALL)
    with torch.no_grad():
        learned.mask.normal_(std=0.05)
    table = pupil_psf(
        learned_optics(learned, RECIPE), pixel_nm=110.0, vectorial=False, z_range_nm=1000.0,
        z_step_nm=250.0, box_px=25, fine_per_px=4, pupil_points=48,
    )  # fmt: skip

    z_nm = torch.tensor([-750.0, 0.0, 500.0])
    place = torch.full((3,), 0.2), torch.full((3,), -0.3)
    spots = learned.pupil(*place, z_nm, mask_rad=learned.mask_rad()).detach().numpy()

    for depth, spot in zip(z_nm.tolist(), spots, strict=True):
        image = np.zeros((25, 25), dtype=np.float32)
        table.render(image, *(np.array([v]) for v in (12.2, 11.7, depth, 1.0)))
        # A table has all light in its box; the layer leaves out what lies outside.
        assert np.corrcoef(spot.ravel(), image.ravel())[0, 1] > 0.99


def test_frames_of_a_scene_hold_the_light_of_its_emitters() -> None:
    torch.manual_seed(0)
    learned, scenes = LearnedMask(RECIPE, SMALL), scenes_of(2)

    light = learned.light(scenes).detach()
    frames = learned.frames(scenes).detach()

    for k in range(2):
        mine = (scenes.targets.window == k).nonzero()[:, 0]
        assert 0.3 * scenes.targets.photons[mine].sum() < light[k].sum()
        assert light[k].sum() < scenes.photons[scenes.window == k].sum()
    spread = (frames[:, 0] - light - scenes.background[:, None, None]).square().mean()
    assert float(spread / (light + scenes.background[:, None, None]).mean()) == pytest.approx(
        1.0, abs=0.15
    )


def test_a_mask_and_its_network_learn_from_the_loss_of_volumes() -> None:
    torch.manual_seed(0)
    learned, scenes = LearnedMask(RECIPE, SMALL), scenes_of(2)
    optimizer = torch.optim.Adam(learned.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        volumes = learned(scenes)
        voxels, shares = shares_of(scenes.targets, tuple(volumes.shape), 1)  # type: ignore[arg-type]
        loss = volume_loss(volumes, voxels, shares, scenes.targets.ignored)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert learned.mask.grad is not None
    assert float(learned.mask.grad.abs().min()) > 0.0
    assert float(learned.mask.detach().abs().max()) > 0.01
    assert losses[-1] < 0.9 * losses[4]


def test_scenes_hold_the_emitters_that_lie_inside_as_targets() -> None:
    scenes = scenes_of(8)

    targets = scenes.targets
    assert targets.z is not None
    assert 0 < len(targets.x_px) < len(scenes.x_px)
    assert float(targets.x_px.min()) > -0.5
    assert float(targets.x_px.max()) < 23.5
    assert float(targets.z.abs().max()) <= 1.0
    per_um2 = len(scenes.x_px) / (8 * (32 * 0.11) ** 2)
    assert 0.15 < per_um2 < 0.45


def test_what_was_learned_becomes_a_mask_and_a_psf_file(tmp_path: Path) -> None:
    learned = ARCHITECTURE.build(RECIPE)
    assert isinstance(learned, LearnedMask)
    with torch.no_grad():
        learned.mask[MODES.index((2, 2))] = 0.25

    manifest = ARCHITECTURE.package(learned.eval(), tmp_path, RECIPE, tuning_windows=0)

    assert {"mask.npy", "psf.npz", "model.onnx", "model.safetensors"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert {file.name for file in manifest.files} == {"mask.npy", "psf.npz"}
    assert manifest.z_range_nm == (-1000.0, 1000.0)
    stored = load_psf(tmp_path / "psf.npz")
    assert (stored.pixel_nm, stored.z_nm) == (110.0, (-1050.0, 1050.0))
    # One radian of astigmatism: the spot is wide along one axis above the focus, the other below.
    ratios = []
    for z_nm in (-600.0, 600.0):
        image = np.zeros((25, 25), dtype=np.float32)
        stored.table.render(image, *(np.array([v]) for v in (12.0, 12.0, z_nm, 1.0)))
        core = np.where(image > 0.3 * image.max(), image, 0.0)
        square = (np.arange(25) - 12.0) ** 2
        ratios.append((core.sum(axis=0) @ square) / (core.sum(axis=1) @ square))
    assert (ratios[0] - 1.0) * (ratios[1] - 1.0) < 0.0
    again = OpticsSection(mask=str(tmp_path / "mask.npy")).optics()
    assert np.asarray(again.mask).shape == (128, 128)
