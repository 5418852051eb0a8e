"""Cost against size and density: what a localizer takes for a frame, beside others in turn.

Frames are given to the localizers in this process, in batches as in a backlog: what a run does
beside them would hide how they compare.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.engines.routing import RoutedLocalizer
from rtsmlm.frames import FrameBatch
from rtsmlm.protocols import Localizer

FIT, NETWORK, ROUTED = "fit", "network everywhere", "after a fit"
"""Ways to localize that a network after a fit is compared with, and itself."""
ROUNDS, LEAST_ROUNDS = 5, 2
ENOUGH_S = 6.0
"""No further round is begun after it."""
PASS_MPIXEL = 4.0
"""Pixels of the frames that each localizer is given in a round, at least one batch of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePoint:
    """Throughput of a run at one size."""

    size_px: int
    frames_per_s: float

    @property
    def mpixel_per_s(self) -> float:
        """Million pixels per second."""
        return self.frames_per_s * self.size_px**2 / 1e6

    def as_json(self) -> dict[str, object]:
        """Return all figures as plain data."""
        return {
            "size_px": self.size_px,
            "frames_per_s": self.frames_per_s,
            "mpixel_per_s": self.mpixel_per_s,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityPoint:
    """Cost at one density, of a localizer and of those beside it."""

    size_px: int
    density_um2: float
    ms_per_frame: Mapping[str, float]
    """By way to localize; of the fastest of several rounds, in which they take turns."""
    localizations_per_frame: float
    whole_share: float | None = None
    """Frames that the network sees whole; None without routing."""
    window_share: float | None = None
    """Area in windows, of all frames, surroundings included."""

    def ratio(self, one: str, other: str) -> float | None:
        """Return how many times as long one way takes as another; None without one of them."""
        if one not in self.ms_per_frame or other not in self.ms_per_frame:
            return None
        return self.ms_per_frame[one] / self.ms_per_frame[other]

    def as_json(self) -> dict[str, object]:
        """Return all figures as plain data."""
        return {
            "size_px": self.size_px,
            "density_um2": self.density_um2,
            "ms_per_frame": dict(self.ms_per_frame),
            "to_network_everywhere": self.ratio(ROUTED, NETWORK),
            "to_fit": self.ratio(ROUTED, FIT),
            "frames_whole": self.whole_share,
            "area_in_windows": self.window_share,
            "localizations_per_frame": self.localizations_per_frame,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Cost against size, and against density."""

    size: tuple[SizePoint, ...]
    density: tuple[DensityPoint, ...]
    threads: Mapping[str, int]
    """That localize, by way."""

    def as_json(self) -> dict[str, object]:
        """Return all figures as plain data."""
        return {
            "size": [point.as_json() for point in self.size],
            "density": [point.as_json() for point in self.density],
            "threads": dict(self.threads),
        }


def density_point(
    ways: Mapping[str, Localizer], scene: Scene, density_um2: float, batch_frames: int
) -> DensityPoint:
    """Return what each way to localize costs on a movie.

    Parameters
    ----------
    ways
        Localizers by name, the one in question first.
    scene
        The movie.
    density_um2
        Of the movie.
    batch_frames
        Frames that are given at once.

    Raises
    ------
    LocalizerError
        If one of them fails.
    """
    height, width = scene.batch.shape
    fit = int(PASS_MPIXEL * 1e6 / (height * width)) // batch_frames * batch_frames
    movie = scene.batch.frames(0, min(max(fit, batch_frames), len(scene.batch)))
    ms_per_frame, n_found = cost(ways, movie, batch_frames)
    routed = ways.get(ROUTED)
    shares = routed.shares(movie) if isinstance(routed, RoutedLocalizer) else (None, None)
    return DensityPoint(
        size_px=width,
        density_um2=density_um2,
        ms_per_frame=ms_per_frame,
        localizations_per_frame=n_found / len(movie),
        whole_share=shares[0],
        window_share=shares[1],
    )


def cost(
    ways: Mapping[str, Localizer], movie: FrameBatch, batch_frames: int
) -> tuple[dict[str, float], int]:
    """Return ms per frame of each way, and how many localizations the first one finds.

    The fastest of several rounds, in which they take turns; a first one does not count.

    Parameters
    ----------
    ways
        Localizers by name.
    movie
        Consecutive frames.
    batch_frames
        Frames that are given at once.

    Raises
    ------
    LocalizerError
        If one of them fails.
    """
    best_s = dict.fromkeys(ways, float("inf"))
    n_found = []
    for localizer in ways.values():
        localizer.warm_up(movie.shape)
        n_found.append(_localize(localizer, movie, batch_frames))
    begun_s = time.perf_counter()
    for k in range(ROUNDS):
        for way, localizer in ways.items():
            start_s = time.perf_counter()
            _localize(localizer, movie, batch_frames)
            best_s[way] = min(best_s[way], time.perf_counter() - start_s)
        if k + 1 >= LEAST_ROUNDS and time.perf_counter() - begun_s > ENOUGH_S:
            break
    return {way: 1e3 * seconds / len(movie) for way, seconds in best_s.items()}, n_found[0]


def _localize(localizer: Localizer, movie: FrameBatch, batch_frames: int) -> int:
    """Localize a movie in batches, with the neighbours that the localizer looks at."""
    n_found = 0
    for start in range(0, len(movie), batch_frames):
        stop = min(start + batch_frames, len(movie))
        first = max(0, start - localizer.neighbours)
        last = min(len(movie), stop + localizer.neighbours)
        targets = slice(start - first, stop - first)
        n_found += len(localizer(movie.frames(first, last), targets))
    return n_found
