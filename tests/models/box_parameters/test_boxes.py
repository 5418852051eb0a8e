"""Simulated boxes: light, places, edges and noise are what the truth says."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="boxes are simulated by torch")

from rtsmlm.models.simulation.box_ranges import BoxRanges  # noqa: E402
from rtsmlm.models.simulation.boxes import Boxes, BoxSampler  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402

QUIET = BoxRanges(
    z_nm=(-100, 100),
    photons=(9999.0, 10000.0),
    background=(4.0, 4.001),
    neighbour_fraction=0.0,
    edge_fraction=0.0,
    far_fraction=0.0,
    emccd_fraction=0.0,
    slope=0.0,
    read_noise_e=(0.7, 0.701),
)
CPU = torch.device("cpu")


def draw(n: int, optics: OpticsSection | None = None, **ranges: object) -> Boxes:
    sampler = BoxSampler(QUIET.model_copy(update=ranges), optics or OpticsSection(), CPU)
    return sampler(n, torch.Generator().manual_seed(4))


def test_the_light_of_an_emitter_is_found_in_its_box() -> None:
    boxes = draw(64, box_px=41)

    light = (boxes.photons[:, 0] - 4.0).sum(dim=(1, 2))
    # Tails beyond 41 pixels hold a few percent at this aperture.
    assert 0.93 < float((light / boxes.light).mean()) < 1.01


def test_the_noise_is_shot_noise_and_the_stated_read_variance() -> None:
    boxes = draw(400, photons=(1.0, 1.001), background=(50.0, 50.001))

    measured = boxes.photons.var(dim=0).mean()
    assert float(measured) == pytest.approx(50.0 + float(boxes.read_variance.mean()), rel=0.03)


def test_the_centroid_of_a_round_spot_follows_the_stated_place() -> None:
    boxes = draw(64, OpticsSection(zernikes=(), na=1.2), z_nm=(0.0, 1e-3), box_px=25)
    side = torch.arange(25.0) - 12.0
    light = boxes.photons[:, 0] - 4.0

    x = (light * side).sum(dim=(1, 2)) / light.sum(dim=(1, 2))
    y = (light * side[:, None]).sum(dim=(1, 2)) / light.sum(dim=(1, 2))
    assert float(torch.corrcoef(torch.stack([x, boxes.x_px]))[0, 1]) > 0.97
    assert float((x - boxes.x_px).mean().abs()) < 0.05
    assert float((y - boxes.y_px).mean().abs()) < 0.05


def test_the_pixels_beyond_the_edge_of_a_frame_repeat_the_last_ones() -> None:
    boxes = draw(200, edge_fraction=1.0)
    light = boxes.photons[:, 0]

    repeated = (light[:, 0] == light[:, 1]).all(dim=1).float().mean()
    assert 0.15 < float(repeated) < 0.45, "a third of the boxes end above"
    whole = draw(50).photons[:, 0]
    assert not bool((whole[:, 0] == whole[:, 1]).all(dim=1).any())


def test_some_emitters_lie_beside_the_middle_as_at_the_second_maximum_of_a_wide_spot() -> None:
    boxes = draw(300, far_fraction=0.5)
    reach = torch.maximum(boxes.x_px.abs(), boxes.y_px.abs())
    assert float(reach.max()) > 3.0
    assert 0.3 < float((reach > 1.5).float().mean()) < 0.6


def test_once_many_spots_are_kept_boxes_still_differ() -> None:
    ranges = QUIET.model_copy(update={"photons": (1000.0, 2000.0)})
    sampler = BoxSampler(ranges, OpticsSection(), CPU)
    sampler._is_full = True  # as after many batches
    generator = torch.Generator().manual_seed(1)
    first, second = sampler(64, generator), sampler(64, generator)
    shared = first.x_px[:, None] == second.x_px
    assert bool(shared.any()), "spots are used again"
    assert not bool((first.light[:, None] == second.light).any()), "in other light"


def test_fixed_dipoles_point_to_the_objective_and_look_different() -> None:
    boxes = draw(48, fixed_dipoles=True, photons=(1e5, 1.001e5))
    assert boxes.dipole is not None
    assert bool((boxes.dipole[:, 2] >= 0.0).all())
    torch.testing.assert_close(boxes.dipole.norm(dim=1), torch.ones(48))
    flat = boxes.dipole[:, 2] < 0.3
    upright = boxes.dipole[:, 2] > 0.9
    peak = boxes.photons.amax(dim=(1, 2, 3))
    assert float(peak[flat].mean()) > 1.5 * float(peak[upright].mean()), "a doughnut is dimmer"


HELIX = OpticsSection(pixel_nm=110, na=1.45, depth_nm=800, mask="double-helix", zernikes=())


def test_a_box_around_one_lobe_of_a_double_helix_has_its_emitter_beside_the_middle() -> None:
    boxes = draw(
        60, HELIX, box_px=24, z_nm=(-600, 600), offset_px=0.1, maximum_fraction=1.0,
        photons=(1e5, 1.001e5),
    )  # fmt: skip
    light = boxes.photons[:, 0] - 4.0
    distance = torch.hypot(boxes.x_px, boxes.y_px)
    assert 3.0 < float(distance.min()) < float(distance.max()) < 6.5, "half of that between lobes"
    in_middle = light[:, 10:14, 10:14].mean(dim=(1, 2))
    at = [(boxes.y_px + 11.5).round().long() + k for k in (-1, 0, 1)]
    columns = (boxes.x_px + 11.5).round().long()
    at_emitter = torch.stack([light[range(60), row, columns] for row in at]).mean(dim=0)
    assert bool((in_middle > 2.0 * at_emitter).all()), "the emitter itself is dark"
    sides = {(bool(x > 0), bool(y > 0)) for x, y in zip(boxes.x_px, boxes.y_px, strict=True)}
    assert len(sides) == 4, "either lobe may be the one that was found"
