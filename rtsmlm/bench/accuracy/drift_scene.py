"""Tables of blinking emitters on a structure that drifts: what the tests of drift start from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import Localizations
from rtsmlm.physics.structures import StructureName, place_emitters

F64 = NDArray[np.float64]
SIDE_NM = 6400.0
N_FRAMES = 20_000


def sine_and_slope(n_frames: int = N_FRAMES, amplitude_nm: float = 300.0) -> F64:
    """Return a drift of a sine and a slope of so many nm in each axis, (frames, 3)."""
    t = np.arange(n_frames) / n_frames
    x = amplitude_nm * (np.sin(2 * np.pi * t) + t)
    y = amplitude_nm * (np.cos(2.6 * np.pi * t) - 1 - t)
    z = amplitude_nm / 2 * (np.sin(1.6 * np.pi * t) + t)
    return np.column_stack([x, y, z])


@dataclass(frozen=True)
class Scene:
    """A table and its truth."""

    rows: Localizations
    drift_nm: F64
    """Of each frame, (frames, 3)."""
    event: NDArray[np.int64]
    """Which time of being on each row belongs to."""

    def batches(self, n_frames: int = 4) -> Iterator[Localizations]:
        """Yield the rows of so many frames at once, as a localizer does."""
        last = int(self.rows.frame[-1]) + n_frames
        edges = np.searchsorted(self.rows.frame, np.arange(0, last + n_frames, n_frames))
        for start, stop in itertools.pairwise(edges):
            yield self.rows.take(slice(int(start), int(stop)))

    def rms_nm(self, drift_nm: F64) -> F64:
        """Return the error of a drift of each row, (3,), up to a shift of the whole image."""
        off = drift_nm - self.drift_nm[self.rows.frame]
        return np.asarray(np.sqrt(((off - off.mean(axis=0)) ** 2).mean(axis=0)))


def blinking(
    rng: np.random.Generator,
    drift_nm: F64,
    structure: StructureName = "filaments",
    *,
    per_frame: float = 4.0,
    on_frames: float = 2.0,
    std_nm: float = 10.0,
    flat: bool = False,
) -> Scene:
    """Return rows of emitters that are on for a few frames, in order of frames."""
    n_frames = len(drift_nm)
    n_events = int(n_frames * per_frame / on_frames)
    places = place_emitters(structure, max(n_events // 3, 1), (SIDE_NM, SIDE_NM), 800.0, rng)
    emitter = rng.integers(0, len(places), n_events)
    length = rng.geometric(1 / on_frames, n_events)
    event = np.repeat(np.arange(n_events), length)
    since = np.arange(len(event)) - np.repeat(np.cumsum(length) - length, length)
    frame = rng.integers(0, n_frames, n_events)[event] + since
    kept = np.flatnonzero(frame < n_frames)
    kept = kept[np.argsort(frame[kept], kind="stable")]
    event, frame = event[kept], frame[kept]
    std = std_nm * rng.lognormal(0, 0.3, len(frame))
    noise = rng.normal(size=(len(frame), 3)) * std[:, None] * [1, 1, 2.5]
    x, y, z = (places[emitter[event]] + drift_nm[frame] + noise).T
    columns = {
        "frame": frame, "x_nm": x, "y_nm": y, "std_x_nm": std, "std_y_nm": std,
        "photons": rng.gamma(4.0, 250.0, len(frame)),
    }  # fmt: skip
    if not flat:
        columns |= {"z_nm": z, "std_z_nm": 2.5 * std}
    return Scene(Localizations.from_columns(columns), drift_nm, event)


def with_beads(rng: np.random.Generator, scene: Scene, places_nm: F64, std_nm: float) -> Scene:
    """Return a scene with beads that are on in every frame."""
    frame = np.repeat(np.arange(len(scene.drift_nm)), len(places_nm))
    place = np.tile(places_nm, (len(scene.drift_nm), 1)) + scene.drift_nm[frame]
    x, y, z = (place + rng.normal(size=place.shape) * std_nm).T
    std = np.full(len(frame), std_nm)
    columns = {"frame": frame, "x_nm": x, "y_nm": y, "z_nm": z, "photons": std * 1e4,
               "std_x_nm": std, "std_y_nm": std, "std_z_nm": std}  # fmt: skip
    beads = Localizations.from_columns(columns)
    rows = Localizations.concatenate([scene.rows, beads])
    order = np.argsort(rows.frame, kind="stable")
    event = np.concatenate([scene.event, np.full(len(frame), -1)])
    return Scene(rows.take(order), scene.drift_nm, event[order])
