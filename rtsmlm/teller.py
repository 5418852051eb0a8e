"""Teller: the state of a run, as the stream tells it to whoever listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtsmlm.files.run_folder import RunFolder, free_mb
from rtsmlm.protocols import Camera
from rtsmlm.run_report import RunStatus, status_message
from rtsmlm.supervisor import AnalysisNews
from rtsmlm.workers import Worker

_TELL_S = 0.25
_END_S = 15.0


class Teller:
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
    news: AnalysisNews,
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
