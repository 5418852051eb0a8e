"""WindowSampler: windows of three frames for a trainer, with computed PSFs where asked for."""

from __future__ import annotations

import torch

from rtsmlm.models.simulation.psf_bank import PsfBank, make_bank
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.training_windows import Windows, simulate


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
    """

    def __init__(self, ranges: SimulationRanges, seed: int, device: torch.device) -> None:
        self._ranges = ranges
        self._bank: PsfBank | None = None
        if ranges.computed_fraction > 0.0 and ranges.computed_psfs > 0:
            self._bank = make_bank(ranges, seed).to(device)

    def __call__(self, n: int, generator: torch.Generator, crowding: float) -> Windows:
        """Return n windows; see `simulate`."""
        return simulate(self._ranges, n, generator, crowding=crowding, bank=self._bank)
