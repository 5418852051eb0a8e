"""What is made of the table when all frames are in: image, exports, and what the report shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rtsmlm.files.arrow_table import iter_arrow_batches
from rtsmlm.files.export import export
from rtsmlm.files.report import TableSummary
from rtsmlm.render import Renderer, write_image


def finish_table(
    table: Path,
    shape: tuple[int, int],
    *,
    pixel_nm: float,
    image_pixel_nm: float,
    formats: Sequence[str],
    on_step: Callable[[str], None],
) -> TableSummary:
    """Write the image and the exports beside the table, and return its summary.

    Parameters
    ----------
    table
        A `localizations.arrows` file.
    shape
        Height and width of the frames in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    image_pixel_nm
        Pixel of the image.
    formats
        What to export: csv, picasso, parquet.
    on_step
        Called with the name of what is being done.

    Raises
    ------
    SinkError
        If a file cannot be written.
    """
    on_step("image")
    renderer = Renderer(shape, pixel_nm, image_pixel_nm, mode="gaussian")
    summary = TableSummary()
    for part in iter_arrow_batches(table):
        renderer.add(part)
        summary.add(part)
    write_image(table.parent, renderer.image(), renderer.image_pixel_nm)
    if formats:
        on_step("exports")
        export(table, formats, table.parent)
    return summary
