"""Figures of speed: of one run, and of a localizer in all its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.speed.sweep import Sweep
from rtsmlm.errors import LocalizerError
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.ring import FrameRing

Latency: TypeAlias = dict[str, dict[str, float]]
"""p50, p95 and p99 of each stage in ms."""

GROWTH_SHARE, LEAST_GROWTH = 0.01, 4.0
"""Allowed growth of the backlog, as part of a run and in frames: its mean fluctuates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRun:
    """Result of one run."""

    frames_per_s: float
    """Released by the analysis, after the warm-up."""
    offered_per_s: float
    """Frames per second that came from the camera."""
    localizations_per_frame: float
    received: int
    localized: int
    skipped: int
    growth_frames: float
    """How much longer the backlog was in the last quarter of the run than in the second."""
    latency_ms: Latency
    warnings: list[str] = field(default_factory=list)

    @property
    def keeps_up(self) -> bool:
        """True if no frame was skipped and the backlog did not grow."""
        allowed = max(LEAST_GROWTH, GROWTH_SHARE * self.received)
        return self.skipped == 0 and self.growth_frames <= allowed


@dataclass(slots=True)
class RingSamples:
    """Samples of the state of a ring, with their times."""

    t_ns: list[int] = field(default_factory=list)
    pushed: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)

    def take(self, ring: FrameRing) -> None:
        """Sample the fill of the ring."""
        self.released.append(ring.released)
        self.pushed.append(ring.pushed)
        self.t_ns.append(now_ns())

    def released_per_s(self, after: int, until: int) -> float:
        """Return frames per second from when `after` were released to when `until` were.

        Raises
        ------
        LocalizerError
            If that was too quick to be timed.
        """
        first, last = (int(k) for k in np.searchsorted(self.released, (max(after, 1), until)))
        if last <= first:
            raise LocalizerError(f"{until - after} frames were too quick to be timed; take more")
        n_frames = self.released[last] - self.released[first]
        return n_frames / (self.t_ns[last] - self.t_ns[first]) * 1e9

    def growth(self) -> float:
        """Return by how much the backlog grew while frames came, in frames."""
        last = int(np.searchsorted(self.pushed, self.pushed[-1]))
        backlog = np.subtract(self.pushed, self.released)[: last + 1]
        quarters = np.array_split(backlog, 4)
        if not all(len(quarter) for quarter in quarters):
            return 0.0
        return float(quarters[3].mean() - quarters[1].mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSpeed:
    """Another program on the same movie."""

    name: str
    how: str
    """Settings that were fastest."""
    threads: int
    frames_per_s: float
    localizations_per_frame: float
    jaccard: float
    """In a crowd, at the best of many settings; see `crowd`."""
    jaccard_how: str
    """Those settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedResult:
    """Result of one localizer."""

    localizer: str
    runs: str
    """Network or fit, with engine and precision."""
    size_px: int
    density_um2: float
    threads: int
    """That localize."""
    jaccard: float
    """In a crowd; see `crowd`."""
    flood: SpeedRun
    sustained: SpeedRun | None
    """None if no rate was found that it keeps up with."""
    paced: SpeedRun
    paced_per_s: float
    """Camera rate of `paced`."""
    peers: Sequence[PeerSpeed] = ()
    sweep: Sweep | None = None

    @property
    def localizations_per_s(self) -> float:
        """Localizations per second in the flood."""
        return self.flood.frames_per_s * self.flood.localizations_per_frame

    @property
    def mpixel_per_s(self) -> float:
        """Million pixels per second in the flood."""
        return self.flood.frames_per_s * self.size_px**2 / 1e6

    def ratio(self, peer: PeerSpeed) -> float:
        """Return how many times as fast as a peer it is."""
        return self.flood.frames_per_s / peer.frames_per_s

    def as_json(self) -> dict[str, object]:
        """Return all figures as plain data."""
        figures: dict[str, object] = {
            "localizer": self.localizer,
            "runs": self.runs,
            "size": self.size_px,
            "density_um2": self.density_um2,
            "threads": self.threads,
            "jaccard_in_crowd": self.jaccard,
            "mpixel_per_s": self.mpixel_per_s,
            "frames_per_s": self.flood.frames_per_s,
            "localizations_per_s": self.localizations_per_s,
            "sustained_frames_per_s": self.sustained and self.sustained.offered_per_s,
            "latency_at_frames_per_s": self.paced_per_s,
            "latency_ms": self.paced.latency_ms,
            "peers": [
                {
                    "name": peer.name,
                    "settings": peer.how,
                    "threads": peer.threads,
                    "frames_per_s": peer.frames_per_s,
                    "localizations_per_frame": peer.localizations_per_frame,
                    "jaccard_in_crowd": peer.jaccard,
                    "settings_in_crowd": peer.jaccard_how,
                    "ratio": self.ratio(peer),
                }
                for peer in self.peers
            ],
        }
        if self.sweep is not None:
            figures["sweep"] = self.sweep.as_json()
        return figures
