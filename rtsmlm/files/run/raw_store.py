"""RawStore: frames appended to the chunk files of an OME-Zarr, their records to the index.

An uncompressed chunk of whole frames is these frames one after the other and nothing else, so its
file is written like a log: each frame once, at its place, when it arrives. An open chunk is a
file that is shorter than a chunk, in which our reader counts the frames; the last one is filled up
at the end, for other programs. Pixels are written before their record, so that the index never
names a frame that is not there.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import RecordingError
from rtsmlm.files.movies.raw_layout import ATTRIBUTE, INDEX_DTYPE
from rtsmlm.files.run.disk_sync import DiskSync
from rtsmlm.files.run.folder import RunFolder, write_text
from rtsmlm.frames import FrameBatch

ENDLESS = 2**31 - 1
"""Frames of a run without a set length; the true number is written at the end."""

_ARRAY = "0"
_PLAIN = {
    "data_type": "uint16",
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
}
"""What the metadata must say for a chunk file to be plain frames."""


class RawStore:
    """The files of a recording that is being made. Not for two threads at once.

    Parameters
    ----------
    folder
        The run folder.
    shape
        Height and width of the frames in pixels.
    n_frames
        Number of frames to come, `ENDLESS` if unknown.
    chunk_frames
        Frames in a chunk file.
    attributes
        Plain data stored with the recording: calibration and exposure.
    sync
        What forces written files to the disk.

    Raises
    ------
    OSError, ValueError
        If the files cannot be made.
    """

    def __init__(
        self,
        folder: RunFolder,
        shape: tuple[int, int],
        *,
        n_frames: int,
        chunk_frames: int,
        attributes: Mapping[str, Any],
        sync: DiskSync,
    ) -> None:
        self._raw, self._index_path = folder.raw, folder.raw_index
        self._chunk_frames = chunk_frames
        self._frame_bytes = shape[0] * shape[1] * 2
        self._sync = sync
        self.n_frames = 0
        """Frames of which pixels and record have been written."""
        self._chunk: FileIO | None = None
        _make_zarr(folder.raw, shape, n_frames, chunk_frames, dict(attributes))
        self._chunks = folder.raw / _ARRAY / "c"
        self._chunks.mkdir()
        self._index: FileIO | None = FileIO(folder.raw_index, "w")
        for path in (folder.raw / "zarr.json", folder.raw / _ARRAY / "zarr.json", folder.raw_index):
            sync.created(path, folder.path)
        # Now, not by its thread: Windows replaces no file that is open, and they are at the end.
        sync.sync()

    def append(self, batch: FrameBatch) -> None:
        """Write frames and their records; `n_frames` says how far it came.

        Raises
        ------
        OSError
            If the disk refuses some; those before them are written, and more may be tried.
        """
        records = np.empty(len(batch), INDEX_DTYPE)
        records["index"] = batch.index
        records["t_exposure_end_ns"] = batch.t_exposure_end_ns
        records["activation_power"] = batch.activation_power
        start = 0
        try:
            while start < len(batch):
                room = self._chunk_frames - self.n_frames % self._chunk_frames
                part = slice(start, start + min(room, len(batch) - start))
                self._append_to_chunk(batch.pixels[part], records[part])
                start = part.stop
        except OSError:
            self._let_go()
            raise

    def _append_to_chunk(self, pixels: NDArray[np.uint16], records: NDArray[np.void]) -> None:
        number, inside = divmod(self.n_frames, self._chunk_frames)
        path = self._chunk_path(number)
        if self._chunk is None:
            self._chunk = self._open_chunk(path, inside * self._frame_bytes)
        if self._index is None:
            self._index = _reopen(self._index_path, self.n_frames * INDEX_DTYPE.itemsize)
        _write(self._chunk, np.ascontiguousarray(pixels, "<u2"))
        _write(self._index, records)
        self._sync.changed(path)
        self._sync.changed(self._index_path)
        self.n_frames += len(records)
        if self.n_frames % self._chunk_frames == 0:
            self._chunk.close()
            self._chunk = None

    def _chunk_path(self, number: int) -> Path:
        return self._chunks / str(number) / "0" / "0"

    def _open_chunk(self, path: Path, at_byte: int) -> FileIO:
        if at_byte:
            return _reopen(path, at_byte)
        # Not with parents: where the recording was removed, no rest of it is made anew.
        path.parent.parent.mkdir(exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        file = FileIO(path, "w")
        self._sync.created(path, self._raw)
        return file

    def _let_go(self) -> None:
        """Close both files and cut them to what both hold."""
        chunk, index = self._chunk, self._index
        self._chunk = self._index = None
        ends = self.n_frames % self._chunk_frames * self._frame_bytes, self.n_frames
        for file, end in ((chunk, ends[0]), (index, ends[1] * INDEX_DTYPE.itemsize)):
            if file is not None:
                # What stays is left out by readers, and cut when the file is opened again.
                with contextlib.suppress(OSError):
                    file.truncate(end)
                with contextlib.suppress(OSError):
                    file.close()

    def close(self) -> None:
        """Fill up the last chunk and write the true number of frames.

        Raises
        ------
        OSError, SinkError
            If the disk refuses; our own reader reads the recording all the same.
        """
        self._let_go()
        finish_recording(self._raw, self.n_frames)
        for path in (self._raw / "zarr.json", self._raw / _ARRAY / "zarr.json"):
            self._sync.created(path, self._raw)
        if self.n_frames:
            self._sync.changed(self._chunk_path((self.n_frames - 1) // self._chunk_frames))


def finish_recording(raw: Path, n_frames: int) -> None:
    """Make a recording that has got its last frame one that other programs open.

    Parameters
    ----------
    raw
        Its folder, `raw.ome.zarr`.
    n_frames
        How many frames it holds, without a gap.

    Raises
    ------
    OSError, SinkError
        If the disk refuses.
    """
    array = raw / _ARRAY / "zarr.json"
    data = json.loads(array.read_text(encoding="utf-8"))
    chunk = data["chunk_grid"]["configuration"]["chunk_shape"]
    # A recording of one chunk has a chunk of its length: nothing to fill up.
    chunk[0] = max(1, min(chunk[0], n_frames))
    if n_frames:
        frame_bytes = chunk[1] * chunk[2] * 2
        last = (n_frames - 1) // chunk[0]
        with (raw / _ARRAY / "c" / str(last) / "0" / "0").open("r+b") as file:
            # What a kill has left of a further frame goes, then zeros come.
            file.truncate((n_frames - last * chunk[0]) * frame_bytes)
            file.truncate(chunk[0] * frame_bytes)
    data["shape"][0] = n_frames
    write_text(array, json.dumps(data, indent=2))
    group = raw / "zarr.json"
    data = json.loads(group.read_text(encoding="utf-8"))
    data["attributes"][ATTRIBUTE]["n_frames"] = n_frames
    write_text(group, json.dumps(data, indent=2))


def _reopen(path: Path, end: int) -> FileIO:
    """Open a file to append behind byte `end`; what follows there is cut off."""
    file = FileIO(path, "r+")
    if file.seek(0, 2) < end:
        file.close()
        raise OSError(f"{path} was shortened by another program")
    file.truncate(end)
    file.seek(end)
    return file


def _write(file: FileIO, data: NDArray[Any]) -> None:
    """Write all of it: an unbuffered file may take a part."""
    view = data.view(np.uint8).reshape(-1).data
    while len(view):
        view = view[file.write(view) or 0 :]


def _make_zarr(
    raw: Path,
    shape: tuple[int, int],
    n_frames: int,
    chunk_frames: int,
    attributes: Mapping[str, Any],
) -> None:
    """Make an OME-Zarr without frames, by the writer of the field, and check how it lays them."""
    # Not with this module: a compute node that measures speed records nothing.
    from ome_writers import AcquisitionSettings, Dimension, create_stream

    height, width = shape
    pixel_um = attributes.get("pixel_nm", 0) / 1000
    pixel: dict[str, Any] = {"scale": pixel_um, "unit": "micrometer"} if pixel_um else {}
    stream = create_stream(
        AcquisitionSettings(
            root_path=str(raw),
            dimensions=[
                Dimension(name="t", count=n_frames, chunk_size=chunk_frames, type="time"),
                Dimension(name="y", count=height, chunk_size=height, type="space", **pixel),
                Dimension(name="x", count=width, chunk_size=width, type="space", **pixel),
            ],
            dtype="uint16",
            compression=None,
            format={"name": "ome-zarr", "backend": "zarr-python"},
        )
    )
    # Written at once, so that a recording that was cut short still knows its camera.
    stream.set_global_metadata(ATTRIBUTE, attributes)
    stream.close()
    made = json.loads((raw / _ARRAY / "zarr.json").read_text(encoding="utf-8"))
    if {key: made.get(key) for key in _PLAIN} != _PLAIN:
        raise RecordingError(
            f"this version of ome-writers stores frames as {made.get('codecs')}, not plainly; "
            "install another version, or set record.raw=false"
        )
