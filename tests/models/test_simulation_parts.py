"""Draws, emitters and scenes of the training simulator: ranges kept, light conserved, seeded."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

torch = pytest.importorskip("torch")

from rtsmlm.calibration import MASKED_VARIANCE  # noqa: E402
from rtsmlm.models.simulation.curves import BEYOND, draw_curves, draw_heights  # noqa: E402
from rtsmlm.models.simulation.draw import Draw  # noqa: E402
from rtsmlm.models.simulation.emitters import draw_emitters, draw_sigma  # noqa: E402
from rtsmlm.models.simulation.ranges import AstigmatismRanges, SimulationRanges  # noqa: E402
from rtsmlm.models.simulation.scenes import (  # noqa: E402
    draw_background,
    mask_pixels,
    measure,
    pixel_integrals,
    render,
    render_with_halo,
)

RANGES = SimulationRanges()


def draw(n: int, seed: int = 0) -> Draw:
    return Draw(n, torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(ends=st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), seed=st.integers(0, 99))
def test_numbers_stay_within_their_range_and_have_its_middle(
    ends: tuple[float, float], seed: int
) -> None:
    span = min(ends), max(ends)

    even, logs = draw(4000, seed).uniform(span, 2), draw(4000, seed).log_uniform(span, 2)

    for numbers in (even, logs):
        assert numbers.shape == (4000, 2)
        assert numbers.min() >= span[0] * (1 - 1e-5)
        assert numbers.max() <= span[1] * (1 + 1e-5)
    assert float(even.mean()) == pytest.approx(sum(span) / 2, rel=0.05)
    assert float(logs.log().mean()) == pytest.approx(math.log(span[0] * span[1]) / 2, abs=0.15)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_a_chance_comes_as_often_as_its_probability(probability: float) -> None:
    assert float(draw(20_000).chance(probability).float().mean()) == pytest.approx(
        probability, abs=0.01
    )


def test_one_generator_gives_the_same_numbers_again_and_others_after_that() -> None:
    first, again = draw(10, seed=3), draw(10, seed=3)

    one = first.normal(4)

    assert torch.equal(one, again.normal(4))
    assert not torch.equal(one, first.normal(4))


@pytest.mark.parametrize("name", ["density", "photons", "background", "on_time_frames"])
def test_a_range_drawn_in_logarithms_is_above_zero(name: str) -> None:
    with pytest.raises(ValidationError, match="above 0"):
        SimulationRanges(**{name: (0.0, 1.0)})
    SimulationRanges(**{name: (0.5, 0.5)})


def test_a_key_that_is_no_range_is_refused() -> None:
    with pytest.raises(ValidationError, match="densty"):
        SimulationRanges(densty=(0.1, 1.0))  # type: ignore[call-arg]


def test_half_of_the_widths_are_those_of_most_microscopes() -> None:
    sigma = draw_sigma(RANGES, draw(20_000))

    low, high = RANGES.sigma_px
    assert low <= float(sigma.min()) <= float(sigma.max()) <= high
    inside = (sigma > RANGES.usual_sigma_px[0]) & (sigma < RANGES.usual_sigma_px[1])
    share = (RANGES.usual_sigma_px[1] - RANGES.usual_sigma_px[0]) / (high - low)
    expected = RANGES.usual_fraction + (1 - RANGES.usual_fraction) * share
    assert float(inside.float().mean()) == pytest.approx(expected, abs=0.02)


def test_emitters_lie_within_the_margin_and_shine_within_their_range() -> None:
    n = 200
    emitters = draw_emitters(RANGES, draw(n), torch.full((n,), 1.3))

    low, high = -0.5 - RANGES.margin_px, RANGES.crop_px - 0.5 + RANGES.margin_px
    for place in (emitters.x_px, emitters.y_px):
        assert low <= float(place.min()) <= float(place.max()) <= high
    assert emitters.photons.shape == (n, RANGES.window_frames, emitters.x_px.shape[1])
    assert float(emitters.photons.min()) >= 0.0
    assert float(emitters.photons.max()) <= 1.5 * RANGES.photons[1]
    assert float(emitters.sigma_x_px.min()) > 0


def test_about_a_tenth_of_the_windows_are_empty_and_their_padding_is_dark() -> None:
    n = 2000
    few = SimulationRanges(density=(0.5, 1.0), sparse_fraction=0.0)
    emitters = draw_emitters(few, draw(n), torch.full((n,), 1.3))

    lit = (emitters.photons > 0).any(dim=1).sum(dim=1)

    assert float((lit == 0).float().mean()) == pytest.approx(few.empty_fraction, abs=0.03)


def test_a_denser_range_has_more_emitters_and_less_crowding_fewer() -> None:
    sigma = torch.full((300,), 1.0)
    same = {"clustered_fraction": 0.0, "sparse_fraction": 0.0, "empty_fraction": 0.0}

    def lit(ranges: SimulationRanges, crowding: float) -> float:
        emitters = draw_emitters(ranges, draw(300), sigma, crowding)
        return float((emitters.photons.sum(dim=1) > 0).sum())

    dense = SimulationRanges(density=(2.0, 6.0), **same)
    assert lit(dense, 1.0) > 2 * lit(SimulationRanges(density=(0.5, 1.5), **same), 1.0)
    assert lit(dense, 0.1) < 0.75 * lit(dense, 1.0)


def test_an_emitter_of_one_frame_is_dark_in_the_others() -> None:
    lonely = SimulationRanges(uncorrelated_fraction=1.0)
    emitters = draw_emitters(lonely, draw(50), torch.full((50,), 1.3))

    frames_lit = (emitters.photons > 0).sum(dim=1)

    assert int(frames_lit.max()) == 1


def test_emitters_seen_in_one_frame_keep_their_light_there_and_move_as_told() -> None:
    emitters = draw_emitters(RANGES, draw(5), torch.full((5,), 1.3))
    k = emitters.x_px.shape[1]
    shift = torch.ones(5, 2, k) * torch.tensor([2.0, -3.0])[None, :, None]

    seen = emitters.seen_at(1, shift)

    assert torch.equal(seen.photons[:, 1], emitters.photons[:, 1])
    assert not seen.photons[:, [0, 2]].any()
    torch.testing.assert_close(seen.x_px, emitters.x_px + 2)
    torch.testing.assert_close(seen.y_px, emitters.y_px - 3)


@settings(deadline=None)
@given(center=st.floats(10, 20), sigma=st.floats(0.7, 2.5))
def test_a_spot_inside_the_window_has_all_of_its_light_there(center: float, sigma: float) -> None:
    shares = pixel_integrals(torch.tensor([center]), torch.tensor([sigma]), 31)[0]

    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-3)
    assert float((shares * torch.arange(31)).sum()) == pytest.approx(center, abs=0.02)


def test_drawing_windows_in_groups_is_drawing_each_alone() -> None:
    emitters = draw_emitters(RANGES, draw(9), torch.full((9,), 1.3))

    together = render(emitters, 32)

    for k in range(9):
        torch.testing.assert_close(
            render(emitters.take(torch.tensor([k])), 32)[0], together[k], rtol=1e-4, atol=1e-3
        )


def test_a_halo_moves_light_outwards_and_loses_none() -> None:
    n = 8
    always = SimulationRanges(
        halo_fraction=1.0, crop_px=64, density=(0.1, 0.2), clustered_fraction=0.0, deep_fraction=0.0
    )
    emitters = draw_emitters(always, draw(n), torch.full((n,), 1.0))
    middle = torch.full_like(emitters.x_px, 32.0)
    emitters = replace(emitters, x_px=middle, y_px=middle)

    plain, haloed = render(emitters, 64), render_with_halo(always, draw(n, 5), emitters, 64)

    torch.testing.assert_close(haloed.sum(dim=(2, 3)), plain.sum(dim=(2, 3)), rtol=1e-3, atol=0.1)
    lit = plain.amax(dim=(2, 3)) > 0
    assert (haloed.amax(dim=(2, 3))[lit] < plain.amax(dim=(2, 3))[lit]).all()


def test_a_background_is_positive_and_its_level_within_the_range() -> None:
    even = SimulationRanges(background=(50.0, 50.0), haze_fraction=0.0)

    background = draw_background(even, draw(100), 32)

    assert background.shape == (100, 1, 32, 32)
    assert float(background.min()) > 0
    assert float(background.mean(dim=(1, 2, 3)).median()) == pytest.approx(50.0, rel=0.1)


def test_an_ideal_camera_measures_photons_and_states_no_noise() -> None:
    ideal = SimulationRanges(emccd_fraction=0.0, ideal_fraction=1.0, hot_fraction=0.0)
    mean = torch.full((20, 3, 32, 32), 40.0)

    photons, variance, factor, shift = measure(ideal, draw(20), mean)

    assert not variance.any()
    torch.testing.assert_close(factor, torch.ones(20, 1))
    torch.testing.assert_close(shift, torch.zeros(20, 1))
    assert float(photons.mean()) == pytest.approx(40.0, rel=0.01)
    assert float(photons.var()) == pytest.approx(40.0, rel=0.1)


def test_factor_and_shift_lead_from_true_to_measured_photons() -> None:
    wrong = SimulationRanges(
        emccd_fraction=0.5, gain_error=0.1, offset_error_e=2.5, hot_fraction=0.0
    )
    mean = torch.full((60, 3, 48, 48), 100.0)

    photons, _, factor, shift = measure(wrong, draw(60), mean)

    seen = photons.mean(dim=(1, 2, 3))
    torch.testing.assert_close(seen, (factor * 100 + shift)[:, 0], rtol=0.02, atol=0.3)
    assert float(factor.min()) < 0.6 < 0.9 < float(factor.max()), "light of an EMCCD is halved"


def test_hot_pixels_shine_in_all_frames_alike() -> None:
    hot = SimulationRanges(
        emccd_fraction=0.0, ideal_fraction=1.0, hot_fraction=1.0, wrong_pixels=(1e-2, 1e-2)
    )
    photons = measure(hot, draw(40), torch.full((40, 3, 48, 48), 20.0))[0]

    bright = photons > 60.0
    in_all = bright.all(dim=1)
    # Of one in a hundred, drawn from 10 to 2000 photons, two thirds are so bright.
    assert float(in_all.float().mean()) == pytest.approx(0.0067, rel=0.25)
    assert float((bright.any(dim=1) & ~in_all).float().mean()) < 1e-3


def test_neighbours_stand_for_a_masked_pixel_and_its_variance_tells_it() -> None:
    ranges = SimulationRanges(masked_fraction=1.0, wrong_pixels=(1e-2, 1e-2))
    photons, variance = torch.full((40, 3, 32, 32), 50.0), torch.ones(40, 1, 32, 32)
    photons += torch.randn(photons.shape, generator=torch.Generator().manual_seed(2))

    shown, stated = mask_pixels(ranges, draw(40), photons, variance)

    masked = stated == MASKED_VARIANCE
    assert float(masked.float().mean()) == pytest.approx(0.01, rel=0.2)
    everywhere = masked.expand_as(photons)
    torch.testing.assert_close(shown[~everywhere], photons[~everywhere])
    # The mean of eight scatters by the root of an eighth.
    assert float(shown[everywhere].std()) == pytest.approx(8**-0.5, rel=0.15)


@pytest.mark.parametrize("name", ["paired_fraction", "corner_fraction"])
def test_pairs_and_corners_stay_within_the_margin(name: str) -> None:
    ranges = SimulationRanges(density=(2.0, 2.0), empty_fraction=0.0, **{name: 1.0})
    drawn = draw(20)
    emitters = draw_emitters(ranges, drawn, draw_sigma(ranges, drawn))

    low, high = -0.5 - ranges.margin_px, ranges.crop_px - 0.5 + ranges.margin_px
    for place in (emitters.x_px, emitters.y_px):
        assert low <= float(place.min()) <= float(place.max()) <= high
    if name == "paired_fraction":
        apart = torch.hypot(emitters.x_px.diff(dim=1), emitters.y_px.diff(dim=1))[:, ::2]
        assert float((apart < 4.0 * 2.4).float().mean()) > 0.9
    else:
        from_corner = (emitters.x_px - emitters.x_px.floor() - 0.5).abs()
        assert float((from_corner < 0.25).float().mean()) > 0.7


def test_light_of_an_emccd_is_halved_so_that_its_variance_is_its_mean() -> None:
    multiplied = SimulationRanges(
        emccd_fraction=1.0, ideal_fraction=0.0, gain_error=0.0, offset_error_e=0.0
    )
    mean = torch.full((30, 3, 48, 48), 200.0)

    photons = measure(multiplied, draw(30), mean)[0]

    assert float(photons.mean()) == pytest.approx(100.0, rel=0.02)
    assert float(photons.var(dim=(1, 2, 3)).median()) == pytest.approx(100.0, rel=0.1)


ASTIGMATISM = AstigmatismRanges()


def test_the_foci_of_an_astigmatic_psf_are_apart_by_their_separation_either_way() -> None:
    curves = draw_curves(RANGES, ASTIGMATISM, draw(500))

    half = (curves.focus[:, 0] - curves.focus[:, 1]) / 2
    low, high = ASTIGMATISM.separation
    assert low - 1e-5 <= float(half.abs().min()) <= float(half.abs().max()) <= high + 1e-5
    assert 0.4 < float((half > 0).float().mean()) < 0.6
    middle = curves.focus.mean(dim=1)
    assert float(middle.abs().max()) <= ASTIGMATISM.off_center + 1e-5


def test_widths_are_positive_finite_and_told_to_the_network_as_logarithms() -> None:
    curves = draw_curves(RANGES, ASTIGMATISM, draw(200))
    heights = draw_heights(
        draw(200, 1),
        30,
        thin_fraction=ASTIGMATISM.thin_fraction,
        thickness=ASTIGMATISM.thickness,
    )

    assert float(heights.abs().max()) <= BEYOND + 1e-5
    for width in curves.widths(heights):
        assert width.shape == (200, 30)
        assert float(width.min()) > 0.3
        assert torch.isfinite(width).all()
    condition = curves.condition()
    assert torch.isfinite(condition).all()
    assert (condition[:, -1] == 1).all()
