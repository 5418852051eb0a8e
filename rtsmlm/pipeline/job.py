"""PipelineJob: ring, folder and settings of an analysis, as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from rtsmlm.settings.load import from_mapping
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.wire import new_run_id


@dataclass(frozen=True, slots=True)
class PipelineJob:
    """What an analysis is to do; plain data, so that it can be sent to another process."""

    ring: str
    """Name of the shared memory, empty where the ring is given as an object."""
    folder: Path
    settings: RunSettings
    resume_before: int | None = None
    """After a crash: rows from this frame on are dropped from the file and localized again."""
    run_id: str = field(default_factory=new_run_id)
    """Number of the run, in every message of its stream; a restarted analysis keeps it."""
    assumed: tuple[str, ...] = ()
    """Names of the values of the calibration that nothing states."""
    camera_frames_per_s: float | None = None
    """Rate that the localizer has to keep up with; None where there is none."""
    localizer: str | None = None
    """After a crash: what `localizer.name` stood for."""

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps(
            {
                "ring": self.ring,
                "folder": str(self.folder),
                "settings": self.settings.model_dump(mode="json"),
                "resume_before": self.resume_before,
                "run_id": self.run_id,
                "assumed": self.assumed,
                "camera_frames_per_s": self.camera_frames_per_s,
                "localizer": self.localizer,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> PipelineJob:
        """Read a job back."""
        data = json.loads(text)
        return cls(
            ring=data["ring"],
            folder=Path(data["folder"]),
            settings=from_mapping(data["settings"]),
            resume_before=data["resume_before"],
            run_id=data["run_id"],
            assumed=tuple(data["assumed"]),
            camera_frames_per_s=data["camera_frames_per_s"],
            localizer=data["localizer"],
        )
