"""RawRecorder: every frame to OME-Zarr through ome-writers, on a thread of its own.

Beside `raw.ome.zarr` grows `raw_index.bin`, one record (`INDEX_DTYPE`) per frame: camera frame
number, end of exposure, laser power. Both can be read after the program was killed.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from rtsmlm.errors import RecordingError
from rtsmlm.files.movies.raw_layout import INDEX_DTYPE
from rtsmlm.files.run.folder import RunFolder, write_text
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.realtime.ring import FrameRing, frames_that_fit
from rtsmlm.realtime.worker import Worker

if TYPE_CHECKING:
    from ome_writers import OMEStream

_ENDLESS = 2**31 - 1  # frames of a run without a set length; the true number is written at close
_IDLE_S = 0.002


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
    buffer_mb
        Memory between camera and disk. While it is full, `push` waits, and frames stay in the
        camera's own buffer.
    chunk_mb
        Size of a chunk file.
    attributes
        Plain data stored with the recording: calibration and exposure.
    on_written
        Called with the numbers of the frames [start, stop) that have been written.
    on_failure
        Called once with the error that ended the recording.

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
        buffer_mb: float,
        chunk_mb: float,
        attributes: Mapping[str, Any],
        on_written: Callable[[int, int], None],
        on_failure: Callable[[RecordingError], None],
    ) -> None:
        self._folder = folder
        self._attributes = dict(attributes)
        self._on_written = on_written
        self._on_failure = on_failure
        self._chunk_frames = min(frames_that_fit(shape, chunk_mb), n_frames or _ENDLESS)
        capacity = max(frames_that_fit(shape, buffer_mb), 2 * self._chunk_frames)
        if n_frames is not None:
            capacity = min(capacity, n_frames + 1)
        self._ring = FrameRing.create(shape, capacity, shared=False)
        self._unbooked: list[int] = []
        self.n_written = 0
        self.failed = threading.Event()
        try:
            self._stream = self._open(shape, n_frames or _ENDLESS)
            self._index_file: BinaryIO = folder.raw_index.open("wb")
        except (OSError, ValueError, NotImplementedError) as error:
            raise RecordingError(f"cannot record to {folder.raw}: {error}") from error
        self._worker = Worker("record", self._work, on_death=self._die)
        self._worker.start()

    def _open(self, shape: tuple[int, int], n_frames: int) -> OMEStream:
        # Not with this module: a compute node that measures speed records nothing.
        from ome_writers import AcquisitionSettings, Dimension, create_stream

        height, width = shape
        pixel_um = self._attributes.get("pixel_nm", 0) / 1000
        pixel: dict[str, Any] = {"scale": pixel_um, "unit": "micrometer"} if pixel_um else {}
        dimensions = [
            Dimension(name="t", count=n_frames, chunk_size=self._chunk_frames, type="time"),
            Dimension(name="y", count=height, chunk_size=height, type="space", **pixel),
            Dimension(name="x", count=width, chunk_size=width, type="space", **pixel),
        ]
        stream = create_stream(
            AcquisitionSettings(
                root_path=str(self._folder.raw),
                dimensions=dimensions,
                dtype="uint16",
                compression=None,
                format={"name": "ome-zarr", "backend": "zarr-python"},
            )
        )
        # Written at once, so that a recording that was cut short still knows its camera.
        stream.set_global_metadata("rtsmlm", self._attributes)
        return stream

    def push(self, frame: CameraFrame, give_up: threading.Event) -> None:
        """Hand over a frame; waits while the buffer is full, until `give_up` is set."""
        while not self.failed.is_set() and not self._ring.push(frame):
            if give_up.wait(_IDLE_S):
                return

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
        while True:
            closing = self._ring.input_closed  # read before peek: what was pushed is written
            batch = self._ring.peek(self._chunk_frames)
            if batch is None:
                if closing or stop.is_set():
                    break
                stop.wait(_IDLE_S)
                continue
            self._write(batch)
            self._ring.release(len(batch))
        self._finish()

    def _write(self, batch: FrameBatch) -> None:
        records = np.empty(len(batch), INDEX_DTYPE)
        records["index"] = batch.index
        records["t_exposure_end_ns"] = batch.t_exposure_end_ns
        records["activation_power"] = batch.activation_power
        for pixels, index in zip(batch.pixels, batch.index.tolist(), strict=True):
            self._stream.append(pixels)
            self.n_written += 1
            self._unbooked.append(index)
            if self.n_written % self._chunk_frames == 0:
                self._book()
        self._index_file.write(records.tobytes())
        self._index_file.flush()

    def _book(self) -> None:
        """Report the frames of the chunk that has just reached the disk."""
        start = previous = self._unbooked[0] if self._unbooked else 0
        for index in self._unbooked[1:]:
            if index != previous + 1:
                self._on_written(start, previous + 1)
                start = index
            previous = index
        if self._unbooked:
            self._on_written(start, previous + 1)
        self._unbooked.clear()

    def _finish(self) -> None:
        self._stream.close()
        self._index_file.close()
        _set_length(self._folder.raw, self.n_written, self._attributes)
        self._book()

    def _die(self, error: BaseException) -> None:
        with contextlib.suppress(Exception):
            self._index_file.close()
        with contextlib.suppress(Exception):
            self._stream.close()
        with contextlib.suppress(Exception):
            whole_chunks = self.n_written - len(self._unbooked)
            _set_length(self._folder.raw, whole_chunks, self._attributes)
        self.failed.set()
        reason = getattr(error, "strerror", None) or error
        self._on_failure(
            RecordingError(
                f"recording stopped after {self.n_written} frames: {self._folder.raw}: {reason}; "
                "free the disk or choose another results.out. Localization continues"
            )
        )


def _set_length(raw: Path, n_frames: int, attributes: Mapping[str, Any]) -> None:
    """Write the true number of frames and our attributes into the metadata of the recording."""
    array = raw / "0" / "zarr.json"
    data = json.loads(array.read_text(encoding="utf-8"))
    data["shape"][0] = n_frames
    write_text(array, json.dumps(data, indent=2))
    group = raw / "zarr.json"
    data = json.loads(group.read_text(encoding="utf-8"))
    data.setdefault("attributes", {})["rtsmlm"] = {**attributes, "n_frames": n_frames}
    write_text(group, json.dumps(data, indent=2))
