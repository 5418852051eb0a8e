"""ImageFeed: gives frames to the process of networks of images, and takes the layers that it makes.

It costs the localizing thread the copy of a frame, and that only where there is room for one: where
the networks are slower than the camera they see a part of the frames. Networks of localizations
cost it nothing: they read the table. Nothing that they do, their end included, reaches the run.
"""

from __future__ import annotations

import base64
import logging
import os
import threading
import zlib
from collections.abc import Callable

from rtsmlm.engines.image_models import is_of_frames
from rtsmlm.errors import ConfigError, PipelineError, RtsmlmError, WorkerError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.pipeline.events import (
    LayerGrown,
    LayersLeft,
    LayersOpened,
    Warned,
    image_event_from_line,
)
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.realtime.child_process import ChildProcess, module_command
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.ring import FrameRing, frames_that_fit
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.stream.broadcast import Broadcast
from rtsmlm.stream.messages import LayerMessage

GrownLayer = tuple[LayerMessage, bytes]
"""Header and pixels as they are published."""

_MOST_WAITING, _MOST_MB = 16, 64
_SILENT_S = 30.0
"""Time for one layer of frames to be written; the next one has as long again."""
_LEAVE_S = 2.0
"""Where there is none to write: images of localizations are made of the table after the run."""
_KILLED_S = 10.0
_TURN_S = 0.1
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Environment of a process whose libraries compute in one thread."""

_log = logging.getLogger(__name__)


def take_frames(names: tuple[str, ...]) -> bool:
    """Tell whether one of these models makes its image of frames."""
    try:
        return any(is_of_frames(name) for name in names)
    except RtsmlmError:  # reported when the layers are made
        return False


class ImageFeed:
    """The process of the networks of images, and what goes to and fro.

    Parameters
    ----------
    job
        Of the analysis.
    shape
        Height and width of the frames.
    warn
        Called with one sentence, from any thread.
    """

    def __init__(
        self, job: PipelineJob, shape: tuple[int, int], warn: Callable[[str], None]
    ) -> None:
        self._warn = warn
        self._lock = threading.Lock()
        self._grown: dict[tuple[str, bool], GrownLayer] = {}
        self._ring: FrameRing | None = None
        self._child: ChildProcess | None = None
        self._is_open = self._gives_frames = False
        self._heard_ns = 0
        self.seen = self.missed = 0
        """Frames that were given to the networks, and for which they had no time."""
        names = job.settings.results.image_models
        if not names:
            return
        self._gives_frames = take_frames(names)
        try:
            self._start(job, shape)
        except (ConfigError, WorkerError, OSError) as error:
            self._give_up(str(error))

    def _start(self, job: PipelineJob, shape: tuple[int, int]) -> None:
        # Networks of localizations read the table: for them alone it stays empty.
        most = min(_MOST_WAITING, frames_that_fit(shape, _MOST_MB))
        capacity = most if self._gives_frames else 1
        self._ring = FrameRing.create(shape, capacity)
        own = PipelineJob(self._ring.name, job.folder, job.settings, run_id=job.run_id)
        with RunFolder(job.folder).analysis_log.open("ab") as log:
            self._child = ChildProcess(
                "process of image networks",
                module_command("rtsmlm.pipeline.image_process"),
                on_line=self._take,
                stderr=log,
                env=os.environ | _ONE_THREAD,
            )
        self._child.write_line(own.to_json())

    def _take(self, line: str) -> None:
        try:
            event = image_event_from_line(line)
        except PipelineError as error:
            if self._child is not None:  # where it was killed, its last line may be cut
                self._warn(str(error))
            return
        self._heard_ns = now_ns()
        match event:
            case Warned():
                self._warn(event.text)
            case LayerGrown():
                self._hold(event)
            case LayersOpened():
                self._is_open = True
                _log.info("image layers grow: %s", ", ".join(event.names))
            case LayersLeft():
                _log.info("image layers to write: %s", ", ".join(event.names))

    def _hold(self, event: LayerGrown) -> None:
        message = LayerMessage(
            name=event.name,
            version=event.version,
            quantity="uncertainty" if event.is_uncertainty else "prediction",
            n_frames=event.n_frames,
            n_localizations=event.n_localizations,
            shape=(event.height, event.width),
            pixel_nm=event.pixel_nm,
            step=event.step,
        )
        pixels = zlib.decompress(base64.b64decode(event.pixels))
        with self._lock:
            self._grown[event.name, event.is_uncertainty] = message, pixels

    def put(self, batch: FrameBatch, *, behind: bool) -> None:
        """Give frames to the networks, as far as there is room; returns at once.

        Parameters
        ----------
        batch
            Frames that were localized.
        behind
            The localizer has a backlog: it is given no work beside its own.
        """
        ring, child = self._ring, self._child
        if ring is None or child is None:
            return
        if child.exit_code() is not None:
            self._give_up("their process ended; see analysis.log in the run folder")
            return
        if not self._gives_frames:
            return
        for k in range(len(batch)):
            if behind or ring.full:
                self.missed += len(batch) - k
                return
            ring.push(
                CameraFrame(
                    pixels=batch.pixels[k],
                    index=int(batch.index[k]),
                    t_exposure_end_ns=int(batch.t_exposure_end_ns[k]),
                )
            )
            self.seen += 1

    def publish(self, broadcast: Broadcast | None) -> None:
        """Publish the layers that are new, once."""
        if not self._grown or broadcast is None:
            return
        with self._lock:
            grown, self._grown = list(self._grown.values()), {}
        for layer, pixels in grown:
            broadcast.layer(layer, pixels)

    def close(
        self, beat: Callable[[], None], is_given_up: Callable[[], bool] = lambda: False
    ) -> None:
        """Let the layers be written, and end the process. Safe to call more than once.

        It is waited for as long as one layer after the other is written.

        Parameters
        ----------
        beat
            Called again and again while it is waited for.
        is_given_up
            Asked meanwhile; once it is true, the process is ended at once.
        """
        child, self._child = self._child, None
        if child is not None:
            # Beside this thread: whatever holds it up, the owner of the analysis sees it alive.
            ending = Worker(
                "end-images", lambda stop: self._end(child, stop), on_death=self._note_end
            )
            ending.start()
            while not ending.wait(_TURN_S):
                beat()
                if is_given_up():
                    ending.stop()
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _end(self, child: ChildProcess, stop: threading.Event) -> None:
        child.close_input()
        self._heard_ns = now_ns()
        most_ns = (_SILENT_S if self._gives_frames else _LEAVE_S) * 1e9
        is_late = False
        # One that is still loading has seen nothing.
        while self._is_open and not is_late and not stop.is_set() and not child.wait(_TURN_S):
            is_late = now_ns() - self._heard_ns > most_ns
        if is_late and self._gives_frames:
            self._warn(
                f"the process of image networks wrote no layer within {_SILENT_S:g} s and was "
                "ended; recorded frames are given to the networks again after the run"
            )
        child.kill()
        child.close(_KILLED_S)

    def _note_end(self, error: BaseException) -> None:
        self._warn(f"{one_line(error)}; image layers are made after the run")

    def _give_up(self, why: str) -> None:
        self._warn(f"no image layer grows any more: {why}; the run goes on")
        self.close(lambda: None)
