"""Picasso opens what we write, and we read what it writes. Needs `pip install picassosr`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.localizations import Localizations

io = pytest.importorskip("picasso.io", reason="needs picassosr, Picasso's Python package")

PIXEL_NM = 108.3


@pytest.fixture
def table(rng: np.random.Generator) -> Table:
    n = 500
    values = {"photons": 3000, "background": 50, "std_x_nm": 20, "std_y_nm": 20, "z_nm": 400}
    columns = {name: rng.uniform(1, high, n) for name, high in values.items()}
    columns |= {name: rng.uniform(0, 60 * PIXEL_NM, n) for name in ("x_nm", "y_nm")}
    columns["frame"] = np.sort(rng.integers(0, 100, n))
    curve = {"sigma0_nm": 130.0, "focus_nm": 0.0, "depth_nm": 400.0}
    x, y = curve | {"focus_nm": -150.0}, curve | {"focus_nm": 150.0}
    metadata = {
        "pixel_nm": PIXEL_NM, "shape": [64, 62], "n_frames": 100, "psf_sigma_nm": 130.0,
        "psf_astigmatism": {"x": x, "y": y, "z_min_nm": -500.0, "z_max_nm": 500.0},
    }  # fmt: skip
    return Table(Localizations.from_columns(columns), metadata)


def test_picasso_loads_every_row_with_the_same_values(table: Table, tmp_path: Path) -> None:
    (path,) = export(table, ["picasso"], tmp_path)

    rows, info = io.load_locs(str(path))

    ours = table.localizations
    assert np.array_equal(rows["frame"], ours.frame)
    for name, values in (("x", ours.x_nm), ("y", ours.y_nm), ("lpx", ours.std_x_nm)):
        np.testing.assert_allclose(rows[name] * PIXEL_NM, values, rtol=3e-7)
    for name, values in (("photons", ours.photons), ("bg", ours.background), ("z", ours.z_nm)):
        assert np.array_equal(rows[name], values)
    assert (info[0]["Height"], info[0]["Width"], info[0]["Frames"]) == (64, 62, 100)
    assert info[0]["Pixelsize"] == PIXEL_NM


def test_what_picasso_saves_comes_back_unchanged(table: Table, tmp_path: Path) -> None:
    (path,) = export(table, ["picasso"], tmp_path / "ours")
    (tmp_path / "theirs").mkdir()
    theirs = tmp_path / "theirs" / "locs.hdf5"

    io.save_locs(str(theirs), *io.load_locs(str(path)))
    back = read_table(theirs)

    np.testing.assert_allclose(back.localizations.x_nm, table.localizations.x_nm, rtol=3e-7)
    assert np.array_equal(back.localizations.frame, table.localizations.frame)
    assert back.metadata["pixel_nm"] == PIXEL_NM


def test_the_thunderstorm_export_of_picasso_is_read_in_its_own_convention(
    table: Table, tmp_path: Path
) -> None:
    (path,) = export(table, ["picasso"], tmp_path)
    theirs = tmp_path / "picasso.csv"

    io.export_thunderstorm(str(theirs), *io.load_locs(str(path)))
    back = read_table(theirs, pixel_nm=PIXEL_NM).localizations

    assert np.array_equal(back.frame, table.localizations.frame)
    np.testing.assert_allclose(back.x_nm, table.localizations.x_nm, rtol=3e-7)


def test_picasso_imports_our_thunderstorm_table(table: Table, tmp_path: Path) -> None:
    (path,) = export(table, ["csv"], tmp_path)

    rows, _ = io.import_ts(str(path), PIXEL_NM)

    assert len(rows) == len(table.localizations)
    np.testing.assert_allclose(
        rows["x"] * PIXEL_NM, table.localizations.x_nm + PIXEL_NM / 2, rtol=1e-6
    )
