"""Predictions of a run: the images that `write_layer` left in its folder; no Qt."""

from __future__ import annotations

import logging
from pathlib import Path

from rtsmlm.errors import FileFormatError
from rtsmlm.protocols import ImageLayer
from rtsmlm.render.layer_file import PREFIX, read_layer

_log = logging.getLogger(__name__)


def read_predictions(folder: Path, known: dict[Path, int] | None = None) -> list[ImageLayer]:
    """Return the layers of a run folder by name, each followed by its uncertainty if it has one.

    What cannot be read is logged and left out.

    Parameters
    ----------
    folder
        Of the run; it need not have any.
    known
        When each file was written that has been read before, and is not read again; those that are
        read are added.
    """
    known = {} if known is None else known
    found = []
    for path in sorted(folder.glob(f"{PREFIX}*.tif")):
        try:
            written_ns = path.stat().st_mtime_ns
            if known.get(path) == written_ns:
                continue
            known[path] = written_ns
            stored = read_layer(path)
            found.append(stored.layer)
            if stored.uncertainty is not None:
                found.append(stored.uncertainty)
        except (FileFormatError, OSError) as error:  # must not take the picture of the rows away
            _log.warning("%s is not shown: %s", path, error)
    return found
