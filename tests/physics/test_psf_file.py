"""PSF files: what is written is read again, and what is damaged is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import FileFormatError, SinkError
from rtsmlm.physics.psf import TablePsf, table_from_planes
from rtsmlm.physics.psf_file import load_psf, save_psf


@pytest.fixture
def table(rng: np.random.Generator) -> TablePsf:
    planes = rng.uniform(0.1, 1.0, (3, 20, 20))
    return table_from_planes(planes, fine_per_px=4, z_first_nm=-50.0, z_step_nm=50.0)


def test_a_psf_that_was_stored_draws_the_same_spot(tmp_path: Path, table: TablePsf) -> None:
    path = tmp_path / "made" / "psf.npz"

    save_psf(path, table, pixel_nm=110.0, origin="Random numbers.")
    stored = load_psf(path)

    assert (stored.pixel_nm, stored.origin, stored.z_nm) == (110.0, "Random numbers.", (-50, 50))
    images = np.zeros((2, 11, 11), dtype=np.float32)
    for image, psf in zip(images, (table, stored.table), strict=True):
        psf.render(image, *(np.array([v]) for v in (5.3, 4.8, 20.0, 1000.0)))
    np.testing.assert_array_equal(images[0], images[1])


def test_a_file_that_is_no_psf_is_named(tmp_path: Path, table: TablePsf) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    other = tmp_path / "other.npz"
    np.savez(other, values=np.zeros(3))
    cut = tmp_path / "cut.npz"
    save_psf(cut, table, pixel_nm=100.0, origin="")
    cut.write_bytes(cut.read_bytes()[:-200])

    for path in (text, other, cut, tmp_path / "none.npz"):
        with pytest.raises(FileFormatError, match=path.name):
            load_psf(path)


@pytest.mark.parametrize("fault", ["light", "pixel", "nan"])
def test_values_that_can_be_no_psf_are_refused(tmp_path: Path, table: TablePsf, fault: str) -> None:
    sums = table.sums.copy()
    if fault == "light":
        sums *= 2.0
    if fault == "nan":
        sums[0, 3, 3] = np.nan
    bad = TablePsf(sums=sums, fine_per_px=4, z_first_nm=0.0, z_step_nm=50.0)
    path = tmp_path / "psf.npz"
    save_psf(path, bad, pixel_nm=0.0 if fault == "pixel" else 100.0, origin="")

    with pytest.raises(FileFormatError, match=r"psf\.npz"):
        load_psf(path)


def test_a_place_that_cannot_be_written_is_an_error_of_the_output(
    tmp_path: Path, table: TablePsf
) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SinkError, match="cannot write"):
        save_psf(tmp_path / "file" / "psf.npz", table, pixel_nm=100.0, origin="")
