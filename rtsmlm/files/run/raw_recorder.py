"""RawRecorder: every frame to OME-Zarr, on a thread of its own.

A frame is written when it arrives, and its record with it (`raw_store`), so that a killed program
loses what came in its last moment, whatever the size of a chunk; a second thread forces both to the
disk twice a second. While the disk takes nothing, frames wait in the buffer; the oldest of them
are given up where it is full, and counted.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rtsmlm.errors import RecordingError
from rtsmlm.files.run.disk_space import DiskSpace
from rtsmlm.files.run.disk_sync import DiskSync
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.raw_store import ENDLESS, RawStore
from rtsmlm.frames import CameraFrame
from rtsmlm.realtime.ring import FrameRing, frames_that_fit
from rtsmlm.realtime.worker import Worker, one_line

_IDLE_S = 0.002
_WRITE_MB = 16
"""Most that is written at once while there is a backlog."""
_SPARE = 8
"""While the disk takes nothing, one part in so many of the buffer is kept free for new frames."""


class RawRecorder:
    """Take frames from the acquisition thread and write them on its own.

    Parameters
    ----------
    folder
        The run folder.
    shape
        Height and width of the frames in pixels.
    n_frames
        Number of frames to come, None if unknown.
    seconds
        Length of the run, None if unknown.
    buffer_mb
        Memory between camera and disk. While it is full, `push` waits, and frames stay in the
        camera's own buffer.
    chunk_mb
        Size of a chunk file.
    reserve_mb
        Free space on the disk that raw frames leave alone.
    attributes
        Plain data stored with the recording: calibration and exposure.
    on_written
        Called with the numbers of the frames [start, stop) that have been written.
    on_warning
        Called with one sentence: the disk is nearly full, the recording pauses, it continues.
    on_failure
        Called with the error if the recording ends early, and at its end if it lacks frames.

    Raises
    ------
    RecordingError
        If the recording cannot be started.
    """

    def __init__(
        self,
        folder: RunFolder,
        shape: tuple[int, int],
        *,
        n_frames: int | None,
        seconds: float | None,
        buffer_mb: float,
        chunk_mb: float,
        reserve_mb: float,
        attributes: Mapping[str, Any],
        on_written: Callable[[int, int], None],
        on_warning: Callable[[str], None],
        on_failure: Callable[[RecordingError], None],
    ) -> None:
        self._folder = folder
        self._on_written, self._on_failure = on_written, on_failure
        self._frame_bytes = shape[0] * shape[1] * 2
        capacity = frames_that_fit(shape, buffer_mb)
        if n_frames is not None:
            capacity = min(capacity, n_frames + 1)
        self._ring = FrameRing.create(shape, capacity, shared=False)
        self._most = min(frames_that_fit(shape, _WRITE_MB), max(capacity // 2, 1))
        self._space = DiskSpace(
            folder.path,
            reserve_mb=reserve_mb,
            warn=on_warning,
            total_bytes=math.inf if n_frames is None else n_frames * self._frame_bytes,
            seconds=math.inf if seconds is None else seconds,
        )
        self._sync = DiskSync("record-sync", on_warning)
        self.n_left_out = 0
        """Frames that the disk did not take."""
        self.failed = threading.Event()
        try:
            self._store = RawStore(
                folder,
                shape,
                n_frames=n_frames or ENDLESS,
                chunk_frames=min(frames_that_fit(shape, chunk_mb), n_frames or ENDLESS),
                attributes=attributes,
                sync=self._sync,
            )
        except (OSError, ValueError, NotImplementedError) as error:
            raise RecordingError(f"cannot record to {folder.raw}: {error}") from error
        self._worker = Worker("record", self._work, on_death=self._die)
        self._sync.start()
        self._worker.start()

    def push(self, frame: CameraFrame, give_up: threading.Event) -> None:
        """Hand over a frame; waits while the buffer is full, until `give_up` is set."""
        while not self.failed.is_set() and not self._ring.push(frame):
            if give_up.wait(_IDLE_S):
                return

    @property
    def n_written(self) -> int:
        """Frames on disk, each with its record."""
        return self._store.n_frames

    @property
    def backlog(self) -> int:
        """Frames waiting to be written."""
        return self._ring.backlog

    def close(self, timeout_s: float = 120.0) -> None:
        """Write what is waiting and finish the recording.

        Raises
        ------
        WorkerError
            If the disk does not take the rest in time.
        """
        self._ring.close_input()
        self._worker.join(timeout_s)

    # -- in the recorder thread ----------------------------------------------------------

    def _work(self, stop: threading.Event) -> None:
        closing = False
        while True:
            if not closing and (self._ring.input_closed or stop.is_set()):
                closing = True  # before writing: what was pushed is tried
                self._space.try_now()
            if self._write_some():
                continue
            if closing:
                break
            self._make_room()
            stop.wait(_IDLE_S)
        self._finish()

    def _write_some(self) -> bool:
        """Write the oldest frames; False if there are none, or the disk takes none."""
        batch = self._ring.peek(self._most)
        first = 0 if batch is None else int(batch.index[0])
        if batch is None or not self._space.admits(len(batch) * self._frame_bytes, first):
            return False
        before = self._store.n_frames
        try:
            self._store.append(batch)
            self._space.wrote(len(batch) * self._frame_bytes, first)
        except OSError as error:
            self._space.refused(error, int(batch.index[self._store.n_frames - before]))
        n = self._store.n_frames - before
        # Split where the camera lost frames.
        for part in np.split(batch.index[:n], np.flatnonzero(np.diff(batch.index[:n]) != 1) + 1):
            if len(part):
                self._on_written(int(part[0]), int(part[-1]) + 1)
        self._ring.release(n)
        return n > 0

    def _make_room(self) -> None:
        """Give up the oldest frames where the disk takes none and the buffer is nearly full."""
        if not self._space.paused:
            return
        spare = max(self._ring.capacity // _SPARE, 1)
        too_many = self._ring.backlog - (self._ring.capacity - spare)
        if too_many > 0:
            self._ring.release(too_many)
            self.n_left_out += too_many

    def _finish(self) -> None:
        self.n_left_out += self._ring.backlog
        try:
            self._store.close()
        finally:
            self._sync.close()
        if self.n_left_out:
            self._on_failure(
                RecordingError(
                    f"{self.n_left_out} frames were not recorded: {self._space.reason}; "
                    "ledger.json lists them, the others can be read. Free the disk or choose "
                    "another results.out"
                )
            )

    def _die(self, error: BaseException) -> None:
        self.failed.set()
        with contextlib.suppress(Exception):
            self._store.close()
        with contextlib.suppress(Exception):
            self._sync.close()
        self._on_failure(
            RecordingError(
                f"recording stopped after {self.n_written} frames: {self._folder.raw}: "
                f"{getattr(error, 'strerror', None) or one_line(error)}; free the disk or choose "
                "another results.out. Localization continues"
            )
        )
