"""Emitter density from localizations, tick by tick, with how well it is known.

Everything is counted in the field without a rim of three PSF widths, where localizers find fewer.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.feedback.crowding import CrowdingMonitor
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.frames import FrameBatch
from rtsmlm.laser_settings import FeedbackSettings
from rtsmlm.localizations import F32, Localizations

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]

LEAST_FRAMES = 10
LOOKS_PER_TICK = 4
"""Frames of a tick that the crowding alarm looks at."""
RIM_SIGMA = 3.0
GAP_FRAMES = 2
"""An emitter that is missed in one frame is the same one in the next."""
MOST_TRACKS = 32_768
MOST_CELLS = 256
"""Along an axis, to find near tracks by."""
FIDUCIAL_TICKS = 5
"""What stays on for longer counts, but adds nothing to the scatter and to the crowded part."""
TILE_MEMORY = 0.2
"""Weight of the newest tick in running means: which tiles are occupied, how uneven they are."""
OCCUPIED = 0.2
"""Part of the mean of all tiles with emitters in them; less is a few false ones."""

NETWORK = np.array(
    [
        [0.0, 0.002, 0.0031, 0.0050, 0.0078, 0.0149, 0.0213, 0.028, 0.039, 0.048, 0.055],
        [1.03, 1.035, 1.06, 1.07, 1.11, 1.15, 1.16, 1.215, 1.31, 1.37, 1.50],
    ]
)
FIT = np.array(
    [
        [0.0, 0.0020, 0.0031, 0.0046, 0.0068, 0.0113, 0.0135],
        [1.02, 1.045, 1.08, 1.13, 1.27, 1.51, 1.83],
    ]
)
"""Sum of probabilities in a square of the PSF width, and the true count over it.

Measured on simulated frames with emitters at random places (sigma 1.3 px of 100 nm, 500 and 1500
photons with a spread of 40 %, on for three frames in the mean, sCMOS): `FIT` with gaussian-mle up
to 1.5 emitters per um², `NETWORK` as the mean of flagship-2d and flagship-2d-fast, which lie 3 %
apart at 0.1 and 6 % at 4 per um², where it ends. Beyond the ends the count says next to nothing
of the truth, and its last factor is kept."""

# Sums over a tick.
COUNT, NEW, NEW_FRAMES, SQUARES, DOUBTFUL = range(5)
N_SUMS = 5


class Tracks(NamedTuple):
    """Emitters that are on, the first n[0] of each array."""

    n: I64
    x_px: F64
    y_px: F64
    last_frame: I64
    weight: F64
    """Sum of probabilities in this tick."""
    ticks: I64
    """Ticks that have ended since it came."""
    first: I64
    """Number of a track by cell, -1 for none."""
    following: I64
    """Number of the next track in the cell."""
    row: I64
    """Row of this frame that is nearest to it and has no nearer track, -1 for none."""
    square_px2: F64
    """Square of its distance."""


class Field(NamedTuple):
    """Where to count, in pixels."""

    top: float
    left: float
    bottom: float
    right: float
    tile_rows: int
    tile_columns: int
    radius_px: float
    """A row nearer to the last place of an emitter than this is that emitter."""
    cell_px: float


@njit(cache=True, nogil=True, error_model="numpy")
def _tile(x: float, y: float, field: Field) -> int:
    row = int((y - field.top) / (field.bottom - field.top) * field.tile_rows)
    column = int((x - field.left) / (field.right - field.left) * field.tile_columns)
    return min(row, field.tile_rows - 1) * field.tile_columns + min(column, field.tile_columns - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _book(i: int, tracks: Tracks, field: Field, tiles: F64, sums: F64) -> None:
    """Book how much a track has added to the scatter of the count in this tick."""
    if tracks.ticks[i] < FIDUCIAL_TICKS:
        square = tracks.weight[i] ** 2
        sums[SQUARES] += square
        tiles[1, _tile(tracks.x_px[i], tracks.y_px[i], field)] += square
    tracks.weight[i] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_tracks(frame: int, tracks: Tracks, field: Field, tiles: F64, sums: F64) -> None:
    """Drop the tracks that have ended and put the others into cells."""
    kept = 0
    tracks.first[:] = -1
    for i in range(tracks.n[0]):
        if not 0 < frame - tracks.last_frame[i] <= GAP_FRAMES:
            _book(i, tracks, field, tiles, sums)
            continue
        tracks.x_px[kept], tracks.y_px[kept] = tracks.x_px[i], tracks.y_px[i]
        tracks.last_frame[kept], tracks.ticks[kept] = tracks.last_frame[i], tracks.ticks[i]
        tracks.weight[kept] = tracks.weight[i]
        row = int((tracks.y_px[kept] - field.top) / field.cell_px)
        cell = row * MOST_CELLS + int((tracks.x_px[kept] - field.left) / field.cell_px)
        tracks.following[kept], tracks.first[cell] = tracks.first[cell], kept
        tracks.row[kept] = -1
        kept += 1
    tracks.n[0] = kept


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest(x: float, y: float, k: int, tracks: Tracks, field: Field) -> tuple[int, float]:
    """Return the nearest track that is row k's or nobody's, or -1, and its squared distance.

    Old ones count as nearer, so that a fiducial is not lost to an emitter that comes beside it.
    """
    best, least = -1, math.inf
    row, column = int((y - field.top) / field.cell_px), int((x - field.left) / field.cell_px)
    for r in range(max(row - 1, 0), min(row + 2, MOST_CELLS)):
        for c in range(max(column - 1, 0), min(column + 2, MOST_CELLS)):
            i = tracks.first[r * MOST_CELLS + c]
            while i >= 0:
                square = (tracks.x_px[i] - x) ** 2 + (tracks.y_px[i] - y) ** 2
                near = square < field.radius_px**2 and square / (1 + tracks.ticks[i]) < least
                if near and (k < 0 or tracks.row[i] == k or tracks.row[i] < 0):
                    best, least = i, square / (1 + tracks.ticks[i])
                i = tracks.following[i]
    return best, least


@njit(cache=True, nogil=True, error_model="numpy")
def _claim(x_px: F32, y_px: F32, tracks: Tracks, field: Field) -> None:
    """Give every track the nearest of the rows that it is nearest to."""
    for k in range(len(x_px)):
        x, y = float(x_px[k]), float(y_px[k])
        if not (field.left <= x < field.right and field.top <= y < field.bottom):
            continue
        i, square = _nearest(x, y, -1, tracks, field)
        if i >= 0 and (tracks.row[i] < 0 or square < tracks.square_px2[i]):
            tracks.row[i], tracks.square_px2[i] = k, square


@njit(cache=True, nogil=True, error_model="numpy")
def _count_frame(
    frame: int,
    follows: bool,
    x_px: F32,
    y_px: F32,
    probability: F32,
    tracks: Tracks,
    field: Field,
    tiles: F64,
    sums: F64,
) -> None:
    """Count the rows of a frame; rows that are not finite are none.

    `follows` tells that the frame before was seen. `tiles` gets counts and what they scatter,
    shape (2, tiles).
    """
    _sort_tracks(frame, tracks, field, tiles, sums)
    _claim(x_px, y_px, tracks, field)
    sums[NEW_FRAMES] += follows
    for k in range(len(x_px)):
        x, y, p = float(x_px[k]), float(y_px[k]), float(probability[k])
        if not (field.left <= x < field.right and field.top <= y < field.bottom):
            continue
        if math.isnan(p):
            p = 1.0
        p = min(max(p, 0.0), 1.0)
        sums[COUNT] += p
        sums[DOUBTFUL] += p < 1.0
        i, _ = _nearest(x, y, k, tracks, field)
        if i < 0:
            sums[NEW] += p * follows
            i = tracks.n[0]
            if i == MOST_TRACKS:
                sums[SQUARES] += p * p
                continue
            tracks.n[0] += 1
            tracks.ticks[i], tracks.weight[i] = 0, 0.0
        tracks.x_px[i], tracks.y_px[i], tracks.last_frame[i], tracks.row[i] = x, y, frame, k
        tracks.weight[i] += p
        if tracks.ticks[i] < FIDUCIAL_TICKS:
            tiles[0, _tile(x, y, field)] += p


@njit(cache=True, nogil=True, error_model="numpy")
def _end_tick(tracks: Tracks, field: Field, tiles: F64, sums: F64) -> None:
    for i in range(tracks.n[0]):
        _book(i, tracks, field, tiles, sums)
        tracks.ticks[i] += 1


class DensityMeter:
    """Collects localizations over a tick and says how dense the emitters were.

    Parameters
    ----------
    calibration
        Camera calibration in force.
    shape
        Height and width of a frame in pixels.
    sigma_nm
        Standard deviation of the PSF in force.
    settings
        Length of a tick, side of a tile, percentile.

    Notes
    -----
    An emitter that is on for L frames of the tick adds L to the count, and emitters come
    independently of each other, so the sum over them of L² is the variance of the count (compound
    Poisson process; Feller, An Introduction to Probability Theory I, ch. XII). For that, and for
    those that are new, rows are followed from frame to frame, within a PSF width.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        shape: tuple[int, int],
        sigma_nm: float,
        settings: FeedbackSettings,
    ) -> None:
        self._pixel_nm = calibration.pixel_nm
        self._sigma_um = sigma_nm / 1000.0
        self._tick_ns = settings.tick_s * 1e9
        self._percentile = settings.percentile
        self._monitor = CrowdingMonitor(calibration, shape, sigma_nm)
        px_um = self._pixel_nm / 1000.0
        self._field_um2 = shape[0] * shape[1] * px_um**2
        self._field = _make_field(shape, sigma_nm / self._pixel_nm, settings.tile_um / px_um)
        height, width = self._field.bottom - self._field.top, self._field.right - self._field.left
        self._area_um2 = height * width * px_um**2
        n_tiles = self._field.tile_rows * self._field.tile_columns
        self._tile_um2 = self._area_um2 / n_tiles
        x, y, weight, square = np.zeros((4, MOST_TRACKS))
        last, ticks, following, row = np.zeros((4, MOST_TRACKS), dtype=np.int64)
        first, n = np.zeros(MOST_CELLS**2, dtype=np.int64), np.zeros(1, dtype=np.int64)
        self._tracks = Tracks(n, x, y, last, weight, ticks, first, following, row, square)
        self._tiles, self._sums = np.zeros((2, n_tiles)), np.zeros(N_SUMS)
        self._usual, self._uneven = np.full(n_tiles, np.nan), math.nan
        self._start_ns: int | None = None
        self._due_ns = 0
        self._n_frames, self._first_frame = 0, 0
        self._last_frame: int | None = None
        # Compile now, so that no frame of a run has to wait for it.
        state = self._tracks, self._field, self._tiles, self._sums
        none = np.zeros(0, dtype=np.float32)
        _count_frame(0, False, none, none, none, *state)
        _end_tick(*state)

    def add(self, localizations: Localizations, batch: FrameBatch) -> DensityEstimate | None:
        """Take the frames that follow those of the last call, and their rows.

        Parameters
        ----------
        localizations
            What was found in the batch; rows of other frames do not count.
        batch
            The frames.

        Returns
        -------
        :
            The estimate where a tick ended in the batch, of several the last; else None.
        """
        rows = localizations
        if len(rows) and np.any(np.diff(rows.frame) < 0):
            rows = rows.sorted_by_frame()
        per_px = np.float32(1.0 / self._pixel_nm)
        x, y = rows.x_nm * per_px, rows.y_nm * per_px
        p = np.array(rows.probability)
        starts = np.searchsorted(rows.frame, batch.index).tolist()
        stops = np.searchsorted(rows.frame, batch.index, side="right").tolist()
        estimate = None
        for k, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            frame, t_ns = int(batch.index[k]), int(batch.t_exposure_end_ns[k])
            part = slice(start, stop)
            follows = self._last_frame is not None and frame == self._last_frame + 1
            state = self._tracks, self._field, self._tiles, self._sums
            _count_frame(frame, follows, x[part], y[part], p[part], *state)
            if not self._n_frames:
                self._first_frame = frame
            self._last_frame = frame
            self._n_frames += 1
            if self._start_ns is None or t_ns < self._start_ns:
                self._start_ns = self._due_ns = t_ns
            if t_ns >= self._due_ns:
                self._due_ns = t_ns + int(self._tick_ns / LOOKS_PER_TICK)
                self._monitor.look(
                    batch.pixels[k], rows.x_nm[part], rows.y_nm[part], rows.photons[part]
                )
            if t_ns - self._start_ns >= self._tick_ns and self._n_frames >= LEAST_FRAMES:
                estimate = self._estimate(frame, t_ns)
        return estimate

    def _estimate(self, frame: int, t_ns: int) -> DensityEstimate:
        _end_tick(self._tracks, self._field, self._tiles, self._sums)
        n, sums = self._n_frames, self._sums
        whole = n * self._area_um2
        found = float(sums[COUNT]) / whole
        table = NETWORK if sums[DOUBTFUL] else FIT
        # This brings the running mean of the tiles up to date.
        local = self._crowded_part(n)
        local, _ = self._true(local, table, np.array([local]))
        tiles = self._usual * float(self._tiles[0].sum()) / max(float(self._usual.sum()), 1e-9)
        mean, slope = self._true(found, table, tiles / (n * self._tile_um2))
        # Where nothing was seen there may well have been one.
        std = math.sqrt(max(float(sums[SQUARES]), 1.0)) / whole * slope
        new = math.nan
        if sums[NEW_FRAMES]:
            new = float(sums[NEW] / sums[NEW_FRAMES]) / self._area_um2
            new *= mean / found if found else 1.0
        unexplained, crowded = self._monitor.judge()
        estimate = DensityEstimate(
            first_frame=self._first_frame,
            last_frame=frame,
            n_frames=n,
            t_exposure_end_ns=t_ns,
            mean_per_um2=mean,
            std_per_um2=std,
            local_per_um2=local,
            new_per_um2=new,
            unexplained=unexplained,
            crowded=crowded,
            area_um2=self._field_um2,
        )
        self._start_ns, self._n_frames = t_ns, 0
        self._tiles.fill(0.0)
        self._sums.fill(0.0)
        return estimate

    def _true(self, found_per_um2: float, table: F64, tiles_per_um2: F64) -> tuple[float, float]:
        """Return the density that looks like this, and its slope by what was found.

        `tiles_per_um2` tells where it was found: where it is dense, more of it was missed.
        """
        part = (tiles_per_um2 + 1e-9) / (tiles_per_um2 + 1e-9).sum()
        change = np.array([1.0, 0.98, 1.02])
        in_psf = change[:, None] * tiles_per_um2 * self._sigma_um**2
        here, below, above = change * (np.interp(in_psf, table[0], table[1]) @ part)
        return found_per_um2 * float(here), float((above - below) / 0.04)

    def _crowded_part(self, n_frames: int) -> float:
        """Return the percentile of occupied tiles, without what the noise of counting adds."""
        scale = 1.0 / (n_frames * self._tile_um2)
        count, variance = self._tiles[0] * scale, self._tiles[1] * scale**2
        fresh = np.isnan(self._usual)
        self._usual[fresh] = count[fresh]
        self._usual += TILE_MEMORY * (count - self._usual)
        lit = self._usual > 0
        if not np.any(lit):
            return math.nan
        occupied = self._usual >= OCCUPIED * float(self._usual[lit].mean())
        count, variance = count[occupied], variance[occupied]
        mean, scatter = float(count.mean()), float(count.var())
        if not mean > 0 or not scatter > 0:
            return mean
        # Scatter of the truth is what is seen less that of counting, with its standard error; the
        # percentile follows it.
        counting = float(variance.mean()) * (1.0 + math.sqrt(2.0 / len(count)))
        now = (scatter - counting) / mean**2
        before = self._uneven
        self._uneven = now if math.isnan(before) else before + TILE_MEMORY * (now - before)
        part = math.sqrt(min(max(self._uneven * mean**2 / scatter, 0.0), 1.0))
        return mean + (float(np.percentile(count, self._percentile)) - mean) * part


def _make_field(shape: tuple[int, int], sigma_px: float, tile_px: float) -> Field:
    rim = math.ceil(RIM_SIGMA * sigma_px)
    rim = rim if min(shape) > 4 * rim else 0
    height, width = shape[0] - 2 * rim, shape[1] - 2 * rim
    return Field(
        top=rim - 0.5,
        left=rim - 0.5,
        bottom=rim - 0.5 + height,
        right=rim - 0.5 + width,
        tile_rows=max(1, round(height / tile_px)),
        tile_columns=max(1, round(width / tile_px)),
        radius_px=sigma_px,
        cell_px=max(sigma_px, (max(height, width) + 1) / MOST_CELLS),
    )
