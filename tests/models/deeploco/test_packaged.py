"""The packaged model finds simulated emitters of the PSF that it is trained for."""

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.frames import FrameBatch
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest
from rtsmlm.physics.pupil import Optics, pupil_psf

SIDE_PX, FRAMES, PHOTONS, BACKGROUND, OFFSET_ADU = 64, 40, 5000.0, 20.0, 100
CAMERA = CameraCalibration(
    pixel_nm=100.0, offset_adu=float(OFFSET_ADU), e_per_adu=1.0, read_noise_e=0.0
)


def test_lone_emitters_of_5000_photons_are_found_in_three_dimensions() -> None:
    rng = np.random.default_rng(6)
    psf = pupil_psf(
        Optics(na=1.45, zernike_nm={(2, 2): 70.0}),
        pixel_nm=100.0,
        vectorial=True,
        z_range_nm=600.0,
        box_px=31,
        fine_per_px=3,
        pupil_points=48,
    )
    x, y = rng.uniform((8.0, 8.0), (55.0, 55.0), (FRAMES, 2)).T
    z_nm = rng.uniform(-500.0, 500.0, FRAMES)
    mean = np.full((FRAMES, SIDE_PX, SIDE_PX), BACKGROUND, np.float32)
    for k in range(FRAMES):
        one = slice(k, k + 1)
        psf.render(mean[k], x[one], y[one], z_nm[one], np.array([PHOTONS]))
    pixels = (rng.poisson(mean) + OFFSET_ADU).astype(np.uint16)

    localizer = localizer_of(
        find_model("deeploco"), calibration=CAMERA, sigma_nm=130.0, engine="openvino"
    )
    found = localizer(FrameBatch.from_pixels(pixels))

    frame = found.frame.astype(int)
    lateral = np.hypot(found.x_nm - 100.0 * x[frame], found.y_nm - 100.0 * y[frame])
    near = lateral < 250.0
    assert 0.85 * FRAMES <= np.count_nonzero(near) <= FRAMES
    assert np.count_nonzero(~near) <= 2
    assert np.sqrt(np.mean(lateral[near] ** 2)) < 60.0
    assert np.sqrt(np.mean((found.z_nm - z_nm[frame])[near] ** 2)) < 100.0
    assert 0.85 < np.median(found.photons) / PHOTONS < 1.15


def test_it_is_small_and_says_what_it_was_trained_for() -> None:
    folder = find_model("deeploco")
    manifest = load_manifest(folder)

    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_500_000
    assert manifest.parameters <= 600_000
    assert manifest.training.steps == manifest.training.recipe["training"]["steps"]
    assert "Boyd" in manifest.origin
    assert manifest.accuracy
