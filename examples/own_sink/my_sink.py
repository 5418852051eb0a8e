"""A sink for rtsmlm: how many emitters every frame had, as a table that grows during the run.

A plain class with the shape of `rtsmlm.protocols.Sink`. Instead of a file it could feed a database,
a plot, or another instrument.
"""

from __future__ import annotations

import csv

import numpy as np

from rtsmlm.localizations import Localizations
from rtsmlm.plugins import RunFacts
from rtsmlm.settings.run import RunSettings


class EmittersPerFrame:
    """Writes `emitters.csv` into the run folder: frame, emitters, mean photons."""

    def __init__(self, run: RunFacts) -> None:
        self._file = (run.folder / "emitters.csv").open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        if self._file.tell() == 0:  # the analysis may have been restarted
            self._writer.writerow(["frame", "emitters", "mean_photons"])

    def put(self, localizations: Localizations) -> None:
        """Write a line for every frame that has emitters; the rows are ordered by frame."""
        frames, starts = np.unique(localizations.frame, return_index=True)
        for frame, photons in zip(
            frames.tolist(), np.split(localizations.photons, starts[1:]), strict=True
        ):
            self._writer.writerow([frame, len(photons), f"{photons.mean():.0f}"])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_sink(settings: RunSettings, run: RunFacts) -> EmittersPerFrame:
    """Open the sink; `results.sinks` names the entry point of this function."""
    return EmittersPerFrame(run)
