"""Resolution of one image by decorrelation analysis, and the limit that its sampling sets.

Descloux et al. 2019, doi:10.1038/s41592-019-0515-7: the image is correlated with itself, each
spatial frequency weighed the same, up to a radius; what is noise alone brings the correlation down,
so that it is highest where the signal ends. With the low frequencies filtered away step by step
the last one that is still there is found.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_RADII = 100
_FILTERS = 60
_NARROWEST_PX = 0.15
_LEAST_FALL = 5e-4
"""Of the correlation behind a maximum, as in Descloux et al."""
_CELL_NM = 100.0
"""Wide beside the precision, narrow beside the field: the density of labels on the structure."""


def decorrelation_bins(amplitude: F64, power: F64, count: F64) -> float:
    """Return the resolution in bins; NaN where no maximum is found.

    Parameters
    ----------
    amplitude, power
        Sums of |F| and |F|² over each ring of the Fourier transform F of an image, from ring 0 to
        the Nyquist frequency, (rings,).
    count
        Places of each ring, (rings,).

    Notes
    -----
    With |F| divided by itself a correlation up to a radius is the sum of |F| within it, over the
    root of the sum of |F|² of all times the number of places within; a filter that depends on the
    radius alone weighs the sums of the rings. One transform is all that is needed.
    """
    n = len(count)
    if n < 8 or not power[1:].sum():
        return math.nan
    radius = np.arange(n) / (n - 1)
    amplitude, power = amplitude.copy(), power.copy()
    amplitude[0] = power[0] = 0.0  # the mean of the image is no structure
    within = np.cumsum(count)
    at = np.unique(np.rint(np.linspace(1, n - 1, _RADII)).astype(int))

    def last_frequency(passed: F64) -> float:
        inside = np.cumsum(passed * amplitude)[at]
        total = (passed**2 * power).sum()
        correlation = inside / np.sqrt(total * within[at])
        k = _maximum(correlation)
        return 0.0 if k < 0 else float(radius[at[k]])

    first = last_frequency(np.ones(n))
    if not first:
        return math.nan
    best = first
    for width_px in np.geomspace(2 / first, _NARROWEST_PX, _FILTERS):
        # Frequencies in cycles per bin are half of the radius.
        passed = 1 - np.exp(-2 * (math.pi * width_px * radius / 2) ** 2)
        best = max(best, last_frequency(passed))
    return 2 / best


def _maximum(correlation: F64) -> int:
    """Return where the correlation is highest and falls again behind it, -1 if it does nowhere."""
    n = len(correlation)
    while n > 1:
        k = int(correlation[:n].argmax())
        if k == 0:
            return -1
        if k < n - 1 and correlation[k] - correlation[k:n].min() >= _LEAST_FALL:
            return k
        n = k if k < n - 1 else n - 1
    return -1


def nyquist_nm(counts: NDArray[np.float32], bin_nm: float) -> float:
    """Return the limit that the density of localizations sets, 2 / sqrt(density), in nm.

    Shroff et al. 2008, doi:10.1038/nmeth.1202; the density is that of where a localization lies in
    the median, in cells of 100 nm, so that the empty parts of the field do not count.

    Parameters
    ----------
    counts
        Localizations per bin, (rows, columns).
    bin_nm
        Side of a bin.

    Returns
    -------
    :
        NaN where there are no localizations.
    """
    n = max(1, round(_CELL_NM / bin_nm))
    rows, columns = (side // n * n for side in counts.shape)
    if not rows or not columns:
        return math.nan
    blocks = counts[:rows, :columns].reshape(rows // n, n, columns // n, n)
    cells = np.sort(blocks.sum(axis=(1, 3), dtype=np.float64).ravel())
    total = np.cumsum(cells)
    if not total[-1]:
        return math.nan
    # Others in the cell of a localization: it stands itself in a cell that is fuller than most.
    others = cells[np.searchsorted(total, total[-1] / 2)] - 1
    if others < 1:
        others = (cells * (cells - 1)).sum() / total[-1]
    return 2 / math.sqrt(others) * n * bin_nm if others > 0 else math.nan
