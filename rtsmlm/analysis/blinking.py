"""How emitters blink: how long they are on and off, how often they come back, when they bleach."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_MOST_BINS = 512
_MOST_PLACES = 1 << 17
"""That are remembered; beyond, the oldest are forgotten."""
_NEAR = 3.0
"""Standard deviations within which an emitter has come back to a place."""
_MOST_NM = 60.0
_PARTS = 64
_LEAST = 100
"""Emitters that a time constant is stated from."""


class _Places(NamedTuple):
    """Where emitters were on; the newest stands at n % places."""

    x: F64
    y: F64
    variance: F64
    last: I64
    head: I64
    follows: I64
    n: I64


def _no_places() -> _Places:
    x, y, variance = np.zeros((3, _MOST_PLACES))
    last, follows = np.zeros((2, _MOST_PLACES), np.int64)
    return _Places(x, y, variance, last, np.full(_MOST_PLACES, -1), follows, np.zeros(1, np.int64))


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(x: float, y: float, dx: int, dy: int) -> int:
    column = np.int64(math.floor(x / _MOST_NM)) + dx
    row = np.int64(math.floor(y / _MOST_NM)) + dy
    return int((column * 73856093 ^ row * 19349663) & (_MOST_PLACES - 1))


@njit(cache=True, nogil=True, error_model="numpy")
def _forget(places: _Places, i: int) -> None:
    slot = _slot(places.x[i], places.y[i], 0, 0)
    k = places.head[slot]
    if k == i:
        places.head[slot] = places.follows[i]
        return
    while k >= 0:
        if places.follows[k] == i:
            places.follows[k] = places.follows[i]
            return
        k = places.follows[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _visit(places: _Places, x: F64, y: F64, std: F64, first: I64, last: I64) -> I64:
    """Return for how many frames the place of each emitter was dark before, -1 for a new place."""
    dark = np.full(len(x), -1)
    for k in range(len(x)):
        best, nearest = -1, math.inf
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                i = places.head[_slot(x[k], y[k], dx, dy)]
                while i >= 0:
                    square = (places.x[i] - x[k]) ** 2 + (places.y[i] - y[k]) ** 2
                    limit = min(_NEAR**2 * (places.variance[i] + std[k] ** 2), _MOST_NM**2)
                    if square < limit and square < nearest and places.last[i] < first[k]:
                        best, nearest = i, square
                    i = places.follows[i]
        if best >= 0:
            dark[k] = first[k] - places.last[best] - 1
            places.last[best] = last[k]
            continue
        i = places.n[0] % _MOST_PLACES
        if places.n[0] >= _MOST_PLACES:
            _forget(places, i)
        places.n[0] += 1
        places.x[i], places.y[i], places.variance[i] = x[k], y[k], std[k] ** 2
        places.last[i] = last[k]
        slot = _slot(x[k], y[k], 0, 0)
        places.follows[i], places.head[slot] = places.head[slot], i
    return dark


class BlinkStatistics:
    """Figures of a linked table that grows, in bounded memory."""

    def __init__(self) -> None:
        self._on = np.zeros(_MOST_BINS, np.int64)
        """Emitters by the frames that they were on; the last bin are all that were on longer."""
        self._places = _no_places()
        self._dark = np.zeros(_MOST_BINS, np.int64)
        """Returns by the logarithm of the frames before."""
        self._new = np.zeros(_PARTS, np.int64)
        """Emitters by their first frame, in parts of equal length."""
        self._part_frames = 16
        self.n_emitters = self.n_rows = self.n_returns = 0
        self._photons = 0.0
        self._first, self._last = -1, -1

    def add(self, linked: Localizations, *, is_cut: bool = False) -> None:
        """Count linked rows, in order of frames; those that the end cuts off state no time."""
        if not len(linked):
            return
        frames = linked.extras["on_frames"].astype(np.int64)
        last = linked.frame + frames - 1
        if self._first < 0:
            self._first = int(linked.frame.min())
        self._last = max(self._last, int(last.max()))
        self.n_emitters += len(linked)
        self.n_rows += int(linked.extras["n_rows"].sum())
        self._photons += float(np.nansum(linked.photons))
        if not is_cut:
            whole = frames[linked.frame > self._first]
            self._on += np.bincount(np.minimum(whole, _MOST_BINS) - 1, minlength=_MOST_BINS)
        self._count_new(linked.frame)
        std = np.nan_to_num((linked.std_x_nm + linked.std_y_nm) / 2, nan=15.0)
        x, y, std = (c.astype(np.float64) for c in (linked.x_nm, linked.y_nm, std))
        dark = _visit(self._places, x, y, std, linked.frame, last)
        dark = dark[dark >= 0]
        self.n_returns += len(dark)
        self._dark += np.bincount(_log_bin(dark), minlength=_MOST_BINS)

    def _count_new(self, frame: I64) -> None:
        since = frame - self._first
        while since.max() >= _PARTS * self._part_frames:
            self._new[: _PARTS // 2] = self._new.reshape(-1, 2).sum(axis=1)
            self._new[_PARTS // 2 :] = 0
            self._part_frames *= 2
        since = np.maximum(since, 0)  # one that was on for long ends after later ones
        self._new += np.bincount(since // self._part_frames, minlength=_PARTS)

    @property
    def on_time_frames(self) -> float:
        """Mean time that an emitter is on, in frames: the time constant of its end.

        Of emitters that are seen in two frames or more: how often they are seen in the next one.
        That does not depend on how bright the parts of a frame at begin and end have to be.
        """
        longer = self._on[1:]
        n = int(longer.sum())
        excess = float((np.arange(len(longer)) * longer).sum())
        return 1 / math.log(1 + n / excess) if n >= _LEAST and excess else math.nan

    @property
    def off_time_frames(self) -> float:
        """Median time that a place is dark before an emitter is on there again, in frames.

        Emitters of one place cannot be told apart: with many of them it is shorter than that of
        one. Times longer than the run are not seen.
        """
        if self.n_returns < _LEAST:
            return math.nan
        k = int(np.searchsorted(np.cumsum(self._dark), self.n_returns / 2))
        return float(_BASE**k)

    @property
    def bleaching_time_frames(self) -> float:
        """Time constant with which new emitters become fewer, in frames; infinite if they do not.

        Of the whole parts of the run so far. NaN while it is not known. A laser that is steered
        hides it.
        """
        n_parts = (self._last - self._first + 1) // self._part_frames
        counts = self._new[:n_parts].astype(np.float64)
        if n_parts < 8 or counts.sum() < _LEAST:
            return math.nan
        # The most likely exponential: its mean time is that of the emitters.
        at = np.arange(n_parts) + 0.5
        mean = float((at * counts).sum() / counts.sum()) / n_parts
        error = 1 / math.sqrt(12 * counts.sum())
        if mean > 0.5 - 3 * error:
            return math.inf
        low, high = 1e-3, 1e3
        for _ in range(60):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if _mean_of(middle) > mean else (low, middle)
        return n_parts * self._part_frames / low

    def as_dict(self) -> dict[str, float | int]:
        """Return the figures by name; those that are not known are NaN."""
        n, n_frames = self.n_emitters, self._last - self._first + 1
        places = n - self.n_returns
        return {
            "emitters": n,
            "rows": self.n_rows,
            "rows_per_emitter": self.n_rows / n if n else math.nan,
            "per_emitter_photons": self._photons / n if n else math.nan,
            "new_per_frame": n / n_frames if n else math.nan,
            "on_time_frames": self.on_time_frames,
            "off_time_frames": self.off_time_frames,
            "times_on_per_place": n / places if places else math.nan,
            "bleaching_time_frames": self.bleaching_time_frames,
        }


_BASE = 1.05


def _log_bin(frames: I64) -> I64:
    bins = np.rint(np.log(np.maximum(frames, 1)) / math.log(_BASE)).astype(np.int64)
    return np.minimum(bins, _MOST_BINS - 1)


def _mean_of(rate: float) -> float:
    """Return the mean of an exponential that is cut at 1."""
    return 1 / rate - 1 / math.expm1(rate) if rate > 1e-2 else 0.5 - rate / 12
