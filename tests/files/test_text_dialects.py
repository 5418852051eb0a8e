"""Text tables as spreadsheets, scripts and accidents leave them: read in full, or counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.files.tables.text_columns import cut_name
from rtsmlm.files.tables.text_numbers import NumberStyle, number_style

HEADER = ["frame", "x [nm]", "y [nm]", "intensity [photon]", "uncertainty [nm]"]
PIXEL_NM = 100.0


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    """Frame from 1, x, y, photons, precision; some above a thousand, with two decimals."""
    values = np.round(rng.uniform(1, [1, 9e3, 9e3, 5e3, 30], (12, 5)), 2)
    values[:, 0] = np.arange(1, 13)
    return values


def joined(rows: np.ndarray, separator: str, number: Callable[[float], str] = str) -> str:
    lines = [separator.join([f"{row[0]:.0f}", *map(number, row[1:])]) for row in rows.tolist()]
    return "\n".join([separator.join(HEADER), *lines]) + "\n"


def comma(value: float) -> str:
    return str(value).replace(".", ",")


def german_thousands(value: float) -> str:
    return f"{value:,.2f}".translate({ord(","): ".", ord("."): ","})


def quoted_all(rows: np.ndarray) -> str:
    lines = joined(rows, "\t").splitlines()
    return "\n".join(",".join(f'"{cell}"' for cell in line.split("\t")) for line in lines)


def aligned(rows: np.ndarray) -> str:
    return "\n".join(
        "  ".join(f"{cell:>12}" for cell in line.replace(" [", "_[").split("\t"))
        for line in joined(rows, "\t").splitlines()
    )


DIALECTS: dict[str, Callable[[np.ndarray], str]] = {
    "plain": lambda rows: joined(rows, ","),
    "decimal comma": lambda rows: joined(rows, ";", comma),
    "decimal comma, tabs": lambda rows: joined(rows, "\t", comma),
    "decimal comma, quoted": lambda rows: joined(rows, ",", lambda v: f'"{comma(v)}"'),
    "German thousands": lambda rows: joined(rows, ";", german_thousands),
    "English thousands": lambda rows: joined(rows, ",", lambda v: f'"{v:,.2f}"'),
    "Swiss thousands": lambda rows: joined(rows, ";", lambda v: f"{v:,.2f}".replace(",", "'")),
    "French thousands": lambda rows: joined(
        rows, ";", lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ",")
    ),
    "quoted numbers": quoted_all,
    "spaces that align": aligned,
    "pipes": lambda rows: joined(rows, "|"),
    "exponents": lambda rows: joined(rows, ",", lambda v: f"{v:.8e}"),
    "# comments": lambda rows: "# made by a script\n#\n" + joined(rows, ","),
    "// comments": lambda rows: "// made by a script\n\n" + joined(rows, ","),
    "% comments": lambda rows: "% made by a script\n" + joined(rows, ","),
    "names in a comment": lambda rows: "# " + joined(rows, ","),
    "names in a comment of MATLAB": lambda rows: "% " + joined(rows, "\t"),
    "the separator of Excel": lambda rows: "sep=;\n" + joined(rows, ";"),
    "a comment among the rows": lambda rows: joined(rows[:5], ",") + "# pause\n" + "\n".join(
        joined(rows[5:], ",").splitlines()[1:]
    ),
    "an empty last column": lambda rows: joined(rows, ",").replace("\n", ",\n"),
    "a separator behind each row": lambda rows: joined(rows, ",").replace("\n", ",\n").replace(
        "[nm],\n", "[nm]\n"
    ),
    "rows of nothing at the end": lambda rows: joined(rows, ";", comma) + ";;;;\n;;;;\n",
    "no line end": lambda rows: joined(rows, ",").rstrip("\n"),
    "names twice the case": lambda rows: joined(rows, ",").replace("x [nm]", "X (NM)"),
}  # fmt: skip


def same(table: Table, rows: np.ndarray) -> None:
    found = table.localizations
    assert found.frame.tolist() == (rows[:, 0] - 1).tolist()
    for ours, k, shift in (("x_nm", 1, 50), ("y_nm", 2, 50), ("photons", 3, 0), ("std_x_nm", 4, 0)):
        np.testing.assert_allclose(getattr(found, ours), rows[:, k] - shift, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["Unix", "Windows", "old Mac"])
def test_every_row_of_every_dialect_is_read(
    rows: np.ndarray, tmp_path: Path, dialect: str, end: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(DIALECTS[dialect](rows).replace("\n", end).encode())

    table = read_table(path, PIXEL_NM)

    same(table, rows)
    assert table.notes == ()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",{x},", ",NaN,", "line 7 has frame 3, x_nm nan"),
        (",{x},", ",,", "line 7 has frame 3, x_nm nan"),
        (",{x},", ",inf,", "line 7 has frame 3, x_nm inf"),
        (",{x},", ",abc,", "line 7 has '4, abc,"),
        (",{x},", ",1e30,", "line 7 has frame 3, x_nm 1e+30"),
        ("4,{x},", "4.5,{x},", "line 7 has frame 3.5"),
        ("4,{x},", "-4,{x},", "line 7 has frame -5"),
        ("4,{x},", "4,", "line 7 has 4 values for 5 columns"),
        ("4,{x},", "4,1,{x},", "line 7 has 6 values for 5 columns"),
        ("4,{x},", "Total: 4\n4,{x},", "line 7 has 1 value for 5 columns"),
    ],
)
def test_a_damaged_row_is_left_out_with_its_line_and_the_reason(
    rows: np.ndarray, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    x = str(rows[3, 1])
    text = "# a comment\n\n" + joined(rows, ",")
    lines = text.splitlines()
    lines[6] = lines[6].replace(old.format(x=x), new.format(x=x), 1)
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")

    table = read_table(path, PIXEL_NM)

    kept = rows if new.startswith("Total") else np.delete(rows, 3, axis=0)
    same(table, kept)
    [note] = table.notes
    assert note.startswith(f"1 of {len(kept) + 1} rows of {path} can be no localizations")
    assert reason in note


def test_the_first_of_several_damaged_rows_is_named_and_all_are_counted(
    rows: np.ndarray, tmp_path: Path
) -> None:
    lines = joined(rows, ",").splitlines()
    lines[3] = lines[3].replace(f",{rows[2, 1]},", ",nan,")
    lines[5] = "5,1"
    lines[8] = lines[8].replace(f",{rows[7, 2]},", ",?,")
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))

    [note] = read_table(path, PIXEL_NM).notes

    assert note.startswith("3 of 12 rows")
    assert "line 4 has frame 2, x_nm nan" in note


def test_what_is_not_known_of_a_row_does_not_cost_the_row(rows: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for k, nothing in enumerate(["", "NA", "-", "#N/A", "NaN", "null", "1.#QNAN"]):
        lines = joined(rows, ",").splitlines()
        lines[k + 1] = lines[k + 1].rsplit(",", 1)[0] + "," + nothing
        path.write_text("\n".join(lines))

        table = read_table(path, PIXEL_NM)

        assert len(table.localizations) == 12
        assert np.isnan(table.localizations.std_x_nm[k])
        assert table.notes == ()


def test_a_table_whose_rows_are_mostly_damaged_is_refused_in_one_sentence(
    rows: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    lines = joined(rows, ",").splitlines()
    path.write_text("\n".join([lines[0], *(f"row {k}" for k in range(9)), *lines[1:4]]))

    with pytest.raises(
        FileFormatError, match=r"t\.csv: line 2 has 1 value for 5 columns.* 9 of 12"
    ):
        read_table(path, PIXEL_NM)


def test_columns_that_nothing_is_known_about_are_named(rows: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    text = joined(rows, ",").replace("uncertainty [nm]", "mystery [furlong],intensity [ADU]")
    path.write_text("\n".join(f"{line},7" for line in text.splitlines()).replace("ADU],7", "ADU]"))

    [note] = read_table(path, PIXEL_NM).notes

    assert note == "columns of t.csv that are not read: mystery [furlong], intensity [ADU]"


@pytest.mark.parametrize(
    ("cells", "style"),
    [
        (["1.5", "1234.25"], NumberStyle(".", "")),
        (["1,5", "1234,25"], NumberStyle(",", "")),
        (["0,123", "628,258"], NumberStyle(",", "")),
        (["1.234,5", "17,25"], NumberStyle(",", ".")),
        (["1,234.5", "17.25"], NumberStyle(".", ",")),
        (["1,234,567", "12"], NumberStyle(".", ",")),
        (["12", "7", ""], NumberStyle(".", "")),
        (["1'234.5", "2.5"], NumberStyle(".", "'")),
    ],
)
def test_how_numbers_are_written_is_read_off_the_numbers(
    cells: list[str], style: NumberStyle
) -> None:
    assert number_style(cells) == style


@pytest.mark.parametrize(
    ("name", "base", "unit"),
    [
        ("x [nm]", "x", "nm"), ("X (µm)", "x", "um"), ("x_nm", "x", "nm"), ("xnano", "x", "nano"),
        ("Position X [nm]", "position_x", "nm"), ("x [Âµm]", "x", "um"), ("x [\ufffdm]", "x", "um"),
        ('"y [px]"', "y", "px"), ("locprecnm", "locprec", "nm"), ("frame", "frame", ""),
        ("xnmerr", "x_err", "nm"), ("Number Photons", "number_photons", ""),
    ],
)  # fmt: skip
def test_a_column_name_is_cut_into_what_it_is_and_its_unit(name: str, base: str, unit: str) -> None:
    cut = cut_name(name)

    assert (cut.base, cut.unit) == (base, unit)
