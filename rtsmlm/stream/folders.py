"""Sentences for a stream that other users of the machine may read: without the folders in them."""

from __future__ import annotations

import re

_ABSOLUTE = re.compile(
    r"""(?<![\w:/\\.])          # not within a word, an address, or a path that is relative
    (?:[A-Za-z]:[\\/]|\\\\|/|~[\\/])
    (?:[^\\/:*?"'<>|\n]{0,120}[\\/])+   # each folder, also one with blanks in its name
    """,
    re.VERBOSE,
)


def without_folders(text: str) -> str:
    """Return a sentence in which a path is its last name alone, as `…/raw.ome.zarr`."""
    return _ABSOLUTE.sub("…/", text)
