"""The training simulator has the physics of the simulated microscope."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.psf_condition import astigmatic_psf  # noqa: E402
from rtsmlm.models.simulation.curves import draw_curves  # noqa: E402
from rtsmlm.models.simulation.draw import Draw  # noqa: E402
from rtsmlm.models.simulation.emitters import Emitters, draw_emitters  # noqa: E402
from rtsmlm.models.simulation.ranges import AstigmatismRanges, SimulationRanges  # noqa: E402
from rtsmlm.models.simulation.scenes import measure, multiply, poisson, render, render_wandering  # noqa: E402
from rtsmlm.models.simulation.training_windows import simulate  # noqa: E402
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves  # noqa: E402
from rtsmlm.physics.camera import SensorType, make_sensor  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402
from rtsmlm.physics.psf import AstigmaticPsf  # noqa: E402
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


def test_astigmatic_spots_equal_those_of_the_microscope(rng: np.random.Generator) -> None:
    psf = AstigmaticPsf(pixel_nm=100.0, sigma0_nm=130.0, c_nm=200.0, d_nm=400.0, a=0.05, b=0.1)
    ranges = AstigmatismRanges()
    curves = draw_curves(SimulationRanges(), ranges, Draw(1, generator()))
    ours = type(curves)(
        sigma0_px=torch.full((1, 2), 1.3),
        focus=torch.tensor([[0.5, -0.5]]),
        depth=torch.ones(1, 2),
        cubic=torch.full((1, 2), 0.05),
        quartic=torch.full((1, 2), 0.1),
        half_range=torch.full((1, 1), 1.5),
    )
    x, y, z_nm = rng.uniform(5, 58, 30), rng.uniform(5, 58, 30), rng.uniform(-600, 600, 30)
    place = [torch.tensor(v, dtype=torch.float32)[None] for v in (x, y)]
    height = torch.tensor(z_nm / 600.0, dtype=torch.float32)[None]
    light = torch.full((1, 3, 30), 2000.0)

    image = render(Emitters(*place, *ours.widths(height), light, height), 64)[0, 1].numpy()

    expected = np.zeros((64, 64), dtype=np.float32)
    psf.render(expected, x, y, z_nm, np.full(30, 2000.0))
    assert np.abs(image - expected).max() < 2e-3 * expected.max()
    told = WidthCurve(sigma0_nm=130.0, focus_nm=200.0, depth_nm=400.0, cubic=0.05, quartic=0.1)
    other = WidthCurve(sigma0_nm=130.0, focus_nm=-200.0, depth_nm=400.0, cubic=0.05, quartic=0.1)
    calibrated = WidthCurves(x=told, y=other, z_min_nm=-600.0, z_max_nm=600.0)
    assert np.allclose(
        ours.condition().numpy(), astigmatic_psf(calibrated, 100.0).condition, atol=1e-5
    ), "the network is told the same of a calibration as of its training PSF"


def test_astigmatic_windows_ask_for_heights_within_the_range() -> None:
    windows = simulate(SimulationRanges(astigmatism=AstigmatismRanges()), 64, generator())

    assert windows.targets.z is not None
    assert windows.condition.shape == (64, 11)
    assert float(windows.targets.z.abs().max()) < 1.11
    assert float(windows.targets.z.std()) > 0.4


def test_diffusing_emitters_are_in_the_target_frame_where_they_are_said_to_be() -> None:
    ranges = SimulationRanges(moving_fraction=1.0, diffusion_px2=(0.5, 0.5))
    emitters = Emitters(
        x_px=torch.full((200, 1), 30.0),
        y_px=torch.full((200, 1), 33.0),
        sigma_x_px=torch.full((200, 1), 1.3),
        sigma_y_px=torch.full((200, 1), 1.3),
        photons=torch.full((200, 3, 1), 1000.0),
        depth=torch.zeros(200, 1),
    )

    chosen, image = render_wandering(
        ranges, Draw(200, generator()), emitters, 64, lambda some: render(some, 64)
    )

    columns = (image.sum(dim=2) * torch.arange(64.0)).sum(dim=2) / image.sum(dim=(2, 3))
    assert len(chosen) == 200
    assert float((columns[:, 1] - 30.0).abs().max()) < 1e-3
    # Steps of diffusion: variance 2 D per axis and frame.
    assert float(columns[:, 0].std()) == pytest.approx(1.0, rel=0.2)
    assert float(columns[:, 2].std()) == pytest.approx(1.0, rel=0.2)
