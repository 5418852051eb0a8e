"""LZW as TIFF has it, decompressed without a package of its own."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_CLEAR, _END, _FIRST = 256, 257, 258
_MOST_BITS = 12


@njit(cache=True, nogil=True)
def lzw_decode(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Decompress a block, until it ends or `out` is full.

    Parameters
    ----------
    data
        Compressed bytes, the highest bit first, shape (n,).
    out
        Where the bytes go, shape (m,).

    Returns
    -------
    :
        How many bytes were written; -1 for a block that is damaged.
    """
    # Each string of the table has been written before: a place in `out` and a length are enough.
    starts = np.zeros(1 << _MOST_BITS, np.int64)
    lengths = np.zeros(1 << _MOST_BITS, np.int64)
    bits, following, n = 9, _FIRST, 0
    before_at, before_length = 0, 0
    held, n_held = 0, 0
    for byte in data:
        held = ((held << 8) | byte) & 0xFFFFFF
        n_held += 8
        if n_held < bits:
            continue
        n_held -= bits
        code = (held >> n_held) & ((1 << bits) - 1)
        if code == _END:
            break
        if code == _CLEAR:
            bits, following, before_length = 9, _FIRST, 0
            continue
        if code >= following and (code > following or not before_length):
            return -1
        at, length = 0, 1
        if code == following:
            at, length = before_at, before_length + 1
        elif code >= _FIRST:
            at, length = starts[code], lengths[code]
        for k in range(length):
            if n + k == len(out):
                return len(out)
            # Byte by byte: the string may reach into what is being written.
            out[n + k] = code if code < _CLEAR else out[at + k]
        if before_length and following < 1 << _MOST_BITS:
            starts[following], lengths[following] = before_at, before_length + 1
            following += 1
        before_at, before_length = n, length
        n += length
        # The width grows one code early.
        if following == (1 << bits) - 1 and bits < _MOST_BITS:
            bits += 1
    return n
