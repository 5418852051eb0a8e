"""What is made of the table when all frames are in: image and exports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rtsmlm.files.arrow_table import iter_arrow_batches
from rtsmlm.files.export import export
from rtsmlm.render import Renderer, write_image


def render_table(
    table: Path, shape: tuple[int, int], *, pixel_nm: float, image_pixel_nm: float
) -> Renderer:
    """Return the super-resolution image of a table.

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
    """
    renderer = Renderer(shape, pixel_nm, image_pixel_nm, mode="gaussian")
    for part in iter_arrow_batches(table):
        renderer.add(part)
    return renderer


def finish_table(
    table: Path,
    shape: tuple[int, int],
    *,
    pixel_nm: float,
    image_pixel_nm: float,
    formats: Sequence[str],
    on_step: Callable[[str], None],
) -> None:
    """Write the image and the exports beside the table.

    Raises
    ------
    SinkError
        If a file cannot be written.
    """
    on_step("image")
    renderer = render_table(table, shape, pixel_nm=pixel_nm, image_pixel_nm=image_pixel_nm)
    write_image(table.parent, renderer.image(), renderer.image_pixel_nm)
    if formats:
        on_step("exports")
        export(table, formats, table.parent)
