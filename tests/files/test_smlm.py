"""Files of ShareLoc: units, offsets, several tables, and what is damaged."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.read import read_table

FORM = {
    "name": "smlm-table(binary)", "type": "table", "mode": "binary", "extension": ".bin",
    "columns": 4, "headers": ["frame", "x", "y", "intensity"],
    "dtype": ["uint32", "float32", "float32", "float32"], "shape": [1, 1, 1, 1],
    "units": ["frame", "um", "um", "photon"],
}  # fmt: skip
ROWS = np.array(
    [(1, 1.0, 2.0, 500.0), (3, 4.0, 5.0, 700.0)],
    [("frame", "<u4"), ("x", "<f4"), ("y", "<f4"), ("intensity", "<f4")],
)


def write(path: Path, tables: dict[str, bytes], form: dict[str, Any], **more: Any) -> Path:
    files = [
        {"name": name, "type": "table", "format": form["name"], "rows": 2, "offset": {}, **more}
        for name in tables
    ]
    manifest = {"format_version": "0.2", "formats": {form["name"]: form}, "files": files}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, data in tables.items():
            archive.writestr(name, data)
    return path


def test_units_offsets_and_origin_become_ours(tmp_path: Path) -> None:
    path = write(tmp_path / "a.smlm", {"t.bin": ROWS.tobytes()}, FORM, offset={"x": 2.0})

    table = read_table(path, pixel_nm=100.0)

    rows = table.localizations
    assert table.metadata["format"] == "smlm"
    assert rows.frame.tolist() == [0, 2]
    assert rows.x_nm.tolist() == [2950.0, 5950.0], "3 and 6 um from the corner"
    assert rows.y_nm.tolist() == [1950.0, 4950.0]
    assert rows.photons.tolist() == [500.0, 700.0]


def test_the_camera_pixel_is_asked_for_where_the_file_does_not_state_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.smlm", {"t.bin": ROWS.tobytes()}, FORM)

    with pytest.raises(FileFormatError, match="--pixel-nm"):
        read_table(path)


def test_several_tables_are_channels(tmp_path: Path) -> None:
    tables = {"red.bin": ROWS.tobytes(), "green.bin": ROWS.tobytes()}
    path = write(tmp_path / "a.smlm", tables, FORM)

    rows = read_table(path, pixel_nm=100.0).localizations

    assert rows.channel.tolist() == [0, 0, 1, 1]


def test_an_image_patch_in_each_row_is_passed_over(tmp_path: Path) -> None:
    form = {**FORM, "headers": [*FORM["headers"], "raw-patch"], "columns": 5}
    form |= {"dtype": [*FORM["dtype"], "uint16"], "shape": [1, 1, 1, 1, [2, 2]]}
    form |= {"units": [*FORM["units"], "photon"]}
    rows = np.zeros(2, [*ROWS.dtype.descr, ("patch", "<u2", (4,))])
    for name in ROWS.dtype.names or ():
        rows[name] = ROWS[name]
    path = write(tmp_path / "a.smlm", {"t.bin": rows.tobytes()}, form)

    assert read_table(path, pixel_nm=100.0).localizations.photons.tolist() == [500.0, 700.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 3}, "3 rows that are stated"),
        ({"rows": 10**9}, "rows"),
        ({"name": "other.bin"}, "cannot be read|can be read"),
    ],
)
def test_what_a_manifest_states_wrongly_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "a.smlm", {"t.bin": ROWS.tobytes()}, FORM, **change)

    with pytest.raises(FileFormatError, match=message):
        read_table(path, pixel_nm=100.0)


def test_a_cut_file_is_refused_and_another_archive_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.smlm", {"t.bin": ROWS.tobytes()}, FORM)
    (tmp_path / "cut.smlm").write_bytes(path.read_bytes()[:-40])
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "text")

    for name, message in (("cut.smlm", "can be read"), ("other.zip", "zip archive")):
        with pytest.raises(FileFormatError, match=message):
            read_table(tmp_path / name, pixel_nm=100.0)
