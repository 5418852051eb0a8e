"""Simulated lists of localizations: few and all of a structure, and what does not belong there."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="samples are tensors")

from rtsmlm.models.dense_images.level import level_of  # noqa: E402
from rtsmlm.models.dense_images.scaling import FULL, blurred, given, level_in, wanted  # noqa: E402
from rtsmlm.models.dense_images.similarity import mixed_loss, ms_ssim  # noqa: E402
from rtsmlm.models.simulation.list_ranges import ListRanges  # noqa: E402
from rtsmlm.models.simulation.localization_lists import (  # noqa: E402
    ListSampler,
    draw_list,
    draw_pair,
)

SMALL = ListRanges(
    structures=("filaments",), side_px=96, labels_per_um=(50.0, 60.0), filament_draws=1
)


def test_the_first_frames_have_their_share_of_the_localizations(rng: np.random.Generator) -> None:
    ranges = SMALL.model_copy(update={"share": (0.1, 0.1), "false_share": (0.0, 0.0)})

    pairs = [draw_pair(ranges, "filaments", 1.0, rng) for _ in range(6)]

    few, whole = (sum(float(pair[k].sum()) for pair in pairs) for k in (0, 1))
    assert few / whole == pytest.approx(0.1, rel=0.2)


def test_a_label_is_seen_again_at_its_place_within_the_precision(rng: np.random.Generator) -> None:
    ranges = SMALL.model_copy(update={"light_spread": 0.0, "frames_on": (2.0, 2.0)})

    listed = draw_list(ranges, "filaments", 10.0, rng)

    _, first, times = np.unique(listed.time, return_index=True, return_counts=True)
    pairs = first[times >= 2]
    apart = listed.place_nm[pairs] - listed.place_nm[pairs + 1]
    assert len(pairs) > 100
    assert apart.std() == pytest.approx(np.sqrt(2.0) * 10.0, rel=0.1)


def test_cross_talk_comes_into_the_few_and_not_into_the_whole(rng: np.random.Generator) -> None:
    clean = SMALL.model_copy(update={"share": (0.2, 0.2), "false_share": (0.0, 0.0)})
    mixed = clean.model_copy(update={"others": ("nuclear-pores",), "crosstalk": (0.6, 0.6)})

    few, whole, _ = draw_pair(mixed, "filaments", 1.0, rng)

    alone = whole < 1e-3 * whole.max()
    assert few[alone].sum() > 0.1 * few.sum(), "where there is no filament"
    few, whole, _ = draw_pair(clean, "filaments", 1.0, rng)
    assert few[whole < 1e-6].sum() <= 0.01 * few.sum()


def test_a_widefield_image_is_given_as_often_as_asked_and_is_far_wider() -> None:
    ranges = SMALL.model_copy(update={"widefield_fraction": 0.5, "structures": ("nuclear-pores",)})
    sample = ListSampler(ranges, torch.device("cpu"))

    pairs = sample(12, torch.Generator().manual_seed(1), 1.0)

    lit = pairs.widefield.amax(dim=(1, 2, 3)) > 0
    assert 2 <= int(lit.sum()) <= 10
    light, whole = pairs.widefield[lit][0], pairs.whole[lit][0]
    assert float(light.max()) < 0.6 * float(whole.max())
    again = sample(12, torch.Generator().manual_seed(1), 1.0)
    assert torch.equal(again.few, pairs.few), "the same seed draws the same"


def test_few_and_all_have_the_same_brightness_in_units_of_their_level() -> None:
    pairs = ListSampler(SMALL, torch.device("cpu"))(3, torch.Generator().manual_seed(2), 0.0)

    sparse, dense = given(pairs), wanted(pairs)

    for image in (sparse, dense):
        weighted = image.square().sum(dim=(1, 2, 3)) / image.sum(dim=(1, 2, 3))
        np.testing.assert_allclose(weighted, 1.0, atol=0.1)
    assert float(dense.max()) <= FULL
    counts = pairs.few[0, 0].numpy()
    assert level_of(counts) == pytest.approx(float(level_in(blurred(pairs.few))[0]), rel=1e-4)


def test_similarity_is_one_for_the_same_image_and_falls_with_noise_and_shift() -> None:
    image = torch.rand(2, 1, 96, 96, generator=torch.Generator().manual_seed(3))
    image = torch.nn.functional.avg_pool2d(image, 5, stride=1, padding=2)
    noise = 0.2 * torch.randn(image.shape, generator=torch.Generator().manual_seed(4))

    same, noisy, moved = (ms_ssim(image, o) for o in (image, image + noise, image.roll(6, 3)))

    np.testing.assert_allclose(same, 1.0, atol=1e-5)
    assert (noisy < 0.9).all()
    assert (moved < 0.7).all()
    assert float(mixed_loss(image, image)["total"]) == pytest.approx(0.0, abs=1e-5)
