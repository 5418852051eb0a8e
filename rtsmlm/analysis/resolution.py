"""Resolution of what has been localized so far: Fourier ring correlation, and what else is said.

FRC compares the image of every other block of frames with the image of the rest (Nieuwenhuizen et
al. 2013, doi:10.1038/nmeth.2448): up to some spatial frequency they agree, and its inverse is the
resolution. Blocks, and not random halves, because an emitter that is on for a few frames would
otherwise stand in both images and agree with itself. A dye that blinks again later still does; that
part is not corrected for, so a labelling of few, long-lived dyes appears better than it is.

Every session and every window loads this module as it starts. SciPy's signal processing and
optimization would bring along its statistics, a third of all that they load: neither is used here.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from rtsmlm.analysis.decorrelation import decorrelation_bins, nyquist_nm
from rtsmlm.analysis.nena import RunningNena
from rtsmlm.localizations import F32, Localizations

F64 = NDArray[np.float64]

THRESHOLD = 1 / 7
BLOCK_FRAMES = 50
MOST_BINS = 2048
_STEP_BINS = 32
"""Sides are multiples of it, for a fast Fourier transform."""
_TAPER = 0.25
"""Part of a side that the window fades over, as in Nieuwenhuizen et al."""
_FIRST_RING = 4
"""Below stand the window and the shape of the sample, which agree without any structure."""
_LOCATE_ROWS = 20_000
"""Localizations needed to locate the sample."""
_CELLS = 8
"""Cells per side of the crop in the search for the densest place."""


def ring_correlation(first: F32, second: F32) -> F64:
    """Return the Fourier ring correlation of two images, from ring 0 to the Nyquist frequency.

    Parameters
    ----------
    first, second
        Counts, both of one shape (rows, columns); sides even.

    Returns
    -------
    :
        Shape (rings,), -1 to 1, NaN where both images hold nothing. Ring k is the frequency k over
        the longer side. Sum over a ring of Re(F1 F2*), over sqrt(sum |F1|² sum |F2|²):
        Nieuwenhuizen et al. 2013.

    Raises
    ------
    ValueError
        If the images differ in shape.
    """
    if first.shape != second.shape:
        raise ValueError(f"images of {first.shape} and {second.shape} have no rings in common")
    rows, columns = first.shape
    window = np.outer(_tukey(rows), _tukey(columns)).astype(np.float32)
    f1, f2 = (scipy.fft.rfft2(image * window) for image in (first, second))
    ring, n_rings = _rings(rows, columns)

    def total(values: NDArray[np.float32]) -> F64:
        sums = np.bincount(ring, weights=values.ravel(), minlength=n_rings + 1)
        return np.asarray(sums[:n_rings], np.float64)

    shared = total(f1.real * f2.real + f1.imag * f2.imag)
    power = total(f1.real**2 + f1.imag**2) * total(f2.real**2 + f2.imag**2)
    correlation = np.full(n_rings, np.nan)
    np.divide(shared, np.sqrt(power), out=correlation, where=power > 0)
    return correlation


def ring_sums(image: F32) -> tuple[F64, F64, F64]:
    """Return sums of amplitude and power of an image over each ring, and places of each, (rings,).

    Sides even; windowed as in `ring_correlation`.
    """
    rows, columns = image.shape
    window = np.outer(_tukey(rows), _tukey(columns)).astype(np.float32)
    amplitude = np.abs(scipy.fft.rfft2((image - image.mean()) * window)).ravel()
    ring, n_rings = _rings(rows, columns)

    def total(values: F32 | None) -> F64:
        return np.bincount(ring, values, minlength=n_rings + 1)[:n_rings].astype(np.float64)

    return total(amplitude), total(amplitude**2), total(None)


def _tukey(n: int) -> F64:
    """Return a Tukey window: 1, but for a raised cosine over half of `_TAPER` at either end."""
    from_end = np.minimum(np.arange(n), np.arange(n)[::-1]) / (n - 1)
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.minimum(from_end / _TAPER, 0.5))


@lru_cache(maxsize=2)
def _rings(rows: int, columns: int) -> tuple[NDArray[np.intp], int]:
    """Return the ring of each place of a real transform, flat, and how many rings there are.

    Pixels beyond the last ring, and places whose mirror image is there as well, get the number
    behind it.
    """
    side = max(rows, columns)
    n_rings = side // 2 + 1
    y = scipy.fft.fftfreq(rows, 1 / side)[:, None]
    x = scipy.fft.rfftfreq(columns, 1 / side)[None, :]
    ring = np.minimum(np.rint(np.hypot(y, x)), n_rings).astype(np.intp)
    ring[rows // 2 + 1 :, 0] = n_rings
    return ring.ravel(), n_rings


def resolution_bins(correlation: F64) -> float:
    """Return the resolution in bins: one over the frequency where the smoothed curve falls to 1/7.

    Parameters
    ----------
    correlation
        As `ring_correlation` returns it.

    Returns
    -------
    :
        At least 2; NaN where the images do not agree beyond the shape of the sample (not
        converged), or agree up to the Nyquist frequency (bins too coarse).
    """
    n_rings = len(correlation)
    span = max(math.ceil(n_rings / 20), 5)  # as Picasso does
    half = span // 2
    weights = (1 - np.abs(np.arange(-half, half + 1) / (half + 1)) ** 3) ** 3
    known = np.isfinite(correlation)
    total = np.convolve(np.where(known, correlation, 0.0), weights, "same")
    weight = np.convolve(known.astype(np.float64), weights, "same")
    smooth = np.divide(total, weight, out=np.zeros(n_rings), where=weight > 0)
    below = np.flatnonzero(smooth < THRESHOLD)
    # Smoothing carries the first rings as far as its half span.
    if not len(below) or below[0] < _FIRST_RING + half:
        return math.nan
    k = int(below[0])
    part = (smooth[k - 1] - THRESHOLD) / (smooth[k - 1] - smooth[k])
    return 2 * (n_rings - 1) / float(k - 1 + part)


@dataclass(frozen=True, slots=True)
class ResolutionFigures:
    """What is said of the resolution of the same localizations; NaN for what is not known."""

    frc_nm: float = math.nan
    """By Fourier ring correlation of alternate blocks of frames."""
    decorrelation_nm: float = math.nan
    """By decorrelation of the image of all."""
    nyquist_nm: float = math.nan
    """What the density of localizations allows at best."""
    nena_nm: float = math.nan
    """Precision of the newest localizations, by those that repeat from frame to frame (NeNA)."""


class ResolutionMeter:
    """FRC resolution while the run goes on; one thread adds, others may read meanwhile.

    Parameters
    ----------
    shape_px
        Height and width of a frame in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    bin_nm
        Bin of the two images; a resolution below two bins cannot be seen.
    most_bins
        Longest side of the images. Of a larger field the densest part is analysed, as the first
        localizations show it.
    block_frames
        Frames that go into one image before it is the other's turn.
    repeats
        Also measure the precision by localizations that repeat in the next frame, see
        `RunningNena`; the frames have to come in their order then.
    """

    def __init__(
        self,
        shape_px: tuple[int, int],
        pixel_nm: float,
        *,
        bin_nm: float = 5.0,
        most_bins: int = MOST_BINS,
        block_frames: int = BLOCK_FRAMES,
        repeats: bool = False,
    ) -> None:
        self.bin_nm = bin_nm
        self._block_frames = block_frames
        sides_nm = np.array(shape_px) * pixel_nm
        fitting = np.floor(np.minimum(sides_nm / bin_nm, most_bins) / _STEP_BINS) * _STEP_BINS
        rows, columns = (max(_STEP_BINS, int(side)) for side in fitting)
        self._images = np.zeros((2, rows, columns), np.float32)
        self._corner_nm: F64 = (sides_nm - self._sides_nm - pixel_nm) / 2
        """Y and x of the outer corner of bin (0, 0); the whole field in the middle, at first."""
        self._undecided = bool((sides_nm > 1.25 * self._sides_nm).any())
        self._waiting: list[Localizations] = []
        self._field_nm = np.stack([np.full(2, -pixel_nm / 2), sides_nm - pixel_nm / 2])
        self._lock = threading.Lock()
        self._nena = RunningNena() if repeats else None
        self.n_inside = 0
        """Localizations in the two images."""

    @property
    def _sides_nm(self) -> F64:
        return np.array(self._images.shape[1:]) * self.bin_nm

    def add(self, localizations: Localizations) -> None:
        """Take localizations, in any order."""
        if not len(localizations):
            return
        if self._nena is not None:
            self._nena.add(localizations)
        with self._lock:
            if not self._undecided:
                self._draw(localizations)
                return
            self._waiting.append(localizations)
            if sum(map(len, self._waiting)) >= _LOCATE_ROWS:
                self._settle()

    def _settle(self) -> None:
        """Choose the part of the field to analyse, and draw the rows kept until then."""
        rows = Localizations.concatenate(self._waiting)
        self._corner_nm = _densest(rows, self._field_nm, self._sides_nm)
        self._undecided, self._waiting = False, []
        self._draw(rows)

    def _draw(self, rows: Localizations) -> None:
        _, height, width = self._images.shape
        # As float64: a NaN compares false, and nothing far away runs over.
        y = np.floor((rows.y_nm.astype(np.float64) - self._corner_nm[0]) / self.bin_nm)
        x = np.floor((rows.x_nm.astype(np.float64) - self._corner_nm[1]) / self.bin_nm)
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        parity = rows.frame[inside] // self._block_frames % 2
        place = (parity * height + y[inside].astype(np.int64)) * width + x[inside].astype(np.int64)
        np.add.at(self._images.reshape(-1), place, np.float32(1))
        self.n_inside += len(place)

    def resolution_nm(self) -> float:
        """Return the FRC resolution of all so far, in nm; NaN while it has not converged.

        Takes some tenths of a second at full size: not for a time-critical thread.
        """
        return self.measured()[0]

    def figures(self) -> ResolutionFigures:
        """Return all figures; takes some tenths of a second at full size."""
        frc_nm, _ = self.measured()
        with self._lock:
            if self.n_inside < 2:
                return ResolutionFigures()
            whole = self._images.sum(axis=0)
        sums = ring_sums(whole)
        return ResolutionFigures(
            frc_nm,
            decorrelation_bins(*sums) * self.bin_nm,
            nyquist_nm(whole, self.bin_nm),
            math.nan if self._nena is None else self._nena.value_nm(),
        )

    def measured(self) -> tuple[float, F64]:
        """Return that resolution, and the correlation that it is read from.

        Returns
        -------
        :
            The resolution in nm, and the correlation as `ring_correlation` returns it; NaN and
            nothing while there are no two localizations.
        """
        with self._lock:
            if self.n_inside < 2:
                return math.nan, np.empty(0)
            first, second = self._images.copy()
        correlation = ring_correlation(first, second)
        return resolution_bins(correlation) * self.bin_nm, correlation


def _densest(rows: Localizations, field_nm: F64, sides_nm: F64) -> F64:
    """Return the corner (y, x) of the window of `sides_nm` with most of the rows in it."""
    low, high = field_nm
    cells = np.maximum(np.ceil((high - low) / sides_nm * _CELLS).astype(int), _CELLS)
    edges = [np.linspace(a, b, n + 1) for a, b, n in zip(low, high, cells, strict=True)]
    counts = np.histogram2d(rows.y_nm, rows.x_nm, bins=edges)[0]
    sums = np.pad(counts.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    n = _CELLS
    windows = sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]
    best = np.unravel_index(int(windows.argmax()), windows.shape)
    corner = low + np.array(best) * (high - low) / cells
    return np.asarray(np.minimum(corner, np.maximum(high - sides_nm, low)))
