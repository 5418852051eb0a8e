"""The state of a run: for a status line, for a window, and for the stream."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from rtsmlm.feedback.records import LoopStatus
from rtsmlm.files.run.folder import RunFolder, free_mb
from rtsmlm.pipeline.supervisor import PipelineProgress
from rtsmlm.protocols import Camera
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.realtime.worker import Worker

_TELL_S = 0.25
_END_S = 15.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment, for a status line or a window."""

    totals: LedgerTotals
    frames_per_s: float
    localizations: int
    emitters_per_frame: float
    p50_ms: float
    p99_ms: float
    backlog: int
    """Frames in the ring."""
    recorder_backlog: int
    model: str = ""
    """What the validity meter says, in two or three words; nothing where it is off."""
    loop: LoopStatus | None = None
    """Laser and density; None where no laser is steered."""


def status_message(status: RunStatus, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return a status as plain JSON data for the stream; NaN becomes None.

    Parameters
    ----------
    status
        The run at this moment.
    more
        Further entries: latency per stage, validity, disk, warnings.
    """
    loop = status.loop
    data = asdict(status) | {"loop": None, **more}
    if loop is not None:
        estimate = None if loop.estimate is None else loop.estimate.as_dict()
        powers = dict(loop.powers)
        plain = {f.name: getattr(loop, f.name) for f in fields(loop)}
        data["loop"] = plain | {"estimate": estimate, "powers": powers}
    plain_data: dict[str, Any] = _without_nan(data)
    return plain_data


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return value


class StatusPublisher:
    """Tell a few times a second, in a thread of its own: who is told may be frozen.

    Parameters
    ----------
    message
        Asked for what is to be told.
    tell
        Called with it.
    """

    def __init__(
        self, message: Callable[[], Mapping[str, Any]], tell: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._message, self._tell_to = message, tell
        self._worker = Worker("tell", self._tell)

    def start(self) -> None:
        """Start telling."""
        self._worker.start()

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._worker.stop()

    def join(self) -> None:
        """Wait for its end.

        Raises
        ------
        WorkerError
            If whoever is told is frozen.
        """
        self._worker.join(_END_S)

    def _tell(self, stop: threading.Event) -> None:
        while not stop.wait(_TELL_S):
            self._tell_to(self._message())


def run_message(
    status: RunStatus,
    news: PipelineProgress,
    *,
    camera: Camera,
    folder: RunFolder,
    recording: bool,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the state of a run as plain data.

    Parameters
    ----------
    status
        The run at this moment.
    news
        What the analysis has told.
    camera
        Where the frames come from.
    folder
        The run folder; its disk is looked at.
    recording
        Whether raw frames are written.
    warnings
        All warnings and failures so far.
    """
    height, width = camera.shape
    return status_message(
        status,
        {
            "latency_ms": news.latency_ms,
            "validity": news.validity,
            "restarts": news.restarts,
            "recording": recording,
            "disk_free_mb": free_mb(folder.path),
            "disk_mb_per_s": status.frames_per_s * height * width * 2 / 2**20,
            "exposure_ms": camera.exposure_ms,
            "warnings": list(warnings),
        },
    )
