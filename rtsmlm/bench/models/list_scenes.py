"""Lists of localizations of labelled structures, drawn apart from what networks learn on.

Labels come from `rtsmlm.physics.structures`, which is the truth of both; how they blink, how far
off each localization is and how dense the labels are is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from rtsmlm.bench.models.image_figures import histogram
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.structures import StructureName, place_emitters

SIDE_UM = 10.0
CAMERA_NM = 100.0
SHAPE = (100, 100)
"""Of the frames in camera pixels."""
N_FRAMES = 20_000
LABELS: dict[str, tuple[int, int]] = {
    "filaments": (3, 1200),
    "mitochondria": (1, 24_000),
    "nuclear-pores": (1, 16_000),
}
"""How often a structure is laid over another one, and the labels of each: 40 along a µm of a
filament, 240 on a µm² of the field, and 250 pores."""
BLINKS, FRAMES_ON = 7.0, 1.6
"""Mean number of times that a label is seen, and of frames that it is seen each time."""
PHOTONS, LEAST_PHOTONS = 900.0, 150.0
"""Mean of the exponential light of a localization above the least."""
SIGMA_NM = 135.0
"""Of the PSF; the error is that of Thompson's first term, and a little for all else."""
MORE_NM = 5.0
WIDEFIELD_LIGHT, WIDEFIELD_BACKGROUND = 20.0, 100.0
"""Photons of a widefield image for each localization, and in each camera pixel beside them."""
FALSE_SHARE = 0.03
"""Localizations anywhere in the field, as a part of the others."""


@dataclass(frozen=True, slots=True)
class ListScene:
    """Localizations of a run, and those that truly show the structure."""

    structure: StructureName
    rows: Localizations
    """What was found, ordered by frame, with what does not belong there."""
    clean: Localizations
    """Of the structure alone."""

    def first(self, fewer: float) -> Localizations:
        """Return what was found in the first frames, of which there are so many times fewer."""
        return self.rows.take(self.rows.frame < N_FRAMES / fewer)

    def widefield(self, rng: np.random.Generator) -> F32:
        """Return the image of all labels behind the PSF, with shot noise, in camera pixels."""
        light = histogram(self.clean, SHAPE, 1, CAMERA_NM) * WIDEFIELD_LIGHT
        behind = ndimage.gaussian_filter(light, SIGMA_NM / CAMERA_NM, mode="constant")
        return rng.poisson(behind + WIDEFIELD_BACKGROUND).astype(np.float32)


def list_scene(
    structure: StructureName,
    rng: np.random.Generator,
    *,
    strays: tuple[StructureName, ...] = (),
    crosstalk: float = 0.0,
) -> ListScene:
    """Return the list of a run.

    Parameters
    ----------
    structure
        What is labelled.
    rng
        Draws all.
    strays
        What other colours show in the same field.
    crosstalk
        Part of their localizations that is taken for this colour.
    """
    clean = _rows(structure, rng)
    found = [clean]
    for stray in strays:
        other = _rows(stray, rng)
        found.append(other.take(rng.random(len(other)) < crosstalk))
    n = rng.poisson(FALSE_SHARE * len(clean))
    found.append(
        Localizations.from_columns(
            {
                "frame": rng.integers(0, N_FRAMES, n),
                "x_nm": rng.uniform(0, 1000 * SIDE_UM, n) - CAMERA_NM / 2,
                "y_nm": rng.uniform(0, 1000 * SIDE_UM, n) - CAMERA_NM / 2,
            }
        )
    )
    return ListScene(structure, Localizations.concatenate(found).sorted_by_frame(), clean)


def _rows(structure: StructureName, rng: np.random.Generator) -> Localizations:
    draws, n_labels = LABELS[structure]
    side_nm = 1000.0 * SIDE_UM
    labels = np.concatenate(
        [place_emitters(structure, n_labels, (side_nm, side_nm), 300.0, rng) for _ in range(draws)]
    )
    blinks = rng.poisson(BLINKS, len(labels))
    label = np.repeat(np.arange(len(labels)), blinks)
    start = rng.uniform(0, N_FRAMES, len(label))
    frames = 1 + rng.poisson(FRAMES_ON - 1.0, len(label))
    label, start = np.repeat(label, frames), np.repeat(start, frames)
    since = np.arange(len(label)) - np.repeat(np.cumsum(frames) - frames, frames)
    photons = LEAST_PHOTONS + rng.exponential(PHOTONS, len(label))
    error = np.hypot(SIGMA_NM / np.sqrt(photons), MORE_NM)
    x, y = (labels[label, k] + error * rng.standard_normal(len(label)) for k in (0, 1))
    return Localizations.from_columns(
        {
            "frame": np.minimum(start + since, N_FRAMES - 1).astype(np.int64),
            "x_nm": x - CAMERA_NM / 2,
            "y_nm": y - CAMERA_NM / 2,
            "photons": photons,
            "std_x_nm": error,
            "std_y_nm": error,
        }
    ).sorted_by_frame()
