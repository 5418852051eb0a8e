"""What a localizer finds where emitters overlap: measured beside its speed, on the same spots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rtsmlm.bench.accuracy.figures import JACCARD, crowd
from rtsmlm.bench.accuracy.scenes import FRAME_STEP, Scene
from rtsmlm.bench.speed.scene import MovieKind, speed_scene
from rtsmlm.localizations import Localizations

DENSITY_UM2 = 1.0
FRAMES = 24
"""Of 256 x 256 pixels they hold 16 000 emitters: two digits of a share are sure."""
LARGEST_PX = 256


def crowd_scene(kind: MovieKind) -> Scene:
    """Return unrelated frames with the spots of a movie, at `DENSITY_UM2`.

    Parameters
    ----------
    kind
        The movie on which speed is measured.
    """
    dense = replace(kind, density_um2=DENSITY_UM2, size_px=min(kind.size_px, LARGEST_PX))
    return speed_scene(dense, seed=1, index=FRAME_STEP * np.arange(FRAMES))


def jaccard(scene: Scene, found: Localizations) -> float:
    """Return the share of emitters and localizations that are pairs, 0 to 1; see `metrics`."""
    return crowd(scene, found)[JACCARD]
