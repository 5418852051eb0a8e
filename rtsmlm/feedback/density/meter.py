"""Emitter density from localizations, tick by tick, with how well it is known.

Everything is counted in the field without a rim of three PSF widths, where localizers find fewer.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.feedback.density.crowding import CrowdingMonitor
from rtsmlm.feedback.density.recall import true_density
from rtsmlm.feedback.density.tracks import (
    COUNT,
    N_SUMS,
    NEW,
    NEW_FRAMES,
    SQUARES,
    count_frame,
    end_tick,
    make_field,
    no_tracks,
)
from rtsmlm.feedback.density.unevenness import Unevenness
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.protocols import RecallTable
from rtsmlm.settings.feedback import FeedbackSettings

F64: TypeAlias = NDArray[np.float64]

LEAST_FRAMES = 10
LOOKS_PER_TICK = 4
"""Frames of a tick that the crowding alarm samples."""
TILE_MEMORY = 0.2
"""Weight of the newest tick in running means: which tiles are occupied, how uneven they are."""
UNSURE = 0.5
"""How well it is known what was missed, over what is taken to be: it depends on how bright
emitters are and on the structure that they label, too."""
OCCUPIED = 0.2
"""Part of the mean of all tiles with emitters in them; less is a few false ones."""


class DensityMeter:
    """Collects localizations over a tick and estimates how dense the emitters were.

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
    recall, max_local_per_um2
        As the localizer states them; see `protocols.Localizer`.

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
        *,
        recall: RecallTable,
        max_local_per_um2: float,
    ) -> None:
        self._recall, self._max_local_per_um2 = recall, max_local_per_um2
        self._pixel_nm = calibration.pixel_nm
        self._sigma_um = sigma_nm / 1000.0
        self._tick_ns = settings.tick_s * 1e9
        self._percentile = settings.percentile
        self._monitor = CrowdingMonitor(calibration, shape, sigma_nm)
        px_um = self._pixel_nm / 1000.0
        self._field_um2 = shape[0] * shape[1] * px_um**2
        self._field = make_field(shape, sigma_nm / self._pixel_nm, settings.tile_um / px_um)
        height, width = self._field.bottom - self._field.top, self._field.right - self._field.left
        self._area_um2 = height * width * px_um**2
        n_tiles = self._field.tile_rows * self._field.tile_columns
        self._tile_um2 = self._area_um2 / n_tiles
        n_fine = self._field.fine_rows * self._field.fine_columns
        self._tracks = no_tracks()
        self._tiles, self._sums = np.zeros((2, n_tiles)), np.zeros(N_SUMS)
        self._fine, self._unevenness = np.zeros((2, n_fine)), Unevenness(n_fine)
        self._usual, self._uneven = np.full(n_tiles, np.nan), math.nan
        self._start_ns: int | None = None
        self._due_ns = 0
        self._n_frames, self._first_frame = 0, 0
        self._last_frame: int | None = None
        # Compile now, so that no frame of a run has to wait for it.
        state = self._tracks, self._field, self._tiles, self._fine, self._sums
        none = np.zeros(0, dtype=np.float32)
        count_frame(0, False, none, none, none, *state)
        end_tick(*state)

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
            state = self._tracks, self._field, self._tiles, self._fine, self._sums
            count_frame(frame, follows, x[part], y[part], p[part], *state)
            if not self._n_frames:
                self._first_frame = frame
            self._last_frame = frame
            self._n_frames += 1
            if self._start_ns is None or t_ns < self._start_ns:
                self._start_ns = self._due_ns = t_ns
            if t_ns >= self._due_ns:
                self._due_ns = t_ns + int(self._tick_ns / LOOKS_PER_TICK)
                self._monitor.sample(
                    batch.pixels[k], rows.x_nm[part], rows.y_nm[part], rows.photons[part]
                )
            if t_ns - self._start_ns >= self._tick_ns and self._n_frames >= LEAST_FRAMES:
                estimate = self._estimate(frame, t_ns)
        return estimate

    def _estimate(self, frame: int, t_ns: int) -> DensityEstimate:
        end_tick(self._tracks, self._field, self._tiles, self._fine, self._sums)
        n, sums = self._n_frames, self._sums
        whole = n * self._area_um2
        found = float(sums[COUNT]) / whole
        local = self._crowded_part(n)
        local, _ = true_density(local, self._recall, np.array([local]), self._sigma_um)
        self._unevenness.add(self._fine[0], self._fine[1], n)
        tiles = self._unevenness.shares() * float(self._tiles[0].sum()) / whole
        mean, slope = true_density(found, self._recall, tiles, self._sigma_um)
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
            missed_std_per_um2=UNSURE * abs(mean - found),
            local_per_um2=local,
            max_local_per_um2=self._max_local_per_um2,
            new_per_um2=new,
            unexplained=unexplained,
            crowded=crowded,
            area_um2=self._field_um2,
        )
        self._start_ns, self._n_frames = t_ns, 0
        self._tiles.fill(0.0)
        self._fine.fill(0.0)
        self._sums.fill(0.0)
        return estimate

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
