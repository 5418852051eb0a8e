"""Re-rendering as a measure: it is high for what is right, and falls for what is wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from scipy.io import loadmat

from rtsmlm.analysis.pursuit import pursue
from rtsmlm.analysis.rerender import depths_exchanged, places_exchanged, rerender
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.phase_masks import bfp_radius_um, mask_from_pixels
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.pupil import Optics, pupil_psf

PIXEL_NM = 110.0


def tetrapod_psf() -> TablePsf:
    optics = Optics(na=1.45, depth_nm=2000, mask="tetrapod")
    return pupil_psf(
        optics, pixel_nm=PIXEL_NM, vectorial=False, z_range_nm=2000, z_step_nm=200, box_px=41,
        fine_per_px=2, pupil_points=48,
    )  # fmt: skip


def crowded(psf: TablePsf, rng: np.random.Generator) -> tuple[F32, Localizations]:
    """Return frames of eight emitters each, and these."""
    n, side, k = 2, 72, 8
    frame = np.repeat(np.arange(n), k)
    x, y = rng.uniform(10, side - 10, (2, n * k))
    z = rng.uniform(-1800, 1800, n * k)
    frames = np.full((n, side, side), 20.0, dtype=np.float32)
    for image, i in zip(frames, range(n), strict=True):
        here = frame == i
        psf.render(image, x[here], y[here], z[here], np.full(k, 10_000.0))
    columns = {"frame": frame, "x_nm": x * PIXEL_NM, "y_nm": y * PIXEL_NM, "z_nm": z}
    return rng.poisson(frames).astype(np.float32), Localizations.from_columns(columns)


def test_the_truth_explains_all_and_wrong_depths_or_places_much_less(
    rng: np.random.Generator,
) -> None:
    psf = tetrapod_psf()
    frames, truth = crowded(psf, rng)

    def explained(locs: Localizations) -> float:
        return rerender(
            frames, locs, psf, pixel_nm=PIXEL_NM, noise_variance=frames.mean()
        ).explained

    assert explained(truth) > 0.95
    assert explained(depths_exchanged(truth, rng)) < 0.6
    assert explained(places_exchanged(truth, rng)) < 0.6
    assert explained(truth.take(truth.frame < 0)) == 0.0


def test_matching_pursuit_finds_most_emitters_of_a_tetrapod(rng: np.random.Generator) -> None:
    psf = tetrapod_psf()
    frames, truth = crowded(psf, rng)

    found = pursue(frames, psf, (-2000.0, 2000.0), pixel_nm=PIXEL_NM)

    near = 0
    for k in range(len(truth)):
        same = found.take(found.frame == truth.frame[k])
        apart = np.hypot(same.x_nm - truth.x_nm[k], same.y_nm - truth.y_nm[k])
        near += bool(np.any((apart < 150) & (np.abs(same.z_nm - truth.z_nm[k]) < 300)))
    assert near >= 0.8 * len(truth)


def test_real_storm_frames_are_explained_by_what_is_found_and_not_by_other_depths(
    data_dir: Callable[[str], Path], rng: np.random.Generator
) -> None:
    folder = data_dir("tetrapod_storm")
    frames = tifffile.imread(folder / "frames.tif", key=[0, 12])[:, 60:200, 30:200]
    psf = _psf_of_the_plate(folder / "masks" / "mask_tetrapod_printed.mat")

    found = pursue(frames.astype(np.float32), psf, (-1200.0, 2800.0), pixel_nm=PIXEL_NM)

    def explained(locs: Localizations) -> float:
        return rerender(frames.astype(np.float32), locs, psf, pixel_nm=PIXEL_NM).explained

    assert len(found) > 40
    right = explained(found)
    assert right > 0.7
    assert explained(depths_exchanged(found, rng)) < 0.7 * right
    assert explained(places_exchanged(found, rng)) < 0.5 * right


def _psf_of_the_plate(path: Path) -> TablePsf:
    """Return the PSF of a phase plate in a relay of f = 100 mm, 30 um per point of its file."""
    radius_um = bfp_radius_um(na=1.45, magnification=100.0, tube_lens_mm=100.0)
    plate = loadmat(path)["mask_tetra_reut"]
    mask = mask_from_pixels(plate, pixel_um=30.0, radius_um=radius_um)
    # The file is for images that are turned by 180 degrees.
    optics = Optics(na=1.45, depth_nm=1200, mask=np.ascontiguousarray(mask[::-1, ::-1]))
    return pupil_psf(
        optics, pixel_nm=PIXEL_NM, vectorial=False, z_range_nm=2800, z_step_nm=100, box_px=51,
        fine_per_px=2,
    )  # fmt: skip
