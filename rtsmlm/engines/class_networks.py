"""Networks of classes: the box around a row, or the spectrum beside it, to the dye of its emitter.

The ONNX graph takes `photons`, (n, 1, box, box) in photons, or `spectrum`, (n, 1, rows, samples) in
photons per pixel at the places of wavelengths at equal distances, from the first to the last of the
manifest's `wavelengths_nm`. It answers with a probability for each dye; the manifest names them as
channels. Channels `z_nm` and `std_z_nm` may follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.settings.channels import UNDECIDED

TASK = "box-classes"
BOX, SPECTRUM = "photons", "spectrum"
DEPTH, DEPTH_STD = "z_nm", "std_z_nm"
_COMPILED_FOR = 72
"""Boxes that need every chunk size of every engine."""
Channel: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Classes:
    """What a network says of some rows; (n,) each."""

    channel: Channel
    """Index of the most probable dye; 255 where it is not probable enough."""
    probability: F32
    """Of the most probable dye."""
    z_nm: F32 | None
    """Depth, where the network states it."""
    std_z_nm: F32 | None

    def undecided(self, rows: NDArray[np.bool_]) -> Classes:
        """Return the same with some rows of which nothing is known."""

        def without(values: F32 | None, value: float) -> F32 | None:
            return None if values is None else np.where(rows, np.float32(value), values)

        return Classes(
            channel=np.where(rows, np.uint8(UNDECIDED), self.channel),
            probability=np.where(rows, np.float32(0.0), self.probability),
            z_nm=without(self.z_nm, 0.0),
            std_z_nm=without(self.std_z_nm, np.nan),
        )


class NetworkClasses:
    """A network that tells dyes apart.

    Parameters
    ----------
    folder
        The model folder.
    engine, precision
        As `rtsmlm.engines.graph_runner.open_graph` takes them.
    min_probability
        Rows whose most probable dye is less probable are undecided; None takes the model's value.

    Raises
    ------
    ConfigError
        If the model does something else, or the engine cannot run it.
    FileFormatError
        If the model is damaged, or does not say what it takes.
    """

    def __init__(
        self,
        folder: Path,
        engine: str,
        *,
        precision: str | None = None,
        min_probability: float | None = None,
    ) -> None:
        self.manifest, self._run = open_graph(folder, engine, precision=precision)
        if self.manifest.task != TASK:
            raise ConfigError(
                f"{self.manifest.name} does {self.manifest.task}, not {TASK}, so that it is no "
                "localizer.colour"
            )
        self.method = self.manifest.name
        self.names = dye_names(self.manifest)
        self.given, self.shape = input_of(self.manifest)
        self.min_probability = (
            self.manifest.decode.min_probability if min_probability is None else min_probability
        )
        self._columns = {channel.name: channel.first for channel in self.manifest.channels}
        self(np.zeros((_COMPILED_FOR, *self.shape), dtype=np.float32))

    @property
    def takes_spectra(self) -> bool:
        """Whether it is given spectra rather than boxes."""
        return self.given == SPECTRUM

    def wavelengths_nm(self) -> NDArray[np.float64]:
        """Return the wavelengths of the samples of a spectrum.

        Raises
        ------
        FileFormatError
            If the manifest does not state them.
        """
        span = self.manifest.wavelengths_nm
        if span is None:
            raise FileFormatError(
                f"the manifest of {self.method} takes spectra and does not state their "
                "wavelengths_nm"
            )
        return np.linspace(*span, self.shape[1])

    def __call__(self, given: F32) -> Classes:
        """Return the dyes of boxes or spectra, (n, height, width)."""
        if not len(given):
            none = np.empty(0, dtype=np.float32)
            return Classes(np.empty(0, dtype=np.uint8), none, none, none)
        answer = self._run({self.given: given[:, None]})
        probabilities = self._probabilities(answer)
        best = probabilities.max(axis=1)
        channel = probabilities.argmax(axis=1).astype(np.uint8)
        channel[~(best >= self.min_probability)] = UNDECIDED
        return Classes(
            channel, best, self._further(answer, DEPTH), self._further(answer, DEPTH_STD)
        )

    def probabilities(self, given: F32) -> F32:
        """Return the probability of each dye of boxes or spectra, (n, dyes)."""
        return self._probabilities(self._run({self.given: given[:, None]}))

    def _probabilities(self, answer: F32) -> F32:
        return answer[:, [self._columns[name] for name in self.names]]

    def _further(self, answer: F32, name: str) -> F32 | None:
        column = self._columns.get(name)
        return None if column is None else np.ascontiguousarray(answer[:, column])


def dye_names(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the dyes of a manifest, in the order of the column `channel`.

    Raises
    ------
    FileFormatError
        If there are fewer than two.
    """
    names = tuple(c.name for c in manifest.channels if c.name not in (DEPTH, DEPTH_STD))
    if not 2 <= len(names) <= UNDECIDED:
        raise FileFormatError(
            f"the manifest of {manifest.name} names {len(names)} classes; a network that does "
            f"{TASK} tells 2 to {UNDECIDED} apart"
        )
    return names


def input_of(manifest: Manifest) -> tuple[str, tuple[int, int]]:
    """Return the name of what a network is given, and its height and width.

    Raises
    ------
    FileFormatError
        If the manifest does not state them as numbers.
    """
    for entry in manifest.inputs:
        sides = entry.shape[-2:]
        if entry.name in (BOX, SPECTRUM) and all(side.isdigit() for side in sides):
            return entry.name, (int(sides[0]), int(sides[1]))
    raise FileFormatError(
        f"the manifest of {manifest.name} states no input {BOX} of (n, 1, box, box) and no input "
        f"{SPECTRUM} of (n, 1, rows, samples)"
    )
