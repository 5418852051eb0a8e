"""Tables of other programs: their units, origins and first frames become ours, exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np
import pytest

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.read import read_table

PIXEL_NM = 106.5
N = 8

Columns: TypeAlias = Mapping[str, np.ndarray]


@pytest.fixture
def truth(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Rows as ours: nm from the centre of the first pixel, frames from 0."""
    rows = {
        name: np.round(rng.uniform(0, high, N), 3)
        for name, high in {"x": 6000, "y": 4000, "z": 300, "n": 3000, "bg": 50, "std": 20}.items()
    }
    return rows | {"frame": np.sort(rng.integers(0, 60, N)) + 1}


def text(columns: Columns, separator: str = ",") -> str:
    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(f"{value:.9g}" for value in row) for row in rows]
    return "\n".join([separator.join(columns), *lines]) + "\n"


def thunderstorm(t: Columns) -> str:
    return text(
        {"id": np.arange(N) + 1, "frame": t["frame"] + 1, "x [nm]": t["x"] + PIXEL_NM / 2,
         "y [nm]": t["y"] + PIXEL_NM / 2, "z [nm]": t["z"], "intensity [photon]": t["n"],
         "offset [photon]": t["bg"], "uncertainty_xy [nm]": t["std"]}
    )  # fmt: skip


def thunderstorm_in(unit: str, nm: float) -> Callable[[Columns], str]:
    def make(t: Columns) -> str:
        return text(
            {"frame": t["frame"] + 1, f"x [{unit}]": (t["x"] + PIXEL_NM / 2) / nm,
             f"y [{unit}]": (t["y"] + PIXEL_NM / 2) / nm, "z [nm]": t["z"],
             "intensity [photon]": t["n"], "offset [photon]": t["bg"],
             f"uncertainty_xy [{unit}]": t["std"] / nm}
        )  # fmt: skip

    return make


def smap(t: Columns) -> str:
    return text(
        {"xnm": t["x"], "ynm": t["y"], "znm": t["z"], "frame": t["frame"] + 1,
         "locprecnm": t["std"], "phot": t["n"], "bg": t["bg"], "PSFxnm": t["std"]}
    )  # fmt: skip


def liteloc(t: Columns) -> str:
    half = PIXEL_NM / 2
    return text(
        {"frame": t["frame"] + 1, "xnm": t["x"] + half, "ynm": t["y"] + half, "znm": t["z"],
         "photon": t["n"], "prob": np.ones(N), "x_sig": t["std"], "y_sig": t["std"],
         "background": t["bg"]}
    )  # fmt: skip


def smappy(t: Columns) -> str:
    return text(
        {"x_nm": t["x"], "y_nm": t["y"], "z_nm": t["z"], "frame": t["frame"], "photons": t["n"],
         "background": t["bg"], "xy_err_nm": t["std"], "sigma_nm": t["std"]}
    )  # fmt: skip


def picasso_text(t: Columns) -> str:
    return text(
        {"frame": t["frame"], "x": t["x"] / PIXEL_NM, "y": t["y"] / PIXEL_NM, "z": t["z"],
         "photons": t["n"], "sx": t["std"], "sy": t["std"], "bg": t["bg"],
         "lpx": t["std"] / PIXEL_NM, "lpy": t["std"] / PIXEL_NM}
    )  # fmt: skip


def decode(unit: str, by_decode: bool) -> Callable[[Columns], str]:
    def make(t: Columns) -> str:
        nm = PIXEL_NM if unit == "px" else 1.0
        x, y = (t["y"], t["x"]) if by_decode else (t["x"], t["y"])
        head = '# DECODE EmitterSet\n# {"version": "v0.10.0"}\n' if by_decode else ""
        head += "# " + json.dumps({"xy_unit": unit, "px_size": [PIXEL_NM, PIXEL_NM]}) + "\n"
        return head + text(
            {"x": x / nm, "y": y / nm, "z": t["z"], "phot": t["n"], "frame_ix": t["frame"],
             "id": np.arange(N), "prob": np.ones(N), "bg": t["bg"], "x_cr": t["std"],
             "x_sig": t["std"] / nm, "y_sig": t["std"] / nm}
        )  # fmt: skip

    return make


def rapidstorm(t: Columns) -> str:
    fields = [
        ("Position-0-0", "nanometer"), ("Position-1-0", "nanometer"), ("Position-2-0", "nanometer"),
        ("ImageNumber-0-0", "frame"), ("Amplitude-0-0", "photon"), ("LocalBackground-0-0", ""),
        ("Position-0-0-uncertainty", "nanometer"), ("Position-1-0-uncertainty", "nanometer"),
    ]  # fmt: skip
    xml = "".join(
        f'<field identifier="{i}" syntax="float" unit="{u}" min="0 m"/>' for i, u in fields
    )
    rows = zip(t["x"], t["y"], t["z"], t["frame"], t["n"], t["bg"], t["std"], t["std"], strict=True)
    lines = [" ".join(f"{value:.9g}" for value in row) for row in rows]
    return f"# <localizations insequence='true'>{xml}</localizations>\n" + "\n".join(lines) + "\n"


def peakselector(t: Columns) -> str:
    return text(
        {"X Position": t["x"] / PIXEL_NM, "Y Position": t["y"] / PIXEL_NM, "Z Position": t["z"],
         "Frame Number": t["frame"], "N Photons": t["n"], "Background": t["bg"],
         "Uncertainty": t["std"] / PIXEL_NM}, "\t"
    )  # fmt: skip


def elyra(t: Columns) -> str:
    half = PIXEL_NM / 2
    return text(
        {"Index": np.arange(N), "First Frame": t["frame"] + 1, "Position X [nm]": t["x"] + half,
         "Position Y [nm]": t["y"] + half, "Position Z [nm]": t["z"], "Precision [nm]": t["std"],
         "Number Photons": t["n"], "Background": t["bg"], "Chi square": t["n"]}
    )  # fmt: skip


TEXTS: dict[str, Callable[[Columns], str]] = {
    "ThunderSTORM": thunderstorm,
    "px": thunderstorm_in("px", PIXEL_NM),
    "pixels": thunderstorm_in("pixels", PIXEL_NM),
    "um": thunderstorm_in("um", 1000),
    "µm": thunderstorm_in("\u00b5m", 1000),
    "μm": thunderstorm_in("\u03bcm", 1000),
    "SMAP": smap,
    "LiteLoc": liteloc,
    "smappy": smappy,
    "Picasso": picasso_text,
    "DECODE px": decode("px", by_decode=True),
    "DECODE nm": decode("nm", by_decode=True),
    "columns of DECODE": decode("px", by_decode=False),
    "rapidSTORM": rapidstorm,
    "PeakSelector": peakselector,
    "Elyra": elyra,
}


def check(path: Path, t: Columns, pixel_nm: float | None = PIXEL_NM) -> tuple[str, ...]:
    """Compare a table on disk with the truth; return its notes."""
    table = read_table(path, pixel_nm)
    rows = table.localizations
    assert rows.frame.tolist() == t["frame"].tolist()
    for ours, name in (("x_nm", "x"), ("y_nm", "y"), ("z_nm", "z"), ("photons", "n"),
                       ("background", "bg"), ("std_x_nm", "std"), ("std_y_nm", "std")):  # fmt: skip
        np.testing.assert_allclose(getattr(rows, ours), t[name], rtol=1e-6, atol=1e-4, err_msg=ours)
    return table.notes


@pytest.mark.parametrize("program", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_rows_of_every_program_lie_where_they_were_in_whatever_encoding(
    truth: Columns, tmp_path: Path, program: str, encoding: str
) -> None:
    path = tmp_path / "t.csv"
    text = TEXTS[program](truth)
    if encoding == "latin-1":
        text = text.replace("\u03bc", "\u00b5")  # which has the sign, and not the Greek letter
    path.write_bytes(text.encode(encoding))

    notes = check(path, truth)

    assert all("exchanged" in note for note in notes), notes


def test_decode_states_its_pixel_and_counts_x_along_the_rows(
    truth: Columns, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(decode("px", by_decode=True)(truth))

    [note] = check(path, truth, pixel_nm=None)

    assert "x and y of t.csv are exchanged" in note
    assert read_table(path).metadata["pixel_nm"] == PIXEL_NM


def test_localizations_of_smap_in_the_file_of_matlab_are_read(
    truth: Columns, tmp_path: Path
) -> None:
    path = tmp_path / "cell_sml.mat"
    names = {"xnm": "x", "ynm": "y", "znm": "z", "phot": "n", "bg": "bg", "locprecnm": "std"}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, ours in names.items():
            file[f"saveloc/loc/{name}"] = truth[ours][None].astype(np.float32)
        file["saveloc/loc/frame"] = truth["frame"][None] + 1.0
        file["saveloc/loc/LLrel"] = truth["n"][None]
        file["saveloc/loc/mystery"] = truth["n"][None]
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(512))

    assert check(path, truth) == ("columns of cell_sml.mat that are not read: mystery",)
    assert check(path, truth, pixel_nm=None)
    old = tmp_path / "old_sml.mat"
    old.write_bytes(b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(600))
    with pytest.raises(FileFormatError, match=r"-v7\.3"):
        read_table(old)


@pytest.mark.parametrize("unit", ["px", "nm"])
def test_emitters_of_decode_in_hdf5_are_read_with_their_metadata(
    truth: Columns, tmp_path: Path, unit: str
) -> None:
    nm = PIXEL_NM if unit == "px" else 1.0
    path = tmp_path / "emitter.h5"
    with h5py.File(path, "w") as file:
        file.create_group("meta").attrs.update(xy_unit=unit, px_size=[PIXEL_NM, PIXEL_NM])
        file.create_group("decode").attrs["version"] = "v0.10.0"
        file["data/xyz"] = np.stack([truth["y"] / nm, truth["x"] / nm, truth["z"]], axis=1)
        file["data/xyz_sig"] = np.repeat(truth["std"][:, None] / nm, 3, axis=1)
        file["data/frame_ix"] = truth["frame"]
        file["data/phot"], file["data/bg"] = truth["n"], truth["bg"]
        file["data/prob"] = np.ones(N)
        file["data/xyz_cr"] = h5py.Empty("f")

    [note] = check(path, truth, pixel_nm=None)

    assert "exchanged" in note


def test_columns_of_smappy_in_hdf5_are_read(truth: Columns, tmp_path: Path) -> None:
    path = tmp_path / "run.hdf5"
    names = {"x_nm": "x", "y_nm": "y", "z_nm": "z", "photons": "n", "background": "bg",
             "xy_err_nm": "std", "frame": "frame"}  # fmt: skip
    with h5py.File(path, "w") as file:
        for name, ours in names.items():
            file[f"locs/{name}"] = truth[ours]

    assert check(path, truth, pixel_nm=None) == ()


def test_lists_of_qc_storm_are_known_by_their_name(truth: Columns, tmp_path: Path) -> None:
    rows = np.zeros((N, 12), dtype="<f4")
    rows[:, 1], rows[:, 2] = truth["x"] / PIXEL_NM + 0.5, truth["y"] / PIXEL_NM + 0.5
    rows[:, 3], rows[:, 6], rows[:, 7] = truth["z"], truth["n"], truth["bg"]
    rows[:, 9], rows[:, 10], rows[:, 11] = truth["std"], truth["std"], truth["frame"] + 1
    path = tmp_path / "cell_result2D7_M.txt"
    path.write_bytes(rows.tobytes())

    table = read_table(path, PIXEL_NM).localizations

    assert table.frame.tolist() == truth["frame"].tolist()
    np.testing.assert_allclose(table.x_nm, truth["x"], atol=1e-3)
    np.testing.assert_allclose(table.y_nm, truth["y"], atol=1e-3)
    path.write_bytes(rows.tobytes()[:-5])
    with pytest.raises(FileFormatError, match="no whole number of rows"):
        read_table(path, PIXEL_NM)


@pytest.mark.parametrize(
    ("start", "advice"),
    [(b"PK\x03\x04", "save the sheet as CSV"), (b"\xd0\xcf\x11\xe0", "save the sheet as CSV"),
     (b"\x1f\x8b\x08\x00", "compressed by gzip; unpack it")],
)  # fmt: skip
def test_workbooks_and_archives_say_what_to_do(tmp_path: Path, start: bytes, advice: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(start + bytes(50))

    with pytest.raises(FileFormatError, match=rf"table\.csv is .*{advice}"):
        read_table(path)


def test_a_damaged_character_costs_its_row_and_no_more(truth: Columns, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = thunderstorm(truth).encode().splitlines(keepends=True)
    lines[4] = lines[4].replace(b",", b"\xe2,", 1)
    lines[6] = b"\xe2\x80" + lines[6][:9] + b"\n"
    path.write_bytes(b"".join(lines))

    table = read_table(path, PIXEL_NM)

    kept = np.delete(np.arange(N), [5])
    assert table.localizations.frame.tolist() == truth["frame"][kept].tolist()
    assert "1 of 8 rows" in table.notes[0]


def test_a_table_in_pixels_or_without_units_says_what_it_needs(
    truth: Columns, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(picasso_text(truth))
    with pytest.raises(FileFormatError, match=r"in pixels.*--pixel-nm"):
        read_table(path)
    path.write_text(text({"frame": truth["frame"], "x": truth["x"], "y": truth["y"]}))
    with pytest.raises(FileFormatError, match=r"does not state the unit of x and y; name its"):
        read_table(path, PIXEL_NM)
