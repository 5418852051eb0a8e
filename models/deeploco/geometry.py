"""Numbers that graph, training and decoding share, without torch."""

from __future__ import annotations

TILE_PX, SLOTS = 64, 64
OVERLAP_PX = 8
STEP_PX = TILE_PX - OVERLAP_PX
"""From a tile to the next; a padded frame has so many pixels for each, and the overlap."""
NOMINAL_PIXEL_NM = 100.0
Z_FACTOR = 0.2
"""How much of a distance along z counts, in the loss and where slots are merged."""
LIGHT_UNIT = 1000.0
"""Photons of a light of 1, which goes with the square root: its noise is the same for all."""
