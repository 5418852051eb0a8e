"""The training simulator has the physics of the simulated microscope."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.emitters import Draw, Emitters, draw_emitters  # noqa: E402
from rtsmlm.models.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.scenes import measure, multiply, poisson, render  # noqa: E402
from rtsmlm.models.simulation import simulate  # noqa: E402
from rtsmlm.physics.camera import SensorType, make_sensor  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402
from rtsmlm.physics.sampling import new_state  # noqa: E402

RANGES = SimulationRanges()


def generator(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def test_spots_equal_those_of_the_microscope(rng: np.random.Generator) -> None:
    x, y = rng.uniform(-3, 66, 40), rng.uniform(-3, 66, 40)
    photons, sigma = rng.uniform(100, 5000, 40), rng.uniform(0.8, 2.4, 40)
    place = [torch.tensor(v, dtype=torch.float32)[None] for v in (x, y, sigma, sigma)]
    light = torch.tensor(photons, dtype=torch.float32)[None, None]

    image = render(Emitters(*place, light, torch.zeros_like(light[:, 0])), 64)[0, 0].numpy()

    expected = render_spots((64, 64), x, y, photons, sigma)
    assert np.abs(image - expected).max() < 1e-3 * expected.max()


@pytest.mark.parametrize("mean", [0.3, 5.0, 11.9, 12.1, 40.0, 900.0])
def test_counts_have_mean_variance_and_skewness_of_a_poisson_distribution(mean: float) -> None:
    draw = Draw(1, generator())

    counts = poisson(torch.full((400_000,), mean), draw).numpy().astype(np.float64)

    centred = counts - counts.mean()
    assert counts.mean() == pytest.approx(mean, rel=0.006)
    assert counts.var() == pytest.approx(mean, rel=0.015)
    assert (centred**3).mean() / counts.std() ** 3 == pytest.approx(mean**-0.5, abs=0.03)
    assert np.array_equal(counts, np.round(counts))


def test_a_gain_register_keeps_the_mean_and_doubles_the_variance() -> None:
    draw = Draw(1, generator())

    amplified = multiply(poisson(torch.full((400_000,), 30.0), draw), draw).numpy()

    assert amplified.mean() == pytest.approx(30.0, rel=0.01)
    assert amplified.var() == pytest.approx(60.0, rel=0.02)


@pytest.mark.parametrize(("emccd", "kind"), [(0.0, "sCMOS"), (1.0, "EMCCD")])
def test_measured_photons_scatter_as_those_of_the_microscope(
    emccd: float, kind: SensorType, rng: np.random.Generator
) -> None:
    exact = SimulationRanges(
        emccd_fraction=emccd,
        ideal_fraction=0.0,
        gain_error=0.0,
        offset_error_e=0.0,
        read_noise_e=(1.4, 1.4),
    )
    level = 50.0
    chip = make_sensor(kind, (128, 128), rng)
    pixels = np.empty((8, 128, 128), dtype=np.uint16)
    state = new_state(np.random.SeedSequence(0))
    for frame in pixels:
        chip.expose(np.full((128, 128), level, dtype=np.float32), frame, state)
    theirs = chip.calibration(100.0).to_photons(pixels) / (2.0 if emccd else 1.0)

    draw = Draw(8, generator())
    ours = measure(exact, draw, torch.full((8, 3, 64, 64), level))[0].numpy()

    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.01)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)


def test_the_density_is_that_of_emitters_in_the_target_frame() -> None:
    ranges = SimulationRanges(
        density=(1.0, 1.0), clustered_fraction=0.0, empty_fraction=0.0, sigma_px=(1.0, 1.4)
    )
    draw = Draw(200, generator())

    emitters = draw_emitters(ranges, draw, torch.full((200,), 1.2), crowding=1.0)

    area_um2 = (ranges.crop_px + 2 * ranges.margin_px) ** 2 * 0.01
    lit = (emitters.photons > 0).sum(dim=2).float().mean(dim=0) / area_um2
    assert lit.numpy() == pytest.approx([1.0, 1.0, 1.0], rel=0.05)


def test_long_on_times_link_neighbouring_frames_and_single_frames_do_not() -> None:
    def share_of_next(ranges: SimulationRanges) -> float:
        emitters = draw_emitters(ranges, Draw(100, generator()), torch.full((100,), 1.2), 1.0)
        on = emitters.photons > 0
        return float((on[:, 1] & on[:, 2]).sum() / on[:, 1].sum())

    steady = SimulationRanges(uncorrelated_fraction=0.0, on_time_frames=(8.0, 8.0))
    assert share_of_next(steady) > 0.85
    assert share_of_next(SimulationRanges(uncorrelated_fraction=1.0)) == 0.0


def test_what_is_asked_for_lies_in_its_window_and_can_be_seen() -> None:
    windows = simulate(RANGES, 64, generator())
    targets = windows.targets

    assert len(targets.window) > 300
    for place in (targets.x_px, targets.y_px):
        assert float(place.min()) >= -0.5
        assert float(place.max()) <= RANGES.crop_px - 0.5
    assert float(targets.photons.min()) > RANGES.min_photons
    rows, columns = targets.y_px.round().long(), targets.x_px.round().long()
    peak = windows.photons[targets.window, 1, rows, columns]
    corner = torch.nn.functional.avg_pool2d(windows.photons[:, 1:2], 64)[targets.window, 0, 0, 0]
    assert float((peak > corner).float().mean()) > 0.8


def test_windows_are_finite_and_repeat_with_their_seed() -> None:
    one, two = simulate(RANGES, 16, generator(3)), simulate(RANGES, 16, generator(3))

    assert bool(torch.isfinite(one.photons).all())
    assert torch.equal(one.photons, two.photons)
    assert not torch.equal(one.photons, simulate(RANGES, 16, generator(4)).photons)


def test_ranges_that_descend_are_refused() -> None:
    with pytest.raises(ValueError, match="ascending"):
        SimulationRanges(sigma_px=(2.0, 1.0))
    with pytest.raises(ValueError, match="above 0"):
        SimulationRanges(density=(0.0, 1.0))
