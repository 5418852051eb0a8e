"""Files of SMAP, smappy and DECODE hold what these programs look for, where they look for it."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.localizations import Localizations

PIXEL_NM = 108.3
N = 7


@pytest.fixture
def bead() -> Table:
    """One bead, away from the middle, so that an exchange of axes or a shift shows."""
    columns = {
        "frame": np.arange(4, 4 + N), "x_nm": np.full(N, 1234.5), "y_nm": np.full(N, 567.8),
        "z_nm": np.full(N, -150.0), "photons": np.full(N, 1500.0), "background": np.full(N, 11.0),
        "std_x_nm": np.full(N, 7.0), "std_y_nm": np.full(N, 9.0), "std_z_nm": np.full(N, 21.0),
        "std_photons": np.full(N, 40.0), "channel": np.arange(N) % 2,
    }  # fmt: skip
    metadata = {"pixel_nm": PIXEL_NM, "shape": [40, 64], "n_frames": 100, "run": "cell-3"}
    return Table(Localizations.from_columns(columns), metadata)


def test_smappy_finds_columns_of_one_length_and_its_pixel(bead: Table, tmp_path: Path) -> None:
    (path,) = export(bead, ["smappy"], tmp_path)

    with h5py.File(path) as file:
        assert file.attrs["format"] == "smappy-localizations"
        assert file.attrs["n_localizations"] == N
        assert json.loads(file.attrs["metadata"])["camera"]["pixelsize_um"] == pytest.approx(0.1083)
        columns = {name: values[()] for name, values in file["locs"].items()}
    assert {len(column) for column in columns.values()} == {N}
    assert columns["frame"].tolist() == list(range(4, 4 + N))
    assert columns["x_nm"] == pytest.approx(1234.5)
    assert columns["y_nm"] == pytest.approx(567.8)
    assert columns["z_err_nm"] == pytest.approx(21.0)
    assert columns["xy_err_nm"] == pytest.approx(np.sqrt((7**2 + 9**2) / 2))


def test_smap_finds_rows_of_a_matlab_struct(bead: Table, tmp_path: Path) -> None:
    (path,) = export(bead, ["smap"], tmp_path)

    head = path.read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:] == b"\x00\x02IM"
    with h5py.File(path) as file:
        assert file.userblock_size == 512
        assert file["saveloc"].attrs["MATLAB_class"] == b"struct"
        loc = file["saveloc/loc"]
        assert loc.attrs["MATLAB_class"] == b"struct"
        columns = {name: values[()] for name, values in loc.items()}
        kinds = {values.attrs["MATLAB_class"] for values in loc.values()}
        pixel_um = file["saveloc/file/info/cam_pixelsize_um"][()].ravel()
        name = bytes(file["saveloc/file/name"][()].astype(np.uint8).ravel()).decode()
    assert {column.shape for column in columns.values()} == {(1, N)}
    assert kinds == {b"single", b"double"}
    assert columns["frame"].ravel().tolist() == list(range(5, 5 + N)), "MATLAB counts from 1"
    assert columns["xnm"] == pytest.approx(1234.5)
    assert columns["locprecznm"] == pytest.approx(21.0)
    assert pixel_um == pytest.approx([0.1083, 0.1083])
    assert name == "cell-3"


def test_decode_finds_its_axes_its_unit_and_all_its_datasets(bead: Table, tmp_path: Path) -> None:
    (path,) = export(bead, ["decode"], tmp_path)

    with h5py.File(path) as file:
        data = file["data"]
        xyz, sigma = data["xyz"][()], data["xyz_sig"][()]
        assert set(data) == {
            "xyz", "xyz_sig", "xyz_cr", "phot", "phot_cr", "phot_sig", "frame_ix", "id", "prob",
            "bg", "bg_cr", "bg_sig",
        }  # fmt: skip
        assert data["xyz_cr"].shape is None, "empty, as DECODE writes what it does not know"
        assert set(file["meta"].attrs) == {"xy_unit", "px_size"}
        assert file["meta"].attrs["xy_unit"] == "px"
        assert file["decode"].attrs["version"].startswith("rtsmlm")
    assert xyz[0] == pytest.approx([567.8 / PIXEL_NM, 1234.5 / PIXEL_NM, -150.0])
    assert sigma[0] == pytest.approx([9 / PIXEL_NM, 7 / PIXEL_NM, 21.0])


@pytest.mark.parametrize("name", ["smappy", "smap", "decode"])
def test_what_a_program_has_no_name_for_comes_back_too(
    bead: Table, tmp_path: Path, name: str
) -> None:
    metadata = {**bead.metadata, "extra_columns": {"roughness": "1"}}
    rows = Localizations(
        **bead.localizations.columns(), extras={"roughness": np.arange(N, dtype=np.float32)}
    )

    (path,) = export(Table(rows, metadata), [name], tmp_path)
    back = read_table(path)

    assert back.localizations.channel.tolist() == [k % 2 for k in range(N)]
    assert back.metadata["extra_columns"] == {"roughness": "1"}
    assert back.metadata["run"] == "cell-3"
    with h5py.File(path) as file:
        found: list[str] = []
        file.visit(found.append)
    assert any(place.endswith("roughness") for place in found)


@pytest.mark.parametrize("name", ["smappy", "smap", "decode", "smlm"])
def test_without_a_pixel_no_file_is_made(bead: Table, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="camera pixel"):
        export(Table(bead.localizations, {}), [name], tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["smappy", "smap", "decode"])
def test_a_table_of_many_blocks_keeps_its_order(tmp_path: Path, name: str) -> None:
    n = 300_000
    columns = {
        "frame": np.arange(n) // 3,
        "x_nm": np.arange(n) % 977 * 1.0,
        "y_nm": np.arange(n) % 613 * 1.0,
    }
    table = Table(Localizations.from_columns(columns), {"pixel_nm": 100.0})

    (path,) = export(table, [name], tmp_path)
    back = read_table(path).localizations

    assert np.array_equal(back.frame, table.localizations.frame)
    np.testing.assert_allclose(back.x_nm, table.localizations.x_nm, atol=1e-4)
    np.testing.assert_allclose(back.y_nm, table.localizations.y_nm, atol=1e-4)
