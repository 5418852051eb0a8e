"""Numbers of the tags of TIFF that are looked at, and the kinds of values they have."""

from __future__ import annotations

WIDTH, HEIGHT, BITS, COMPRESSION, FILL_ORDER, DESCRIPTION = 256, 257, 258, 259, 266, 270
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PREDICTOR = 273, 277, 278, 279, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, FORMAT = 322, 323, 324, 325, 339
SUBFILE_TYPE, METAMORPH, MICROMANAGER, DEPTH = 254, 33629, 51123, 32997

OF_LAYOUT = frozenset(
    {
        WIDTH, HEIGHT, BITS, COMPRESSION, FILL_ORDER, SAMPLES, ROWS_PER_STRIP, PREDICTOR,
        TILE_WIDTH, TILE_HEIGHT, FORMAT, SUBFILE_TYPE, DEPTH,
    }
)  # fmt: skip

TYPES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
          17: 8, 18: 8}  # fmt: skip
