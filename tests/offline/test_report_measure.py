"""What is measured on a table for its report is that of the rows that are in it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches
from rtsmlm.localizations import Localizations
from rtsmlm.offline.report.measure import measure
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.render import Renderer

SHAPE, PIXEL_NM, STD_NM = (40, 50), 100.0, 8.0


def blinking(rng: np.random.Generator, n: int) -> Localizations:
    """Return emitters that are on in four frames each, and scatter by `STD_NM`."""
    x, y = rng.uniform(300, 4700, n), rng.uniform(300, 3700, n)
    first = rng.integers(0, 2000, n)
    frame = (first[:, None] + np.arange(4)).ravel()
    places = {"x_nm": x, "y_nm": y}
    columns = {k: v.repeat(4) + rng.normal(0, STD_NM, 4 * n) for k, v in places.items()}
    columns |= {"std_x_nm": np.full(4 * n, STD_NM), "std_y_nm": np.full(4 * n, STD_NM)}
    return Localizations.from_columns({"frame": frame, **columns}).sorted_by_frame()


def measured(table: Path) -> TableSummary:
    summary = TableSummary()
    renderer = Renderer(SHAPE, PIXEL_NM, 20.0, mode="gaussian")
    meter = ResolutionMeter(SHAPE, PIXEL_NM)
    for rows in iter_arrow_batches(table):
        summary.add(rows)
        renderer.add(rows)
        meter.add(rows)
    measure(summary, table, renderer, meter, shape_px=SHAPE, pixel_nm=PIXEL_NM)
    return summary


def test_the_precision_of_repeated_localizations_is_found(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    rows = blinking(rng, 4000)
    with ArrowStreamFile(tmp_path / "a.arrows", {"pixel_nm": PIXEL_NM}) as table:
        for start in range(0, len(rows), 900):
            table.put(rows.take(slice(start, start + 900)))

    summary = measured(tmp_path / "a.arrows")

    assert summary.nena_nm == pytest.approx(STD_NM, rel=0.1)
    assert summary.field_um2 == pytest.approx(20.0)
    assert summary.preview_png.startswith(b"\x89PNG")
    assert summary.preview_pixel_nm == 20.0
    assert len(summary.correlation) > 100
    assert summary.n_rows == 16_000


def test_a_table_without_rows_has_an_image_and_no_figure(tmp_path: Path) -> None:
    ArrowStreamFile(tmp_path / "a.arrows", {"pixel_nm": PIXEL_NM}).close()

    summary = measured(tmp_path / "a.arrows")

    assert math.isnan(summary.nena_nm)
    assert math.isnan(summary.resolution_nm)
    assert len(summary.correlation) == 0
    assert summary.preview_png.startswith(b"\x89PNG")


def test_a_large_field_is_shown_in_coarser_pixels(tmp_path: Path) -> None:
    ArrowStreamFile(tmp_path / "a.arrows", {"pixel_nm": PIXEL_NM}).close()
    summary, shape = TableSummary(), (200, 400)
    renderer = Renderer(shape, PIXEL_NM, 20.0)

    measure(
        summary, tmp_path / "a.arrows", renderer, ResolutionMeter(shape, PIXEL_NM),
        shape_px=shape, pixel_nm=PIXEL_NM,
    )  # fmt: skip

    assert summary.preview_pixel_nm == 60.0, "2000 pixels across become 666"
