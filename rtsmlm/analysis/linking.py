"""Linker: rows of one emitter in successive frames made one row, while they come.

Rows are joined one to one, the nearest first, where they lie nearer than their standard deviations
explain and within 60 nm; what lies between two rows of an emitter may be a gap of some frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.blinking import BlinkStatistics
from rtsmlm.analysis.link_rows import ASSUMED_STD_NM, assign, no_tracks
from rtsmlm.localizations import F32, Localizations

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LINKED_COLUMNS: Mapping[str, str] = {"n_rows": "1", "on_frames": "frames"}
"""Extra columns of a linked table with their units: rows of the emitter, and frames from the first
to the last of them."""
GAP_FRAMES = 1
LONGEST_FRAMES = 1000
"""What is on for longer, as a bead is, becomes several rows."""


class Linker:
    """Links rows that come in order of frames; not for two threads at once.

    Parameters
    ----------
    gap_frames
        So many frames in a row an emitter may be missed.
    """

    def __init__(self, gap_frames: int = GAP_FRAMES) -> None:
        self._gap = gap_frames
        self._tracks = no_tracks()
        self._rows: list[Localizations] = []
        self._numbers: list[I64] = []
        self.statistics = BlinkStatistics()
        """Of the emitters that have ended."""

    def add(self, rows: Localizations) -> Localizations:
        """Take the rows of some frames; return one row for each emitter that has ended.

        The frame of such a row is the first of the emitter.
        """
        rows = rows.take(np.isfinite(rows.x_nm) & np.isfinite(rows.y_nm))
        if not len(rows):
            return rows
        number, ended = self.assign(rows)
        self._rows.append(rows)
        self._numbers.append(number)
        return self._merge(ended)

    def assign(self, rows: Localizations) -> tuple[I64, I64]:
        """Return the number of the emitter of each row, and those that have ended before."""
        places = np.column_stack([rows.x_nm, rows.y_nm, rows.z_nm]).astype(np.float64)
        stds = np.column_stack([rows.std_x_nm, rows.std_y_nm, rows.std_z_nm]).astype(np.float64)
        channel = rows.channel.astype(np.int64)
        frame = np.ascontiguousarray(rows.frame)
        return assign(self._tracks, frame, places, stds, channel, self._gap, LONGEST_FRAMES)

    def finish(self) -> Localizations:
        """Return the emitters that were on until the last frame."""
        ended = self._tracks.number[: self._tracks.n[0]].copy()
        self._tracks.n[0] = 0
        return self._merge(ended, at_end=True)

    def _merge(self, ended: I64, *, at_end: bool = False) -> Localizations:
        if not len(ended):
            return Localizations.empty()
        rows, number = Localizations.concatenate(self._rows), np.concatenate(self._numbers)
        over = np.isin(number, ended)
        merged = merged_rows(rows.take(over), number[over])
        self._rows, self._numbers = [rows.take(~over)], [number[~over]]
        self.statistics.add(merged, is_cut=at_end)
        return merged


def merged_rows(rows: Localizations, number: I64) -> Localizations:
    """Return one row for each number, in order of their first frames.

    Places are means weighted by inverse variances, with the variance that such a mean has; photons
    are summed, and so are their variances; background and extra columns are averaged, and the
    highest probability counts.
    """
    if not len(rows):
        return Localizations.empty()
    order = np.lexsort((rows.frame, number))
    rows, number = rows.take(order), number[order]
    starts = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    counts = np.diff(starts, append=len(number))

    def total(values: NDArray[np.floating]) -> F64:
        return np.asarray(np.add.reduceat(values.astype(np.float64), starts))

    columns: dict[str, NDArray[np.floating]] = {}
    weights: dict[str, F64] = {}
    for axis in "xyz":
        std = getattr(rows, f"std_{axis}_nm").astype(np.float64)
        known = std > 0
        assumed = ASSUMED_STD_NM if axis != "z" else math.inf
        weights[axis] = weight = 1 / np.where(known, std, assumed) ** 2
        weight[:] = np.where(weight > 0, weight, 1e-12)
        columns[f"{axis}_nm"] = total(getattr(rows, f"{axis}_nm") * weight) / total(weight)
        all_known = np.logical_and.reduceat(known, starts)
        columns[f"std_{axis}_nm"] = np.where(all_known, 1 / np.sqrt(total(weight)), np.nan)
    extras: dict[str, F32] = {}
    for name, values in rows.extras.items():
        weight = weights.get(name[4:5], weights["x"]) if name.startswith("raw_") else weights["x"]
        extras[name] = (total(values * weight) / total(weight)).astype(np.float32)
    first, last = rows.frame[starts], rows.frame[starts + counts - 1]
    extras["n_rows"] = counts.astype(np.float32)
    extras["on_frames"] = (last - first + 1).astype(np.float32)
    merged = Localizations.from_columns(
        {
            "frame": first,
            **columns,
            "photons": total(rows.photons),
            "background": total(rows.background) / counts,
            "std_photons": np.sqrt(total(rows.std_photons.astype(np.float64) ** 2)),
            "probability": np.maximum.reduceat(rows.probability, starts),
            "channel": rows.channel[starts],
        },
        extras,
    )
    return merged.sorted_by_frame()
