import numpy as np

from rtsmlm.physics.psf import TablePsf, table_from_planes
from rtsmlm.physics.spot_light import fit_light


def two_lobes() -> TablePsf:
    """Return a PSF of two spots that part with depth."""
    at = (np.arange(80) - 39.5) / 4
    planes = [
        np.exp(-((at[:, None] ** 2) + (at - d) ** 2) / 2.4)
        + np.exp(-((at[:, None] ** 2) + (at + d) ** 2) / 2.4)
        for d in np.linspace(0.0, 5.0, 11)
    ]
    return table_from_planes(np.stack(planes), fine_per_px=4, z_first_nm=0, z_step_nm=100)


def scene(
    photons: list[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = np.array([20.3, 24.1, 45.0]), np.array([22.8, 24.4, 2.0]), np.array([150.0, 620, 900])
    frame = np.full((50, 60), 15.0, dtype=np.float32)
    two_lobes().render(frame, x, y, z, np.array(photons))
    return rng.poisson(frame).astype(np.float32), x, y, z


def test_light_of_overlapping_spots_is_shared_within_the_noise(rng: np.random.Generator) -> None:
    photons = [2000.0, 900.0, 1500.0]
    errors = []
    for _ in range(40):
        frame, x, y, z = scene(photons, rng)
        light = fit_light(frame, x, y, z, two_lobes())
        errors.append((light.photons - photons) / light.std_photons)

    assert np.all(np.abs(np.mean(errors, axis=0)) < 0.8)
    assert np.all(np.std(errors, axis=0) < 1.6)


def test_an_emitter_that_is_not_there_gets_hardly_any_light(rng: np.random.Generator) -> None:
    frame, x, y, z = scene([2000.0, 0.0, 1500.0], rng)

    light = fit_light(frame, x, y, z, two_lobes())

    assert 0.0 <= light.photons[1] < 4.0 * light.std_photons[1]


def test_light_background_and_residual_sum_to_the_frame(rng: np.random.Generator) -> None:
    frame, x, y, z = scene([2000.0, 900.0, 1500.0], rng)

    light = fit_light(frame, x, y, z, two_lobes())

    again = np.zeros(frame.shape, dtype=np.float32)
    two_lobes().render(again, x, y, z, light.photons)
    np.testing.assert_allclose(again + light.background_image + light.residual, frame, atol=0.05)


def test_no_emitters_leave_a_level_background(rng: np.random.Generator) -> None:
    frame = rng.poisson(30.0, (40, 40)).astype(np.float32)
    nothing = np.empty(0)

    light = fit_light(frame, nothing, nothing, nothing, two_lobes())

    assert len(light.photons) == 0
    assert abs(light.residual.mean()) < 1e-9
