"""Two colours in a grey frame: the layers, the optics of each colour, and what is learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network is written in torch")

from rtsmlm.models.hershko.losses import colour_loss, target_images  # noqa: E402
from rtsmlm.models.hershko.mask_learning import LearnedColours  # noqa: E402
from rtsmlm.models.hershko.network import SIZES, HershkoNetwork, NetworkSettings  # noqa: E402
from rtsmlm.models.hershko.packaging import learned_mask  # noqa: E402
from rtsmlm.models.simulation.colour_ranges import ColourSection  # noqa: E402
from rtsmlm.models.simulation.mask_scenes import Scenes, SceneSampler  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402
from rtsmlm.models.simulation.psf_section import PsfSection  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402
from rtsmlm.physics.pupil import pupil_psf  # noqa: E402

SMALL = NetworkSettings(down=(8, 8, 12, 12, 12), up=(12, 8, 8, 8))
RECIPE = Recipe(
    name="hershko",
    network=NetworkSection(architecture="hershko", size="S"),
    optics=OpticsSection(
        pixel_nm=110, na=1.45, wavelength_nm=650, depth_nm=500, vectorial=False, zernikes=()
    ),
    colours=ColourSection(names=("mEos3.2", "AF647"), wavelengths_nm=(606.0, 688.0)),
    psf=PsfSection(z_nm=(-200, 200), box_px=21),
    simulation=SimulationRanges(
        crop_px=24, margin_px=4, density=(0.2, 0.4), photons=(3000, 9000), background=(10, 20)
    ),
)


def scenes_of(n: int) -> Scenes:
    sampler = SceneSampler(RECIPE, torch.device("cpu"), colours=2)
    return sampler(n, torch.Generator().manual_seed(3), 1.0)


def test_the_published_kind_of_network_has_its_number_of_parameters() -> None:
    network = HershkoNetwork(SIZES["paper"])

    assert sum(p.numel() for p in network.parameters()) == 652_610
    assert network(torch.zeros(1, 1, 16, 24), torch.ones(1)).shape == (1, 2, 64, 96)


def test_the_phase_of_a_mask_is_larger_for_the_shorter_wavelength() -> None:
    torch.manual_seed(0)
    learned = LearnedColours(RECIPE, SMALL)

    short, long = (learned.mask_rad(colour).detach() for colour in (0, 1))

    torch.testing.assert_close(short * 606.0, long * 688.0, rtol=1e-4, atol=1e-3)
    assert float(short.abs().max()) > 0.1


def test_spots_of_each_colour_are_those_of_the_mask_that_is_written() -> None:
    torch.manual_seed(0)
    learned = LearnedColours(RECIPE, SMALL)
    mask = learned_mask(learned).astype(np.float64)
    zero = torch.zeros(1)
    for colour, wavelength_nm in enumerate(RECIPE.colours.wavelengths_nm):
        optics = replace(
            RECIPE.optics.optics(), wavelength_nm=wavelength_nm, mask=mask * 650.0 / wavelength_nm
        )
        table = pupil_psf(
            optics, pixel_nm=110.0, vectorial=False, z_range_nm=50.0, box_px=21, fine_per_px=4
        )
        image = np.zeros((21, 21), dtype=np.float32)
        table.render(image, *(np.array([v]) for v in (10.0, 10.0, 0.0, 1.0)))
        spot = learned.pupil(colour)(zero, zero, zero, mask_rad=learned.mask_rad(colour))
        assert np.corrcoef(spot[0].detach().numpy().ravel(), image.ravel())[0, 1] > 0.99


def test_targets_hold_each_emitter_once_in_its_colour() -> None:
    scenes = scenes_of(3)

    target = target_images(scenes, torch.Size((3, 2, 96, 96)))

    deep = [(c > 0.5) & (c < 22.5) for c in (scenes.x_px, scenes.y_px)]
    inside = deep[0] & deep[1]
    for colour in (0, 1):
        n = int((inside & (scenes.colour == colour)).sum())
        near_edge = int((~inside & (scenes.colour == colour)).sum())
        assert n <= float(target[:, colour].sum()) + 1e-3 <= n + near_edge
    k = int(inside.nonzero()[0])
    column, row = (round(4 * float(p[k]) + 1.5) for p in (scenes.x_px, scenes.y_px))
    patch = target[scenes.window[k], scenes.colour[k], row - 2 : row + 3, column - 2 : column + 3]
    assert float(patch.sum()) > 0.99


def test_light_that_two_colours_claim_costs_extra() -> None:
    scenes = scenes_of(2)
    target = target_images(scenes, torch.Size((2, 2, 96, 96)))
    both = torch.stack([target.amax(dim=1)] * 2, dim=1)

    right, twice = (colour_loss(images, scenes, 1.0) for images in (target, both))

    assert float(right["blurred"]) < 1e-6
    assert float(right["overlap"]) < 0.02
    assert float(twice["crosstalk"]) > float(right["crosstalk"]) + 0.3
    assert float(twice["total"]) > float(right["total"]) + 0.5


def test_a_mask_and_its_network_learn_from_the_loss_of_colours() -> None:
    torch.manual_seed(0)
    learned = LearnedColours(RECIPE, NetworkSettings(down=(16,) * 5, up=(16,) * 4))
    scenes = scenes_of(4)
    first = learned.mask.detach().clone()
    optimizer = torch.optim.Adam(learned.parameters(), lr=2e-3)
    losses = []
    # Images stay empty for the first thirty steps.
    for _ in range(64):
        loss = colour_loss(learned(scenes), scenes, 0.5)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert learned.mask.grad is not None
    assert float(learned.mask.grad.abs().min()) > 0.0
    assert float((learned.mask.detach() - first).abs().max()) > 0.01
    assert losses[-1] < 0.7 * losses[0]
