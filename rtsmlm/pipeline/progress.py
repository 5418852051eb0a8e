"""PipelineProgress: what the analysis has reported so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtsmlm.analysis.drift_trace import DriftEstimate
from rtsmlm.files.wrong_pixels import NAME as WRONG_PIXELS
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.pipeline.events import PsfMeasured
from rtsmlm.pipeline.start_events import CameraMeasured, LocalizerInForce
from rtsmlm.realtime.latency import LatencySummary, RecentLatency
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings


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
    refined: dict[str, float] = field(default_factory=dict)
    """What else was measured of the PSF: see `PsfSettings.with_measured`."""
    assumed_before: int = 0
    """Frames before this one were localized with a PSF width or camera that was assumed."""
    camera: CameraMeasured | None = None
    """What the first frames have said of the camera."""
    localizers: list[LocalizerInForce] = field(default_factory=list)
    """What has localized, in order; the last is in force."""
    validity: dict[str, Any] = field(default_factory=dict)
    """Figures of the validity meter."""
    counts: FrameCounts = field(default_factory=FrameCounts)
    """Of the pixels of all frames that were localized."""
    drift_nm: dict[str, float] = field(default_factory=dict)
    """Newest drift by axis, as `x_nm`."""
    drift_block: DriftEstimate = field(default_factory=DriftEstimate)
    """What the newest block of frames states of the drift by itself."""
    blinking: dict[str, float] = field(default_factory=dict)
    """How emitters blink, since the analysis has started."""
    restarts: int = 0
    failed_frames: int = 0
    death: str | None = None
    """Why the analysis died last; None if it did not, or is up again."""

    def take_width(self, event: PsfMeasured) -> None:
        """Take the PSF that is in force."""
        self.sigma_nm, self.refined = event.sigma_nm, event.refined
        self.assumed_before = max(self.assumed_before, event.from_frame)

    def take_camera(self, event: CameraMeasured) -> None:
        """Take what the first frames have said of the camera."""
        self.camera = event
        self.assumed_before = max(self.assumed_before, event.from_frame)

    def known(self, settings: RunSettings, folder: Path) -> RunSettings:
        """Return the settings of a run with what was measured in it.

        Parameters
        ----------
        settings
            Of the run.
        folder
            The run folder, with the file of wrong pixels.
        """
        if self.camera is not None:
            settings = resolve(settings, measured=self.camera.values)
            if self.camera.has_wrong_pixels:
                named = {"wrong_pixels": folder / WRONG_PIXELS}
                camera = settings.camera.model_copy(update=named)
                settings = settings.model_copy(update={"camera": camera})
        return self.with_psf(settings)

    def with_psf(self, settings: RunSettings) -> RunSettings:
        """Return the settings of a run with the PSF that was measured in it."""
        return resolve(settings, sigma_nm=self.sigma_nm, refined=self.refined)
