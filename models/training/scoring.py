"""What a trained network finds in simulated windows, beside what there was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row
from rtsmlm.models.simulation.training_windows import Targets, Windows
from rtsmlm.models.training.trainable import Sampler

CHUNK = 32
PAIR_NM = (250.0, 500.0)
"""Largest lateral and axial distance of a row and its emitter, as where localizers are scored."""


class RowsOf(Protocol):
    """A network and its decoder."""

    def __call__(self, windows: Windows, *, settings: DecodeSettings) -> list[F32]:
        """Return rows of `rtsmlm.models.rows`, one table for each window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReach:
    """How far a row may lie from its emitter."""

    lateral_px: float = 2.5
    axial: float | None = None
    """In halves of the range of z; None pairs by the place in the image alone."""

    @classmethod
    def of_psf(cls, *, pixel_nm: float, half_range_nm: float) -> PairReach:
        """Return the distances of the scores, `PAIR_NM`, for a network of one PSF.

        Parameters
        ----------
        pixel_nm
            Camera pixel in the sample plane.
        half_range_nm
            Half of the range of z.
        """
        return cls(lateral_px=PAIR_NM[0] / pixel_nm, axial=PAIR_NM[1] / half_range_nm)


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows of n windows that emitters are asked for, and what each has of one."""

    rows: F32
    """(m, `COLUMNS`)."""
    error: F32
    """x and y in pixels, z in halves of its range, photons, (m, 4); NaN without an emitter."""
    n_emitters: int

    @property
    def paired(self) -> NDArray[np.bool_]:
        """Which rows have an emitter, (m,)."""
        return np.asarray(~np.isnan(self.error[:, 0]))

    def take(self, kept: NDArray[np.bool_]) -> Scored:
        """Return the rows of a selection, beside the same emitters."""
        return Scored(self.rows[kept], self.error[kept], self.n_emitters)

    def jaccard(self, kept: NDArray[np.bool_]) -> float:
        """Return the Jaccard index of a selection of rows; 0 with neither rows nor emitters."""
        true = int(np.count_nonzero(kept & self.paired))
        false = int(np.count_nonzero(kept)) - true
        return true / max(false + self.n_emitters, 1)


@torch.no_grad()
def score(
    sample: Sampler[Windows],
    rows_of: Callable[[Windows], list[F32]],
    reach: PairReach,
    *,
    n_windows: int,
    seed: int,
) -> Scored:
    """Return what a network finds in simulated windows.

    Parameters
    ----------
    sample
        Draws the windows.
    rows_of
        The network and its decoder.
    reach
        How far a row may lie from its emitter.
    n_windows
        Their number; above `CHUNK`, to the next lower multiple of it.
    seed
        Of the simulation. Training and its held-out windows draw from lower ones.
    """
    parts = []
    size = min(CHUNK, n_windows)
    for chunk in range(n_windows // size):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + chunk)
        windows = sample(size, generator, 1.0)
        parts.append(_scored(rows_of(windows), windows.targets, reach))
    return Scored(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.error for part in parts]),
        sum(part.n_emitters for part in parts),
    )


def _scored(tables: list[F32], truth: Targets, reach: PairReach) -> Scored:
    window = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    rows = np.concatenate([*tables, np.empty((0, COLUMNS), np.float32)])
    chosen, emitters = pairs_of(window, rows, truth, reach)
    error = np.full((len(rows), 4), np.nan, dtype=np.float32)
    found = rows[chosen]
    error[chosen, 0] = found[:, Row.X] - truth.x_px.numpy()[emitters]
    error[chosen, 1] = found[:, Row.Y] - truth.y_px.numpy()[emitters]
    error[chosen, 2] = 0.0 if truth.z is None else found[:, Row.Z] - truth.z.numpy()[emitters]
    error[chosen, 3] = found[:, Row.PHOTONS] - truth.photons.numpy()[emitters]
    # Where an emitter too dim to be asked for lies, a row is neither right nor wrong.
    side = np.array(truth.ignored.shape[1:]) - 1
    at = np.clip(np.rint(rows[:, [Row.Y, Row.X]]).astype(int), 0, side)
    asked = ~truth.ignored.numpy()[window, at[:, 0], at[:, 1]]
    return Scored(rows, error, len(truth.x_px)).take(asked | ~np.isnan(error[:, 0]))


def pairs_of(
    window_of_row: NDArray[np.int64], table: F32, targets: Targets, reach: PairReach
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of rows and emitters that are each other's nearest and near enough.

    Parameters
    ----------
    window_of_row
        Window of each row, (m,).
    table
        Rows, (m, `COLUMNS`).
    targets
        The emitters.
    reach
        Distances are taken over it, so that one of 1 is the largest in any direction.
    """
    window = targets.window.numpy()
    there, here = _places(reach, targets), _places(reach, table)
    rows, emitters = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for k in np.unique(window):
        mine, theirs = np.flatnonzero(window_of_row == k), np.flatnonzero(window == k)
        if not len(mine):
            continue
        apart = here[mine][:, None] - there[theirs]
        distance = np.sqrt(np.square(apart).sum(axis=2))
        nearest = distance.argmin(axis=1)
        mutual = distance.argmin(axis=0)[nearest] == np.arange(len(mine))
        kept = mutual & (distance[np.arange(len(mine)), nearest] < 1.0)
        rows.append(mine[kept])
        emitters.append(theirs[nearest[kept]])
    return np.concatenate(rows), np.concatenate(emitters)


def _places(reach: PairReach, of: Targets | F32) -> F32:
    """Return places over the reach, (m, 2 or 3)."""
    if isinstance(of, Targets):
        x, y = of.x_px.numpy(), of.y_px.numpy()
        z = None if of.z is None else of.z.numpy()
    else:
        x, y, z = of[:, Row.X], of[:, Row.Y], of[:, Row.Z]
    columns = [x / reach.lateral_px, y / reach.lateral_px]
    if reach.axial is not None and z is not None:
        columns.append(z / reach.axial)
    return np.stack(columns, axis=1)
