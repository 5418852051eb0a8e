"""What the flagship's maps hold: every number and formula of their code, once.

Maps have half the resolution of the frames: channel 4a + 2r + c of a cell is attribute a of the
pixel in row r, column c of that cell; one more channel holds the background of the cell. The loss
and the decoder on a device evaluate these formulas in `maps_on_device`, the compiled decoder in
`slots`; the manifest states them in the words of `ATTRIBUTES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Map(IntEnum):
    """Attributes of a slot, in the order of their channels."""

    LOGIT = 0
    DX = 1
    DY = 2
    PHOTONS = 3
    STD_X = 4
    STD_Y = 5
    STD_PHOTONS = 6
    Z = 7
    """Of an astigmatic PSF only, like the next one."""
    STD_Z = 8


SLOTS = 4
"""Slots of a cell of 2 x 2 pixels."""
PLANAR_ATTRIBUTES, AXIAL_ATTRIBUTES = len(Map) - 2, len(Map)
BACKGROUND_CHANNEL = SLOTS * PLANAR_ATTRIBUTES
AXIAL_BACKGROUND_CHANNEL = SLOTS * AXIAL_ATTRIBUTES

PHOTONS_UNIT = 1000.0
LOG_PHOTONS_LIMIT = 5.0
"""Least and largest logarithm of photons in that unit."""
BACKGROUND_SCALE = 3.0
LOG_BACKGROUND_LEAST, LOG_BACKGROUND_MOST = -10.0, 12.0
STD_BIAS = 2.0
"""Raw 0 means a standard deviation of exp(-2) pixels."""
RAW_STD_LEAST, RAW_STD_MOST = -4.0, 3.0
Z_REACH = 1.25
"""Half ranges of z that the network can state."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A channel of the slots in words, for the manifest."""

    name: str
    unit: str
    activation: str


_STD = f"exp(clip(v, {RAW_STD_LEAST:g}, {RAW_STD_MOST:g}) - {STD_BIAS:g})"
_LIGHT = f"{PHOTONS_UNIT:g} exp(clip(v, -{LOG_PHOTONS_LIMIT:g}, {LOG_PHOTONS_LIMIT:g}))"
ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("logit", "1", "p = 1 / (1 + exp(-v))"),
    Attribute("dx", "px", "tanh(v), from the pixel's centre"),
    Attribute("dy", "px", "tanh(v), from the pixel's centre"),
    Attribute("photons", "photon", _LIGHT),
    Attribute("std_x", "px", _STD),
    Attribute("std_y", "px", _STD),
    Attribute("std_photons", "relative", _STD),
    Attribute("z", "half range", f"{Z_REACH:g} tanh(v), from the middle of the range of z"),
    Attribute("std_z", "half range", _STD),
)
BACKGROUND = Attribute("background", "photon/px", f"exp({BACKGROUND_SCALE:g} v), mean of the cell")


def attributes_of(*, axial: bool) -> int:
    """Return how many attributes a slot has."""
    return AXIAL_ATTRIBUTES if axial else PLANAR_ATTRIBUTES


def background_channel_of(*, axial: bool) -> int:
    """Return the channel of the background: the one after those of the slots."""
    return SLOTS * attributes_of(axial=axial)
