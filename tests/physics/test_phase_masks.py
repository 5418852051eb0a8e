"""Phase masks: what their spots look like through the depth, and masks from files and plates."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.io import loadmat

from rtsmlm.errors import FileFormatError
from rtsmlm.physics.phase_masks import (
    MASKS,
    MaskName,
    bfp_radius_um,
    load_mask,
    mask_from_pixels,
    mask_rad,
    named_mask,
)
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.pupil import Optics, pupil_fields, pupil_psf

PIXEL_NM = 110.0
BOX_PX = 41


@cache
def psf_of(mask: MaskName, reach_nm: float, step_nm: float) -> TablePsf:
    return pupil_psf(
        Optics(na=1.45, depth_nm=reach_nm, mask=mask), pixel_nm=PIXEL_NM, vectorial=False,
        z_range_nm=reach_nm, z_step_nm=step_nm, box_px=BOX_PX, fine_per_px=3, pupil_points=48,
    )  # fmt: skip


def spot(psf: TablePsf, z_nm: float) -> np.ndarray:
    image = np.zeros((BOX_PX, BOX_PX), dtype=np.float32)
    psf.render(image, *(np.array([v]) for v in (BOX_PX // 2, BOX_PX // 2, z_nm, 1.0)))
    return image.astype(np.float64)


def axis_deg(image: np.ndarray) -> tuple[float, float]:
    """Direction from 0 to 180 degrees in which the brightest light lies, and how elongated."""
    light = np.where(image > 0.3 * image.max(), image, 0.0)
    light /= light.sum()
    rows, columns = np.indices(image.shape) - len(image) // 2
    xx, yy, xy = ((light * a).sum() for a in (columns**2, rows**2, columns * rows))
    spread = math.hypot(xx - yy, 2 * xy)
    return math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) % 180.0, spread / (xx + yy)


def test_the_lobes_of_a_tetrapod_turn_by_90_degrees_through_the_focus() -> None:
    psf = psf_of("tetrapod", 2000.0, 500.0)

    for z_nm, expected in ((-2000.0, 0.0), (-1500.0, 0.0), (1500.0, 90.0), (2000.0, 90.0)):
        angle, elongated = axis_deg(spot(psf, z_nm))
        assert abs((angle - expected + 90.0) % 180.0 - 90.0) < 5.0
        assert elongated > 0.8
    # Two lobes: dim between them, and further apart the farther from the focus.
    profile = spot(psf, 2000.0).sum(axis=1)
    middle = BOX_PX // 2
    assert profile[middle] < 0.3 * min(profile[:middle].max(), profile[middle:].max())
    apart = [np.ptp(np.flatnonzero(p > 0.5 * p.max())) for p in (
        spot(psf, 1000.0).sum(axis=1), profile,
    )]  # fmt: skip
    assert apart[1] > apart[0]


def test_the_lobes_of_a_double_helix_turn_steadily_by_half_a_turn() -> None:
    psf = psf_of("double-helix", 1000.0, 100.0)
    depths = np.arange(-750.0, 751.0, 125.0)

    found = [axis_deg(spot(psf, z)) for z in depths]

    steps = np.diff(np.unwrap([angle for angle, _ in found], period=180.0))
    assert np.all(steps > 3.0) or np.all(steps < -3.0)
    assert 110.0 < abs(steps.sum()) < 200.0
    assert min(elongated for _, elongated in found) > 0.5


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_moves_light_and_takes_none(name: MaskName) -> None:
    bare, masked = (
        pupil_fields(Optics(mask=mask), points=32, vectorial=True).fields for mask in (None, name)
    )

    np.testing.assert_allclose(np.abs(masked), np.abs(bare), atol=1e-12)
    assert np.abs(masked - bare).max() > 0.5


def test_96_points_in_the_pupil_are_enough_for_4_microns() -> None:
    images = []
    for points in (96, 160):
        psf = pupil_psf(
            Optics(na=1.45, depth_nm=2000.0, mask="tetrapod"), pixel_nm=PIXEL_NM, vectorial=False,
            z_range_nm=2000.0, z_step_nm=4000.0, box_px=BOX_PX, fine_per_px=3, pupil_points=points,
        )  # fmt: skip
        images.append(np.stack([spot(psf, z) for z in (-2000.0, 2000.0)]))

    # Light that wraps around would lie elsewhere with other points.
    assert np.abs(images[1] - images[0]).max() < 0.06 * images[1].max()


def test_an_array_is_the_mask_that_it_samples() -> None:
    axis = (np.arange(128) - 63.5) / 64
    u, v = np.meshgrid(axis, axis)
    sampled = MASKS["tetrapod"](np.hypot(u, v), np.arctan2(v, u))
    rho, phi = np.array([0.2, 0.5, 0.9]), np.array([0.1, 2.0, -1.4])

    turned = mask_rad(np.angle(np.exp(1j * sampled)), rho, phi) - MASKS["tetrapod"](rho, phi)

    assert np.abs(np.angle(np.exp(1j * turned))).max() < 0.05


def test_a_plate_is_cut_to_the_pupil_that_it_covers() -> None:
    # 100x, NA 1.45, a lens of 100 mm: 2.9 mm across, half of a plate of 200 pixels of 29 um.
    radius_um = bfp_radius_um(na=1.45, magnification=100.0, tube_lens_mm=100.0)
    assert radius_um == pytest.approx(1450.0, rel=1e-3)
    axis = (np.arange(200) - 99.5) * 29.0 / radius_um
    u, v = np.meshgrid(axis, axis)

    mask = mask_from_pixels(3.0 * u + v**2, pixel_um=29.0, radius_um=radius_um)

    assert mask.shape == (102, 102)
    rho, phi = np.array([0.3, 0.6]), np.array([0.4, -2.0])
    expected = 3.0 * rho * np.cos(phi) + (rho * np.sin(phi)) ** 2
    turned = mask_rad(mask, rho, phi) - expected
    assert np.abs(np.angle(np.exp(1j * turned))).max() < 0.05


def test_the_mask_of_a_real_microscope_gives_the_spots_of_its_beads(
    data_dir: Callable[[str], Path],
) -> None:
    folder = data_dir("live_cell_telomeres")
    phase = loadmat(folder / "masks" / "masks_oracle_vipr.mat")["mask1"]
    beads = tifffile.imread(folder / "beads" / "tetrapod_bead_stack.tiff")[:, ::-1, ::-1]
    radius_um = bfp_radius_um(na=1.45, magnification=100.0, tube_lens_mm=150.0)
    glass = {"n_medium": 1.518, "n_cover": 1.518}
    psf = pupil_psf(
        Optics(na=1.45, wavelength_nm=605.0, depth_nm=4000.0, **glass,  # type: ignore[arg-type]
               mask=mask_from_pixels(phase, pixel_um=24.0, radius_um=radius_um)),
        pixel_nm=PIXEL_NM, vectorial=False, z_range_nm=1600.0, z_step_nm=1600.0, box_px=BOX_PX,
        fine_per_px=3, pupil_points=96,
    )  # fmt: skip

    # Planes of the stack are 100 nm apart, the 24th is in focus; the bead lies near its middle.
    for plane, z_nm in ((7, -1600.0), (23, 0.0), (39, 1600.0)):
        found = beads[plane, 40:81, 40:81].astype(np.float64)
        spectra = [np.fft.rfft2(image - image.mean()) for image in (found, spot(psf, z_nm))]
        shared = np.fft.irfft2(spectra[0] * spectra[1].conj(), s=found.shape)
        norm = np.prod([np.sqrt(np.square(i - i.mean()).sum()) for i in (found, spot(psf, z_nm))])
        assert shared.max() / norm > 0.8


def test_a_mask_is_named_or_read_from_a_file(tmp_path: Path) -> None:
    mask = np.linspace(-3.0, 3.0, 64).reshape(8, 8)
    np.save(tmp_path / "mask.npy", mask)

    assert named_mask("tetrapod") == "tetrapod"
    np.testing.assert_array_equal(named_mask(str(tmp_path / "mask.npy")), mask)
    with pytest.raises(FileFormatError, match="take one of tetrapod, double-helix"):
        named_mask("astigmatism")


@pytest.mark.parametrize("fault", ["missing", "text", "oblong", "nan"])
def test_a_file_that_is_no_mask_is_named(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "mask.npy"
    if fault == "text":
        path.write_text("no mask")
    elif fault != "missing":
        np.save(path, np.zeros((4, 5)) if fault == "oblong" else np.full((4, 4), np.nan))

    with pytest.raises(FileFormatError, match=r"mask\.npy"):
        load_mask(path)
