"""One image for each channel of a table, and a picture of all in their colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from rtsmlm.files.tables.arrow_file import iter_arrow_batches
from rtsmlm.render import Renderer
from rtsmlm.render.rgb import RGB8
from rtsmlm.render.write_channels import channel_picture, write_channel, write_channels_picture

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


def channel_names(metadata: Mapping[str, object]) -> list[str]:
    """Return the names of the channels that a table states, none where they cannot name files."""
    stated = metadata.get("channels")
    if not isinstance(stated, list):
        return []
    names = [name for name in stated if isinstance(name, str) and _FILE_NAME.fullmatch(name)]
    return names if len(names) == len(stated) else []


def draw_channels(
    table: Path,
    shape: tuple[int, int],
    names: list[str],
    *,
    pixel_nm: float,
    image_pixel_nm: float,
) -> None:
    """Write `image_<name>.tif` of each channel, and `image_channels.png`, beside a table.

    One channel after another, so that no more than one image is in memory.

    Parameters
    ----------
    table
        A `localizations.arrows` file.
    shape
        Height and width of the field in camera pixels.
    names
        Of the channels, in the order of the column `channel`.
    pixel_nm
        Camera pixel in the sample plane.
    image_pixel_nm
        Pixel of the images.

    Raises
    ------
    SinkError
        If a file cannot be written.
    """
    pictures: list[RGB8] = []
    picture_pixel_nm = image_pixel_nm
    for channel, name in enumerate(names):
        renderer = Renderer(shape, pixel_nm, image_pixel_nm, mode="gaussian")
        for part in iter_arrow_batches(table):
            renderer.add(part.take(part.channel == channel))
        image = renderer.image()
        write_channel(table.parent, name, image, renderer.image_pixel_nm)
        picture, picture_pixel_nm = channel_picture(image, renderer.image_pixel_nm)
        pictures.append(picture)
    write_channels_picture(table.parent, pictures, picture_pixel_nm)
