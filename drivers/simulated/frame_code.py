"""Frames that know who they are: the frame number written into the first pixels.

Order, loss and tearing can then be checked end to end, from the camera to the recording.
"""

from __future__ import annotations

import numpy as np

from rtsmlm.frames import Pixels

WORDS = 4
_WORD_BITS = 16


def encode_index(pixels: Pixels, index: int) -> None:
    """Write a frame number into the first four pixels of the first row, little end first.

    Parameters
    ----------
    pixels
        Frame, uint16, shape (height, width), at least four wide; written in place.
    index
        Frame number from 0 to 2^64 - 1.
    """
    if not 0 <= index < 1 << (WORDS * _WORD_BITS):
        raise ValueError(f"frame number {index} does not fit into {WORDS} pixels of 16 bits")
    mask = (1 << _WORD_BITS) - 1
    for word in range(WORDS):
        pixels[0, word] = (index >> (word * _WORD_BITS)) & mask


def decode_index(pixels: Pixels) -> int:
    """Return the frame number that `encode_index` wrote.

    Parameters
    ----------
    pixels
        Frame, uint16, shape (height, width).
    """
    words = np.asarray(pixels[0, :WORDS], dtype=np.uint64)
    return sum(int(word) << (i * _WORD_BITS) for i, word in enumerate(words))
