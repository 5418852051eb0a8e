"""WindowSampler: windows of three frames for a trainer, with computed PSFs where asked for."""

from __future__ import annotations

import torch

from rtsmlm.models.simulation.psf_bank import (
    PsfBank,
    bank_of_table,
    make_bank,
    sharpest_plane,
    width_at,
)
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.training_windows import Windows, simulate
from rtsmlm.physics.psf import TablePsf


class WindowSampler:
    """Training windows, drawn anew at every call.

    Parameters
    ----------
    ranges
        What to draw from.
    seed
        Of the computed PSFs.
    device
        Where the windows are made.
    table
        A measured PSF in place of the computed ones; the network is given the middle of
        `ranges.sigma_px` as its width.
    """

    def __init__(
        self,
        ranges: SimulationRanges,
        seed: int,
        device: torch.device,
        table: TablePsf | None = None,
    ) -> None:
        self._ranges = ranges
        self._bank: PsfBank | None = None
        if table is not None:
            self._bank = bank_of_table(table, 0.5 * sum(ranges.sigma_px)).to(device)
        elif ranges.computed_fraction > 0.0 and ranges.computed_psfs > 0:
            self._bank = make_bank(ranges, seed).to(device)

    def __call__(self, n: int, generator: torch.Generator, crowding: float) -> Windows:
        """Return n windows; see `simulate`."""
        return simulate(self._ranges, n, generator, crowding=crowding, bank=self._bank)


def focused_width_px(table: TablePsf) -> float:
    """Return the width of the Gaussian nearest to a PSF where it is sharpest, in pixels."""
    return width_at(table, sharpest_plane(table))
