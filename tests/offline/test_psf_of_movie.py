"""A movie whose PSF is not the stated one is reconstructed with its own, and that is said."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.fitting.widths import integrals
from rtsmlm.localizations import Localizations
from rtsmlm.offline.reconstruct import Reconstruction
from rtsmlm.settings.load import load

SHAPE, PER_FRAME, PHOTONS = (120, 120), 5, 4000.0
CAMERA = [
    f"camera.{text}"
    for text in ("pixel_nm=100", "offset_adu=100", "e_per_adu=1", "read_noise_e=0.3")
]
Run = Callable[..., tuple[Localizations, str, dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path, rng: np.random.Generator) -> Run:
    """Return a function that draws a movie and returns its rows, its notes and its settings."""

    def reconstruct(
        *stated: str, widths_nm: Any, halo: float = 0.0
    ) -> tuple[Localizations, str, dict[str, Any]]:
        frames = np.full((40, *SHAPE), 20.0)
        for frame in frames:
            center = rng.uniform(12, SHAPE[0] - 13, (PER_FRAME, 2))
            x_px, y_px = (np.asarray(w) / 100 for w in widths_nm(rng.uniform(-450, 450, PER_FRAME)))
            for share, wide in ((1 - halo, 1.0), (halo, 3.0)):
                along_x = integrals(center[:, 0], wide * x_px, SHAPE[1])[0]
                along_y = integrals(center[:, 1], wide * y_px, SHAPE[0])[0]
                frame += PHOTONS * share * np.einsum("ny,nx->yx", along_y, along_x)
        path = tmp_path / "movie.tif"
        tifffile.imwrite(path, (rng.poisson(frames) + 100).astype(np.uint16))
        settings = load(None, [*CAMERA, "pipeline.validity=false", *stated])
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        with Reconstruction(
            [path], settings, lambda: RunFolder.create(tmp_path, folder.name)
        ) as work:
            work.run(lambda done, found: None, lambda step: None)
            notes = " ".join(work.notes)
        noted = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))
        return read_arrow_table(folder / "localizations.arrows")[0], notes, noted

    return reconstruct


def of(sigma_x_nm: float, sigma_y_nm: float | None = None) -> Callable[[np.ndarray], Any]:
    y_nm = sigma_x_nm if sigma_y_nm is None else sigma_y_nm
    return lambda z: (np.full(len(z), sigma_x_nm), np.full(len(z), y_nm))


FIT = ("localizer.name=gaussian-mle", "psf.sigma_nm=130")


def test_photons_are_right_though_the_stated_width_is_fifteen_per_cent_off(run: Run) -> None:
    rows, notes, noted = run(*FIT, widths_nm=of(150.0))
    kept = run(*FIT, "psf.refine=false", widths_nm=of(150.0))

    assert np.median(rows.photons) == pytest.approx(PHOTONS, rel=0.02)
    assert np.median(kept[0].photons) < 0.93 * PHOTONS
    assert "where psf.sigma_nm states 130 nm" in notes
    assert noted["psf"]["sigma_nm"] == pytest.approx(150.0, rel=0.02)
    assert "lone emitters" not in kept[1]
    assert kept[2]["psf"]["sigma_nm"] == 130.0


def test_the_light_of_a_halo_belongs_to_the_photons(run: Run) -> None:
    rows, _, noted = run(*FIT, widths_nm=of(130.0), halo=0.15)
    kept, _, _ = run(*FIT, "psf.refine=false", widths_nm=of(130.0), halo=0.15)

    assert np.median(rows.photons) == pytest.approx(PHOTONS, rel=0.06)
    assert np.median(kept.photons) < 0.9 * PHOTONS
    assert 0.06 < noted["psf"]["halo"] < 0.16


def test_a_bright_elliptical_spot_is_one_row_with_the_errors_of_both_axes(run: Run) -> None:
    wide = of(130.0 * math.sqrt(1.2), 130.0 / math.sqrt(1.2))

    rows, _, noted = run(*FIT, widths_nm=wide)

    assert noted["psf"]["ellipticity"] == pytest.approx(1.2, abs=0.02)
    assert np.median(rows.std_x_nm / rows.std_y_nm) == pytest.approx(1.2, abs=0.07)


def test_a_psf_that_is_right_gives_the_rows_that_it_gave(run: Run, tmp_path: Path) -> None:
    rows, notes, _ = run(*FIT, widths_nm=of(130.0))
    movie = tmp_path / "movie.tif"
    settings = load(
        None,
        [*CAMERA, "pipeline.validity=false", *FIT, "psf.refine=false"],
    )
    with Reconstruction([movie], settings, lambda: RunFolder.create(tmp_path, "kept")) as work:
        work.run(lambda done, found: None, lambda step: None)
    kept = read_arrow_table(tmp_path / "kept" / "localizations.arrows")[0]

    assert "lone emitters" not in notes
    for name, column in kept.columns().items():
        assert np.array_equal(column, rows.columns()[name], equal_nan=True)


def test_z_is_right_though_the_curves_are_ten_per_cent_too_narrow(run: Run) -> None:
    def curves(sigma0_nm: float) -> Callable[[np.ndarray], Any]:
        def widths(z: np.ndarray) -> Any:
            return tuple(sigma0_nm * np.sqrt(1 + ((z - f) / 400) ** 2) for f in (220, -220))

        return widths

    text = {"x": 220.0, "y": -220.0}
    stated = [f"psf.astigmatism.{axis}.focus_nm={focus}" for axis, focus in text.items()]
    stated += [f"psf.astigmatism.{axis}.{key}" for axis in text for key in ("depth_nm=400", "sigma0_nm=120")]  # fmt: skip # noqa: E501
    stated += ["psf.astigmatism.z_min_nm=-500", "psf.astigmatism.z_max_nm=500"]

    rows, notes, noted = run("localizer.name=astigmatic-mle", *stated, widths_nm=curves(132.0))
    kept, _, _ = run(
        "localizer.name=astigmatic-mle", *stated, "psf.refine=false", widths_nm=curves(132.0)
    )

    # Emitters lie evenly between -450 and 450 nm: a quarter of them beyond 225 on either side.
    found, before = (np.quantile(table.z_nm, [0.25, 0.75]) for table in (rows, kept))
    assert np.abs(found - [-225, 225]).max() < 45
    assert np.abs(before - [-225, 225]).max() > np.abs(found - [-225, 225]).max()
    assert "% of the curves" in notes
    assert noted["psf"]["astigmatism"]["x"]["sigma0_nm"] == pytest.approx(132.0, rel=0.015)
