"""An image for each channel beside that of all rows, named as the table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
from rtsmlm.offline.channel_images import channel_names
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.results import draw_table


@pytest.fixture
def rows(rng: np.random.Generator) -> Localizations:
    n = 120
    return Localizations.from_columns(
        {
            "frame": np.arange(n),
            "x_nm": rng.uniform(300, 1200, n),
            "y_nm": rng.uniform(300, 1200, n),
            "std_x_nm": np.full(n, 10.0),
            "std_y_nm": np.full(n, 10.0),
            "channel": np.repeat([0, 1, 255], [70, 30, 20]),
        }
    )


def draw(folder: Path, rows: Localizations, channels: list[str]) -> None:
    table = folder / "localizations.arrows"
    metadata = {"pixel_nm": 100.0, "shape": [16, 16], "channels": channels}
    with ArrowStreamFile(table, metadata) as file:
        file.put(rows)
    draw_table(table, (16, 32), TableSummary(), pixel_nm=100.0, image_pixel_nm=20.0)


def test_each_channel_has_an_image_of_its_rows_and_undecided_ones_are_in_that_of_all(
    tmp_path: Path, rows: Localizations
) -> None:
    draw(tmp_path, rows, ["AF647", "CF680"])

    counts = {
        name: tifffile.imread(tmp_path / f"{name}.tif").sum()
        for name in ("image", "image_AF647", "image_CF680")
    }
    assert counts["image"] == pytest.approx(120, rel=1e-3)
    assert counts["image_AF647"] == pytest.approx(70, rel=1e-3)
    assert counts["image_CF680"] == pytest.approx(30, rel=1e-3)
    assert (tmp_path / "image_channels.png").exists()


def test_images_have_the_size_of_the_first_view_that_the_table_states(
    tmp_path: Path, rows: Localizations
) -> None:
    draw(tmp_path, rows, ["AF647", "CF680"])

    assert tifffile.imread(tmp_path / "image_AF647.tif").shape == (80, 80)
    assert tifffile.imread(tmp_path / "image.tif").shape == (80, 80)


def test_a_table_of_one_channel_has_one_image(tmp_path: Path, rows: Localizations) -> None:
    draw(tmp_path, rows, ["AF647"])

    assert sorted(p.name for p in tmp_path.glob("*.tif")) == ["image.tif"]


@pytest.mark.parametrize(
    "stated", [["../../a", "b"], ["a", 3], "ab", None, ["a/b", "c"], ["", "b"]]
)
def test_names_that_are_no_names_of_files_are_not_used(stated: object) -> None:
    assert channel_names({"channels": stated}) == []
