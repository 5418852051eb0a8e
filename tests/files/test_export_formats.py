"""Round trips through every format, and what the files look like inside."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.files.tables.columns import ROWS_PER_BLOCK
from rtsmlm.files.tables.export import FILE_NAMES, export
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.localizations import Localizations

PIXEL_NM = 108.3
# x and y change units on the way; 1 pm is far below what float32 resolves at 64 pixels.
TOLERANCE_NM = 2e-3


def table_of(rng: np.random.Generator, n: int = 3000, axial: bool = True) -> Table:
    highs = {"photons": 4000, "background": 60, "std_x_nm": 25, "std_y_nm": 25, "std_photons": 99}
    if axial:
        highs |= {"z_nm": 500, "std_z_nm": 60}
    columns = {name: rng.uniform(1, high, n) for name, high in highs.items()}
    columns |= {name: rng.uniform(-54, 6870, n) for name in ("x_nm", "y_nm")}
    columns["probability"] = rng.uniform(0.3, 1, n)
    columns["frame"] = np.sort(np.floor(rng.uniform(0, 200, n)))
    columns["channel"] = np.floor(rng.uniform(0, 4, n))
    metadata = {"pixel_nm": PIXEL_NM, "shape": [64, 63], "n_frames": 250, "psf_sigma_nm": 130.0}
    return Table(Localizations.from_columns(columns), metadata)


def assert_close(a: Localizations, b: Localizations) -> None:
    assert len(a) == len(b)
    for name, column in a.columns().items():
        np.testing.assert_allclose(
            getattr(b, name),
            column,
            rtol=3e-7,
            atol=TOLERANCE_NM * name.endswith("_nm"),
            err_msg=name,
        )


@pytest.mark.parametrize("axial", [True, False], ids=["3D", "2D"])
@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_table_comes_back_from_every_format(
    name: str, axial: bool, rng: np.random.Generator, tmp_path: Path
) -> None:
    table = table_of(rng, axial=axial)

    (path,) = export(table, [name], tmp_path)
    back = read_table(path)

    assert path.name == FILE_NAMES[name]
    assert_close(table.localizations, back.localizations)
    assert {key: back.metadata[key] for key in table.metadata} == table.metadata
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_table_without_rows_comes_back_without_rows(name: str, tmp_path: Path) -> None:
    (path,) = export(Table(Localizations.empty(), {"pixel_nm": 100.0}), [name], tmp_path)

    assert len(read_table(path).localizations) == 0


def test_thunderstorm_counts_from_frame_1_and_from_the_corner_of_the_image(
    tmp_path: Path,
) -> None:
    centre_of_first_pixel = Localizations.from_columns(
        {"frame": np.array([0]), "x_nm": np.array([0.0]), "y_nm": np.array([100.0])}
    )

    (path,) = export(Table(centre_of_first_pixel, {"pixel_nm": 100.0}), ["csv"], tmp_path)

    header, row = path.read_text().splitlines()
    assert header == '"id","frame","x [nm]","y [nm]"'
    assert row == "1,1,50,150"
    protocol = json.loads((tmp_path / "localizations-protocol.txt").read_text())
    assert protocol["cameraSettings"]["pixelSize"] == 100.0


def test_the_thunderstorm_header_has_its_names_and_the_mean_square_uncertainty(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    table = table_of(rng, n=1)

    (path,) = export(table, ["csv"], tmp_path)

    header, row = path.read_text().splitlines()
    values = dict(zip(header.replace('"', "").split(","), map(float, row.split(",")), strict=True))
    assert {
        "z [nm]", "intensity [photon]", "offset [photon]", "uncertainty_z [nm]"
    } <= values.keys()  # fmt: skip
    expected = np.hypot(table.localizations.std_x_nm, table.localizations.std_y_nm) / np.sqrt(2)
    assert values["uncertainty_xy [nm]"] == pytest.approx(expected[0], rel=1e-6)


def widths_written(kind: str, path: Path) -> list[np.ndarray]:
    """Widths along x and y in nm as the file has them."""
    if kind == "csv":
        names = path.read_text().splitlines()[0].replace('"', "").split(",")
        rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        return [rows[:, k] for k, name in enumerate(names) if name.startswith("sigma")]
    with h5py.File(path) as file:
        rows = file["locs"][()]
    return [rows[name] * PIXEL_NM for name in ("sx", "sy") if name in rows.dtype.names]


@pytest.mark.parametrize("kind", ["csv", "picasso"])
def test_the_widths_of_an_astigmatic_table_are_those_of_the_calibrated_curves_at_each_z(
    rng: np.random.Generator, tmp_path: Path, kind: str
) -> None:
    table = table_of(rng, n=50)
    x, y = ({"sigma0_nm": 120.0, "focus_nm": f, "depth_nm": 400.0} for f in (-150.0, 180.0))
    table.metadata["psf_astigmatism"] = {"x": x, "y": y, "z_min_nm": -600, "z_max_nm": 600}

    (path,) = export(table, [kind], tmp_path)

    for written, focus_nm in zip(widths_written(kind, path), (-150.0, 180.0), strict=True):
        z = table.localizations.z_nm.astype(float)
        expected = 120.0 * np.sqrt(1 + ((z - focus_nm) / 400.0) ** 2)
        np.testing.assert_allclose(written, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["csv", "picasso"])
def test_one_width_is_written_for_rows_in_focus_and_none_where_z_came_without_curves(
    rng: np.random.Generator, tmp_path: Path, kind: str
) -> None:
    (flat,) = export(table_of(rng, n=9, axial=False), [kind], tmp_path / "flat")
    (axial,) = export(table_of(rng, n=9), [kind], tmp_path / "axial")

    assert all(np.allclose(width, 130.0) for width in widths_written(kind, flat))
    assert len(widths_written(kind, flat)) >= 1
    assert widths_written(kind, axial) == []


def test_picasso_files_have_its_columns_types_and_metadata(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    table = table_of(rng)

    (path,) = export(table, ["picasso"], tmp_path)

    with h5py.File(path) as file:
        rows = file["locs"][()]
        embedded = json.loads(file["metadata"][()])
    assert rows.dtype["frame"] == np.uint32
    assert {"x", "y", "photons", "bg", "lpx", "lpy", "z", "lpz"} <= set(rows.dtype.names)
    np.testing.assert_allclose(rows["x"] * PIXEL_NM, table.localizations.x_nm, atol=TOLERANCE_NM)
    np.testing.assert_allclose(rows["lpx"] * PIXEL_NM, table.localizations.std_x_nm, rtol=3e-7)
    np.testing.assert_array_equal(rows["lpz"], table.localizations.std_z_nm)
    movie, step = yaml.safe_load_all(path.with_suffix(".yaml").read_text())
    assert (movie["Height"], movie["Width"], movie["Frames"]) == (64, 63, 250)
    assert movie["Pixelsize"] == PIXEL_NM
    assert step["Generated by"].startswith("rtsmlm")
    assert embedded == [movie, step]


def test_columns_that_say_nothing_are_left_out_since_picasso_drops_rows_with_nan(
    tmp_path: Path,
) -> None:
    rows = Localizations.from_columns({name: np.arange(3) for name in ("frame", "x_nm", "y_nm")})

    (path,) = export(Table(rows, {"pixel_nm": 100.0}), ["picasso"], tmp_path)

    with h5py.File(path) as file:
        assert file["locs"].dtype.names == ("frame", "x", "y")


def test_picasso_metadata_within_the_file_do_without_the_yaml(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    (path,) = export(table_of(rng), ["picasso"], tmp_path)

    path.with_suffix(".yaml").unlink()

    assert read_table(path).metadata["pixel_nm"] == PIXEL_NM


def test_a_run_folder_is_exported_in_order_of_frames_with_the_frames_of_its_ledger(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    table = table_of(rng).localizations
    late = table.take(table.frame < 50)
    early = table.take(table.frame >= 50)
    with ArrowStreamFile(tmp_path / "localizations.arrows", {"pixel_nm": PIXEL_NM}) as file:
        file.put(early)
        file.put(late)
    (tmp_path / "ledger.json").write_text('{"received": 300, "lost": 4}')

    paths = export(tmp_path, ["parquet", "csv", "picasso"], tmp_path)

    for path in paths:
        back = read_table(path)
        assert_close(table, back.localizations)
        assert back.metadata["n_frames"] == 304
    assert read_table(tmp_path).metadata["n_frames"] == 304


def test_a_large_run_passes_in_blocks(rng: np.random.Generator, tmp_path: Path) -> None:
    part = table_of(rng, n=40_000).localizations
    with ArrowStreamFile(tmp_path / "localizations.arrows", {"pixel_nm": PIXEL_NM}) as file:
        for k in range(5):
            columns = part.columns() | {"frame": part.frame + 200 * k}
            file.put(Localizations.from_columns(columns))

    paths = export(tmp_path, FILE_NAMES, tmp_path)

    assert 5 * len(part) > ROWS_PER_BLOCK
    for path in paths:
        back = read_table(path).localizations
        assert len(back) == 5 * len(part)
        assert_close(part, Localizations.from_columns(
            back.take(slice(-len(part), None)).columns() | {"frame": back.frame[-len(part):] - 800}
        ))  # fmt: skip


@pytest.mark.parametrize("name", ["csv", "picasso"])
def test_a_format_in_pixels_needs_the_pixel_size(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--pixel-nm"):
        export(Table(Localizations.empty(), {}), [name], tmp_path)


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'xls'.*csv, picasso, parquet"):
        export(Table(Localizations.empty(), {}), ["xls"], tmp_path)


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_folder_that_cannot_be_made_is_a_sink_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SinkError, match="cannot write"):
        export(Table(Localizations.empty(), {"pixel_nm": 100.0}), [name], tmp_path / "file")
