"""Text tables: what is written is read back, in any dialect, and half a pixel is never lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.tables.columns import known_columns
from rtsmlm.files.tables.text_table import read_text_table
from rtsmlm.files.tables.thunderstorm import write_csv
from rtsmlm.localizations import Localizations

HEADER = "frame,x [nm],y [nm],intensity [photon]"


def table(rng: np.random.Generator, n: int) -> Localizations:
    return Localizations.from_columns(
        {
            "frame": np.sort(rng.integers(0, 1000, n)),
            "x_nm": rng.uniform(-50, 60_000, n),
            "y_nm": rng.uniform(-50, 60_000, n),
            "photons": rng.uniform(10, 1e5, n),
        }
    )


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.integers(0, 50), st.integers(1, 20), st.floats(20.0, 400.0), st.integers(0, 2**32 - 1))
def test_rows_come_back_to_a_picometre_per_metre_whatever_pixel_and_batches(
    tmp_path: Path, n: int, size: int, pixel_nm: float, seed: int
) -> None:
    rows = table(np.random.default_rng(seed), n)
    parts = [rows.take(slice(k, k + size)) for k in range(0, n, size)]

    write_csv(tmp_path / "t.csv", parts, {"pixel_nm": pixel_nm}, known_columns(parts))
    back, metadata = read_text_table(tmp_path / "t.csv")

    assert metadata["pixel_nm"] == pytest.approx(pixel_nm)
    assert back.frame.tolist() == rows.frame.tolist()
    np.testing.assert_allclose(back.x_nm, rows.x_nm, rtol=2e-7, atol=1e-3)
    np.testing.assert_allclose(back.y_nm, rows.y_nm, rtol=2e-7, atol=1e-3)
    np.testing.assert_allclose(back.photons, rows.photons, rtol=1e-6)


def test_rows_are_numbered_from_one_through_all_batches(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    parts = [table(rng, n) for n in (3, 0, 4)]

    write_csv(tmp_path / "t.csv", parts, {"pixel_nm": 100.0}, known_columns(parts))

    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(k) for k in range(1, 8)]


def test_what_the_run_says_of_itself_travels_in_the_protocol(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    metadata = {"pixel_nm": 108.0, "psf_sigma_nm": 131.0, "run": "cell 7", "shape": [64, 48]}
    rows = table(rng, 2)

    write_csv(tmp_path / "t.csv", [rows], metadata, known_columns([rows]))

    assert read_text_table(tmp_path / "t.csv")[1] == metadata
    protocol = json.loads((tmp_path / "t-protocol.txt").read_text())
    assert protocol["cameraSettings"] == {"pixelSize": 108.0}
    assert '"sigma [nm]"' in (tmp_path / "t.csv").read_text()


def test_a_table_is_not_written_without_its_pixel(rng: np.random.Generator, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a ThunderSTORM table needs the camera pixel"):
        write_csv(tmp_path / "t.csv", [table(rng, 2)], {}, frozenset())

    assert list(tmp_path.iterdir()) == []


def test_the_pixel_that_is_given_wins_over_the_protocol(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    one_row = Localizations.from_columns(
        {"frame": np.array([4]), "x_nm": np.array([1000.0]), "y_nm": np.array([2000.0])}
    )
    write_csv(tmp_path / "t.csv", [one_row], {"pixel_nm": 100.0}, known_columns([one_row]))

    back, metadata = read_text_table(tmp_path / "t.csv", pixel_nm=160.0)

    assert metadata["pixel_nm"] == 160.0
    assert back.x_nm[0] == pytest.approx(1000.0 + 50.0 - 80.0)


def test_the_export_of_picasso_counts_from_zero_and_from_the_centre(tmp_path: Path) -> None:
    header = (
        "id,frame,x [nm],y [nm],sigma [nm],intensity [photon],offset [photon],bkgstd [photon],"
        "uncertainty_xy [nm]"
    )
    path = written(tmp_path / "t.csv", f"{header}\n0,0,250.0,350.0,130,900,10,3,9.5\n")

    back, _ = read_text_table(path)

    assert (back.frame[0], back.x_nm[0], back.y_nm[0]) == (0, 250.0, 350.0)
    assert back.std_x_nm[0] == back.std_y_nm[0] == 9.5


def test_the_first_of_two_columns_of_one_name_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", f"{HEADER},x [nm]\n1,150,250,900,77777\n")

    assert read_text_table(path, 100.0)[0].x_nm[0] == 100.0


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_line_ends_and_delimiters_do_not_matter(tmp_path: Path, end: str, delimiter: str) -> None:
    lines = f"{HEADER}\n1,150,250,900\n3,160,260,800".replace(",", delimiter)
    path = tmp_path / "t.csv"
    path.write_bytes((lines.replace("\n", end or "\n") + end).encode())

    back, _ = read_text_table(path, 100.0)

    assert back.frame.tolist() == [0, 2]
    assert back.x_nm.tolist() == [100.0, 110.0]
    assert back.photons.tolist() == [900.0, 800.0]


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    assert len(read_text_table(written(tmp_path / "t.csv", HEADER + "\n"), 100.0)[0]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{HEADER}\n1,2\n",
        f"{HEADER}\n1,150,250,900,5,6\n",
        f"{HEADER}\n1,150,two hundred,900\n",
        '"frame,x [nm]\n1,2\n',
        "x" * 200_000,
    ],
    ids=["empty", "empty line", "too few", "too many", "a word", "open quote", "long line"],
)
def test_text_that_is_no_table_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(FileFormatError, match=r"t\.csv"):
        read_text_table(written(tmp_path / "t.csv", text), 100.0)
