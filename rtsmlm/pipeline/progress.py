"""PipelineProgress: what the analysis has reported so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.pipeline.start_events import LocalizerInForce
from rtsmlm.realtime.latency import LatencySummary, RecentLatency


@dataclass
class PipelineProgress:
    """What the analysis has reported so far."""

    localizations: int = 0
    latency_ms: LatencySummary = field(default_factory=dict)
    recent: RecentLatency = field(default_factory=RecentLatency)
    reported_ns: int | None = None
    """When the analysis reported last; None before."""
    is_watched: bool = False
    """Whether the stream has a subscriber."""
    generation: int = 0
    """Of the table, see `stream.history`."""
    stream_address: str | None = None
    sigma_nm: float | None = None
    """PSF width in force; None while it is not known."""
    assumed_before: int = 0
    """Frames before this one were localized with a PSF width that was assumed."""
    localizers: list[LocalizerInForce] = field(default_factory=list)
    """What has localized, in order; the last is in force."""
    validity: dict[str, Any] = field(default_factory=dict)
    """Figures of the validity meter."""
    counts: FrameCounts = field(default_factory=FrameCounts)
    """Of the pixels of all frames that were localized."""
    drift_nm: dict[str, float] = field(default_factory=dict)
    """Newest drift by axis, as `x_nm`."""
    blinking: dict[str, float] = field(default_factory=dict)
    """How emitters blink, since the analysis has started."""
    restarts: int = 0
    failed_frames: int = 0
    death: str | None = None
    """Why the analysis died last; None if it did not, or is up again."""
