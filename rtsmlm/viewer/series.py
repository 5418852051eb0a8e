"""Series: curves and histograms of a run in bounded memory, however long it takes.

All curves run over frame numbers: they are what rows, estimates and status have in common,
whenever a window joins, and what stays right when the camera pauses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import Localizations
from rtsmlm.stream.messages import DensityMessage, StatusMessage
from rtsmlm.viewer.sources.updates import RunUpdate

F64 = NDArray[np.float64]

MOST_POINTS = 2048
BLOCK_FRAMES = 100
"""Medians are of so many frames."""
_BLOCK_ROWS = 20_000
"""Or of so many rows, if there are more in fewer frames."""


class Series:
    """A curve that keeps its shape: of neighbours, lowest and highest stay.

    Parameters
    ----------
    most_points
        So many points at most; beyond, twice as many values share a lowest and a highest.
    """

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most = max(2, most_points // 4 * 2)
        self._low = np.empty((self._most, 2))
        self._high = np.empty((self._most, 2))
        self.clear()

    def clear(self) -> None:
        """Forget all points."""
        self._n = 0
        self._share = 1  # values in one low and high
        self._filled = 0  # of them in the last
        self.last = math.nan
        """The newest value."""

    def append(self, at: float, value: float) -> None:
        """Add a value at a frame or time; NaN is no value."""
        if not math.isfinite(value):
            return
        self.last = value
        if self._filled == 0:
            if self._n == self._most:
                self._merge()
            self._low[self._n] = self._high[self._n] = at, value
            self._n += 1
        else:
            k = self._n - 1
            if value < self._low[k, 1]:
                self._low[k] = at, value
            if value > self._high[k, 1]:
                self._high[k] = at, value
        self._filled = (self._filled + 1) % self._share

    def _merge(self) -> None:
        first, second = slice(0, None, 2), slice(1, None, 2)
        low, high, half = self._low, self._high, self._most // 2
        lower = low[second, 1:] < low[first, 1:]
        higher = high[second, 1:] > high[first, 1:]
        self._low[:half] = np.where(lower, low[second], low[first])
        self._high[:half] = np.where(higher, high[second], high[first])
        self._n = half
        self._share *= 2

    def points(self) -> tuple[F64, F64]:
        """Return where and what the points are, in their order; both of shape (n,)."""
        low, high = self._low[: self._n], self._high[: self._n]
        swapped = (high[:, :1] < low[:, :1])[:, None]
        pairs = np.stack([low, high], axis=1)
        pairs = np.where(swapped, pairs[:, ::-1], pairs)
        is_one = pairs[:, 0, 0] == pairs[:, 1, 0]
        kept = np.column_stack([np.ones_like(is_one), ~is_one]).ravel()
        at, value = pairs.reshape(-1, 2)[kept].T
        return at, value


class RunSeries:
    """The curves of a run, out of its updates.

    `curves` holds, by name: density, density_low, density_high (mean, and a standard deviation
    below and above it), local_density, target, all per um²; photons, background (per pixel),
    precision_nm (medians of the rows of a hundred frames), emitters (per frame); p50_ms, p99_ms
    (latency of the run), recent_p50_ms, recent_p99_ms (of the last ten seconds), backlog (frames),
    frames_per_s; resolution_nm, decorrelation_nm, nyquist_nm, nena_nm; on_time_frames (how
    long emitters are on), drift_x_nm, drift_y_nm, drift_z_nm and the set points of stages
    hold_x_nm, hold_y_nm, hold_z_nm where the status has them.
    `powers` holds one curve per laser, in its own unit.
    """

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most_points = most_points
        self.curves = {name: Series(most_points) for name in (*_STATED, *_OF_ROWS)}
        self.powers: dict[str, Series] = {}
        self.frame_s = math.nan
        """Seconds from frame to frame by the estimates or the status, to label an axis in
        seconds; NaN while that is not known."""
        self._run: str | None = None
        self._estimate: tuple[int, int] | None = None
        self._block = _Block()
        self._frame = 0

    def add(self, update: RunUpdate) -> None:
        """Take what is new."""
        run = self._run if update.run is None else update.run.run
        if update.restarted or run != self._run:
            for name in _OF_ROWS:
                self.curves[name].clear()
            self._block = _Block()
        if run != self._run and self._run is not None:
            self._forget()
        self._run = run
        for estimate in update.densities:
            self._add_estimate(estimate)
        if update.status is not None:
            self._add_status(update.status)
        for rows in update.rows:
            self._add_rows(rows)
        if (found := update.resolution) is not None:
            for name in _OF_RESOLUTION:
                self.curves[name].append(found.frame, getattr(found, name))

    def _forget(self) -> None:
        for series in self.curves.values():
            series.clear()
        self.powers.clear()
        self.frame_s, self._estimate, self._frame = math.nan, None, 0

    def _add_estimate(self, estimate: DensityMessage) -> None:
        frame, mean, std = estimate.last_frame, estimate.mean_per_um2, estimate.std_per_um2
        self._frame = max(self._frame, frame)
        std = math.hypot(std, estimate.missed_std_per_um2) if math.isfinite(std) else 0.0
        self.curves["density"].append(frame, mean)
        if math.isfinite(mean):
            self.curves["density_low"].append(frame, max(0.0, mean - std))
            self.curves["density_high"].append(frame, mean + std)
        self.curves["local_density"].append(frame, estimate.local_per_um2)
        self.curves["target"].append(frame, estimate.target_per_um2)
        set_at = estimate.power_frame
        self._add_powers(frame if set_at is None else set_at, estimate.powers)
        end_ns = estimate.t_exposure_end_ns
        if end_ns is None:
            return
        if self._estimate is not None and frame > self._estimate[0]:
            self.frame_s = (end_ns - self._estimate[1]) / (frame - self._estimate[0]) / 1e9
        self._estimate = frame, end_ns

    def _add_status(self, status: StatusMessage) -> None:
        frame = self._frame = max(self._frame, status.totals.camera)
        for name in _OF_STATUS:
            self.curves[name].append(frame, getattr(status, name))
        if status.loop is not None:
            self.curves["target"].append(frame, status.loop.target_per_um2)
            self._add_powers(frame, status.loop.powers)
        for axis, value in status.drift.items():
            if (name := f"drift_{axis}") in self.curves:
                self.curves[name].append(frame, value)
        if status.hold is not None:
            for axis, value in status.hold.set_point_nm.items():
                if (name := f"hold_{axis}_nm") in self.curves:
                    self.curves[name].append(frame, value)
        self.curves["on_time_frames"].append(frame, status.blinking.get("on_time_frames", math.nan))
        if math.isnan(self.frame_s) and status.frames_per_s > 0:
            self.frame_s = 1 / status.frames_per_s

    def _add_powers(self, frame: float, powers: Mapping[str, float]) -> None:
        for name, power in powers.items():
            self.powers.setdefault(name, Series(self._most_points)).append(frame, power)

    def _add_rows(self, rows: Localizations) -> None:
        if not len(rows):
            return
        self._frame = max(self._frame, int(rows.frame.max()))
        cuts = np.flatnonzero(np.diff(rows.frame // BLOCK_FRAMES)) + 1
        for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            part = rows.take(slice(start, stop))
            block = int(part.frame[0]) // BLOCK_FRAMES
            if self._block.n_rows and (block != self._block.block or self._block.is_full):
                for name, value in self._block.medians().items():
                    self.curves[name].append(self._block.middle, value)
                self._block = _Block()
            self._block.add(block, part)


_OF_STATUS = ("p50_ms", "p99_ms", "recent_p50_ms", "recent_p99_ms", "backlog", "frames_per_s")
_OF_RESOLUTION = ("resolution_nm", "decorrelation_nm", "nyquist_nm", "nena_nm")
_STATED = (
    "density", "density_low", "density_high", "local_density", "target", *_OF_STATUS,
    *_OF_RESOLUTION, "on_time_frames", "drift_x_nm", "drift_y_nm", "drift_z_nm",
    "hold_x_nm", "hold_y_nm", "hold_z_nm",
)  # fmt: skip
_OF_ROWS = ("photons", "background", "precision_nm", "emitters")


class _Block:
    """Rows of one block of frames, until their medians are taken."""

    def __init__(self) -> None:
        self.block, self.n_rows = 0, 0
        self._parts: list[Localizations] = []

    def add(self, block: int, rows: Localizations) -> None:
        self.block = block
        self.n_rows += len(rows)
        self._parts.append(rows)

    @property
    def is_full(self) -> bool:
        return self.n_rows >= _BLOCK_ROWS

    @property
    def middle(self) -> float:
        """The middle frame."""
        first, last = self._parts[0].frame[0], self._parts[-1].frame[-1]
        return (int(first) + int(last)) / 2

    def medians(self) -> dict[str, float]:
        rows = Localizations.concatenate(self._parts)
        frames = len(np.unique(rows.frame)) if self.is_full else BLOCK_FRAMES
        return {
            "photons": _median(rows.photons),
            "background": _median(rows.background),
            "precision_nm": _median(rows.std_x_nm),
            "emitters": len(rows) / frames,
        }


def _median(values: NDArray[np.float32]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


@dataclass(frozen=True, slots=True)
class _Bins:
    """Evenly spaced bins of a value, or of its logarithm."""

    low: float
    high: float
    n: int
    logarithmic: bool = False

    def edges(self) -> F64:
        make = np.geomspace if self.logarithmic else np.linspace
        return np.asarray(make(self.low, self.high, self.n + 1))

    def count(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        known = values[(values >= self.low) & (values < self.high)].astype(np.float64)
        low, high = self.low, self.high
        if self.logarithmic:
            known, low, high = np.log(known), math.log(low), math.log(high)
        place = np.minimum((known - low) * (self.n / (high - low)), self.n - 1)
        return np.bincount(place.astype(np.int64), minlength=self.n)


_BINS = {
    "photons": _Bins(1.0, 1e6, 120, logarithmic=True),
    "std_x_nm": _Bins(0.1, 1000.0, 120, logarithmic=True),
    "background": _Bins(0.01, 1e5, 140, logarithmic=True),
    "z_nm": _Bins(-2000.0, 2000.0, 200),
    "probability": _Bins(0.0, 1.0 + 1e-6, 50),
}


class RowStatistics:
    """Histograms of photons, precision, background, z and probability of all rows so far.

    By the name of the column: photons, std_x_nm, background, z_nm, probability. Rows without z
    do not count for z.
    """

    names: Sequence[str] = tuple(_BINS)

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self.n_rows = 0
        self._counts = {name: np.zeros(bins.n, np.int64) for name, bins in _BINS.items()}

    def add(self, rows: Localizations) -> None:
        """Count rows."""
        self.n_rows += len(rows)
        columns = {name: getattr(rows, name) for name in _BINS}
        columns["z_nm"] = rows.z_nm[np.isfinite(rows.std_z_nm)]
        for name, bins in _BINS.items():
            self._counts[name] += bins.count(columns[name])

    def histogram(self, name: str) -> tuple[NDArray[np.int64], F64]:
        """Return counts, shape (n,), and edges of the bins, shape (n + 1,), in the column's unit.

        Values beyond the first and the last edge are not counted.

        Raises
        ------
        KeyError
            If there is no histogram of that name.
        """
        return self._counts[name].copy(), _BINS[name].edges()
