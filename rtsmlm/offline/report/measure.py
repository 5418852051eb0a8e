"""What is measured on a whole table for its report: image, resolution, precision."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

from rtsmlm.analysis.nena import nena_nm
from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_file import iter_arrow_batches
from rtsmlm.localizations import Localizations
from rtsmlm.offline.preview import SIDE_PX, preview_png
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.render import Renderer

_NENA_ROWS = 100_000


def measure(
    summary: TableSummary,
    table: Path,
    renderer: Renderer,
    meter: ResolutionMeter,
    *,
    shape_px: tuple[int, int],
    pixel_nm: float,
) -> None:
    """Put image, resolution, precision and field into the summary of a table.

    Parameters
    ----------
    summary
        Gets them.
    table
        A `localizations.arrows` file.
    renderer, meter
        Have seen all its rows.
    shape_px
        Height and width of the frames in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    """
    summary.resolution_nm, summary.correlation = meter.measured()
    summary.correlation_bin_nm = meter.bin_nm
    summary.field_um2 = shape_px[0] * shape_px[1] * (pixel_nm / 1000) ** 2
    image = renderer.image()
    step = max(1, -(-max(image.shape) // SIDE_PX))
    summary.preview_pixel_nm = renderer.image_pixel_nm * step
    summary.preview_png = preview_png(image, renderer.image_pixel_nm)
    summary.nena_nm = _nena_of(table)


def _nena_of(table: Path) -> float:
    """Return the precision by repeated localizations of the first rows; NaN without any."""
    rows = list(_first_rows(table))
    return nena_nm(Localizations.concatenate(rows)) if rows else math.nan


def _first_rows(table: Path) -> Iterator[Localizations]:
    n_rows = 0
    try:
        for rows in iter_arrow_batches(table):
            yield dataclasses.replace(rows, extras={})
            n_rows += len(rows)
            if n_rows >= _NENA_ROWS:
                return
    except FileFormatError:  # what is before the damage counts
        return
