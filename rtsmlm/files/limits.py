"""How much memory a file may ask for: all limits of foreign files, with their reasons.

A size that a file states is checked before memory is made for it. What is stored plainly can ask
for no more than its file has; compressed data, fill values and repeated pages can ask for a
thousand times as much. So a fixed amount is granted to every file, and beyond it only a multiple of
what is really stored: a movie of noise and a table of measured places are compressed a few times,
never 20 times.
"""

from __future__ import annotations

from pathlib import Path

from rtsmlm.errors import FileFormatError, number_text

MAX_SIDE_PX = 16384
"""No camera is larger; a header that states more is corrupt."""

FREE_FRAME_BYTES = 32 << 20
"""Granted to each frame of any movie: 4096 x 4096 pixels of 16 bits, as the largest sCMOS have."""

FREE_BYTES = 256 << 20
"""Granted to each chunk of frames, and to each table: 5 million rows."""

MAX_EXPANSION = 20
"""Beyond what is granted, so many bytes in memory for each stored one."""

MAX_CHUNKS = 4096
"""Chunks of one frame (64 x 64 of them); each costs a file and a fraction of a millisecond."""

MAX_CHUNKS_AT_ONCE = 1 << 15
"""Chunks that are read together, since a shard of several frames is read as a whole."""

MAX_SEGMENTS = 1 << 16
"""Strips or tiles of a page: more than one strip per row of the largest frame."""

MAX_BLOCK_BYTES = 1 << 30
"""What is decoded in one go: a chunk of zarr or HDF5. A larger one was made for another purpose."""

MAX_PAGE_BYTES = 64 << 20
"""A page of Parquet; writers make them of 1 MB, a dictionary that is not cut may have more."""

MAX_PAGES = 1 << 22
"""Pages of a TIFF file: a day at 48 Hz."""

MAX_LISTED_SEGMENTS = 1 << 26
"""Strips and tiles that all pages of a file list together: 64 rows of a million frames."""

MAX_METADATA_BYTES = 16 << 20
"""Metadata in JSON, which take up to 20 times as much in memory; those of zarr have a few kB."""

MAX_INDEX_ENTRIES = 1_000_000
"""Frames in an index of NDTiff: a day at 11 Hz, of 500 bytes each in memory."""

MAX_YAML_BYTES = 256 << 10
"""Metadata in YAML, whose parser takes 10 s for a megabyte; those of Picasso have 10 kB."""

LARGEST_NM = 1e9
"""Coordinates beyond a metre are damage, not microscopy."""

LARGEST_FRAME = 1 << 40
"""Frame numbers beyond are damage: a camera of 1 kHz needs 35 years to get there."""

ROW_BYTES = 52
"""A row of localizations in memory."""


def check_size(
    path: Path, what: str, needed_bytes: int, stored_bytes: int, free_bytes: int | None = None
) -> None:
    """Raise `FileFormatError` if what a file states needs too much memory for what it stores.

    Parameters
    ----------
    path
        The file, for the error.
    what
        What needs the memory, as "a frame" or "3000000 rows".
    needed_bytes
        In memory.
    stored_bytes
        On disk, compressed.
    free_bytes
        Granted in any case; not given is `FREE_BYTES`.
    """
    free_bytes = FREE_BYTES if free_bytes is None else free_bytes
    if needed_bytes > max(free_bytes, MAX_EXPANSION * stored_bytes):
        stored, free = number_text(stored_bytes / 1e6), number_text(free_bytes / 1e6)
        raise FileFormatError(
            f"{path} states {what} of {needed_bytes / 1e6:.6g} MB, but stores "
            f"{stored} MB for it; beyond {free} MB rtsmlm reads "
            f"what is at most {MAX_EXPANSION} times as large as it is stored: the file is damaged, "
            "or empty but for its size"
        )
