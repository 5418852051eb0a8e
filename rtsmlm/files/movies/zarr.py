"""OME-Zarr 0.4 and 0.5 (zarr 2 and 3) as movies, our own recordings among them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import (
    MAX_BLOCK_BYTES,
    MAX_CHUNKS,
    MAX_CHUNKS_AT_ONCE,
    check_size,
)
from rtsmlm.files.movies.account import MovieAccount, StatedFrames
from rtsmlm.files.movies.metadata import Statements, add_pymmcore
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.files.movies.ome_zarr import (
    array_folder,
    axes_of,
    frame_axis_of,
    image_of,
    open_array,
    state_pixel,
)
from rtsmlm.files.movies.raw_layout import (
    INDEX_NAME,
    activation_unit,
    chunks_on_disk,
    read_index,
    state_calibration,
)
from rtsmlm.files.movies.recording import is_recording, open_recording
from rtsmlm.files.movies.zarr_codecs import length_limit


def open_zarr(path: Path) -> Movie:
    """Open an OME-Zarr group, or a bare zarr array.

    Parameters
    ----------
    path
        The folder. For our own recordings the index beside it is used too.

    Raises
    ------
    FileFormatError
        If it holds no time series of frames.
    """
    attributes, image = image_of(path)
    folder = array_folder(path, image)
    array = open_array(folder)
    axes = axes_of(path, image, array.ndim)
    frame_axis = frame_axis_of(path, axes, array.shape)
    layout = _Layout.of(array, frame_axis)
    if is_recording(attributes, array):
        return open_recording(path, folder, attributes, array)
    statements = Statements()
    stated = state_calibration(statements, attributes)
    state_pixel(statements, image, axes)
    add_pymmcore(statements, attributes)
    records, index_damage = read_index(path)
    length = int(array.shape[frame_axis]) if frame_axis is not None else 1
    account = _count(path, folder, layout, length, stated, records, frame_axis)
    n_frames = account.read
    power = _column(records, "activation_power", n_frames)
    facts = MovieFacts(
        path=path,
        kind=f"OME-Zarr (zarr {array.metadata.zarr_format})",
        shape=(int(array.shape[-2]), int(array.shape[-1])),
        n_frames=n_frames,
        dtype=np.dtype(array.dtype),
        account=replace(account, further=(*index_damage, *account.further)),
        stated=statements.stated,
        exposure_ms=statements.exposure_ms,
        frame_index=_column(records, "index", n_frames),
        t_exposure_end_ns=_column(records, "t_exposure_end_ns", n_frames),
        activation_power=power,
        activation_unit=activation_unit(attributes, power),
        contradictions=tuple(statements.contradictions),
        notes=tuple(statements.notes),
    )
    return ZarrMovie(facts, folder, array, frame_axis=frame_axis, chunk_frames=layout.chunk_frames)


def _column(records: NDArray[np.void] | None, name: str, n: int) -> NDArray[Any] | None:
    return None if records is None else np.ascontiguousarray(records[name][:n])


class ZarrMovie(Movie):
    """Frames along one axis of a zarr array. Keeps the chunk that was read last."""

    def __init__(
        self,
        facts: MovieFacts,
        folder: Path,
        array: zarr.Array[Any],
        *,
        frame_axis: int | None,
        chunk_frames: int,
    ) -> None:
        super().__init__(facts)
        self._array: zarr.Array[Any] | None = array
        self._folder = folder
        self._frame_axis = frame_axis
        self._chunk_frames = chunk_frames
        self._kept: tuple[int, NDArray[Any]] | None = None

    @property
    def frames_at_once(self) -> int:
        """Frames of a chunk."""
        return self._chunk_frames

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        frames = np.empty((stop - start, *self.shape), dtype=self.dtype)
        at = start
        while at < stop:
            number = at // self._chunk_frames
            first = number * self._chunk_frames
            end = min(first + self._chunk_frames, stop)
            frames[at - start : end - start] = self._chunk(number)[at - first : end - first]
            at = end
        return frames

    def _chunk(self, number: int) -> NDArray[Any]:
        """Return the frames of one chunk; zarr decodes whole chunks in any case."""
        if self._kept is None or self._kept[0] != number:
            if self._array is None:
                raise FileFormatError(f"{self.path} is closed")
            first = number * self._chunk_frames
            last = min(first + self._chunk_frames, self.n_frames)
            self._check_size(self._array, number, last - first)
            where: list[int | slice] = [0] * (self._array.ndim - 2)
            if self._frame_axis is not None:
                where[self._frame_axis] = slice(first, last)
            block = np.asarray(self._array[(*where, slice(None), slice(None))])
            self._kept = number, block.reshape(-1, *self.shape)
        return self._kept[1]

    def _check_size(self, array: zarr.Array[Any], number: int, n_frames: int) -> None:
        """Raise if the frames of a chunk take more memory than the files of them allow."""
        chunk: tuple[int, ...] = array.shards or array.chunks
        places = [range(-(-n // side)) for n, side in zip(array.shape, chunk, strict=True)]
        if self._frame_axis is not None:
            places[self._frame_axis] = range(number, number + 1)
        chunk_bytes = math.prod(chunk) * self.dtype.itemsize
        stored = 0
        for place in itertools.product(*places):
            file = self._folder / array.metadata.encode_chunk_key(place)
            size = file.stat().st_size if file.is_file() else 0
            # zarr reads a chunk file as a whole; a shard has an index, of 16 bytes for each chunk.
            if size > 2 * length_limit(chunk_bytes):
                raise FileFormatError(f"{file} has {size} bytes for a chunk of {chunk_bytes}")
            stored += size
        n_bytes = n_frames * math.prod(self.shape) * self.dtype.itemsize
        check_size(self.path, "a chunk of frames", max(n_bytes, chunk_bytes), stored)

    def close(self) -> None:
        """Let go of the array. Safe to call more than once."""
        self._array = None
        self._kept = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the frames are cut into files."""

    chunk_frames: int
    chunk_bytes: int | None
    """Size of a complete chunk file; None where chunks are compressed."""
    in_order: bool
    """Frames lie along the first axis, one chunk file per number."""

    @classmethod
    def of(cls, array: zarr.Array[Any], frame_axis: int | None) -> _Layout:
        shards = getattr(array, "shards", None)
        chunk: tuple[int, ...] = shards or array.chunks
        n_bytes = math.prod(chunk) * array.dtype.itemsize
        if n_bytes > MAX_BLOCK_BYTES or math.prod(chunk) < 1:
            raise FileFormatError(
                f"{array.store_path} has chunks of {chunk}, {n_bytes} bytes; rtsmlm reads "
                f"chunks of 1 to {MAX_BLOCK_BYTES} bytes"
            )
        _check_number(array, chunk, frame_axis)
        whole_frames = chunk[-2:] == array.shape[-2:] and math.prod(chunk) == (
            chunk[frame_axis or 0] * chunk[-2] * chunk[-1]
        )
        return cls(
            chunk_frames=chunk[frame_axis] if frame_axis is not None else 1,
            chunk_bytes=n_bytes if not shards and not _compressed(array) else None,
            in_order=frame_axis == 0 and whole_frames,
        )


def _check_number(array: zarr.Array[Any], chunk: tuple[int, ...], frame_axis: int | None) -> None:
    """Raise if a frame is cut into more pieces than can be read in time."""
    per_frame = math.prod(
        -(-side // inner) for side, inner in zip(array.shape[-2:], array.chunks[-2:], strict=True)
    )
    in_time = 1 if frame_axis is None else chunk[frame_axis] // array.chunks[frame_axis]
    if per_frame > MAX_CHUNKS or per_frame * in_time > MAX_CHUNKS_AT_ONCE:
        raise FileFormatError(
            f"{array.store_path} cuts each frame into {per_frame} chunks, {per_frame * in_time} in "
            f"one go; rtsmlm reads up to {MAX_CHUNKS} per frame: store it again with larger chunks"
        )


def _compressed(array: zarr.Array[Any]) -> bool:
    metadata = array.metadata
    if metadata.zarr_format == 2:
        return bool(metadata.compressor or metadata.filters)
    return len(metadata.codecs) > 1


def _count(
    path: Path,
    folder: Path,
    layout: _Layout,
    length: int,
    stated: int | None,
    records: NDArray[np.void] | None,
    frame_axis: int | None,
) -> MovieAccount:
    """Return how many frames are really there, and what is known of the others."""
    further: list[str] = []
    expected = length if stated is None else min(stated, length)
    there = expected
    if frame_axis == 0 and not layout.in_order:
        # Frames cut into tiles: those beyond the last file were never written.
        there = min(there, (max(chunks_on_disk(folder), default=-1) + 1) * layout.chunk_frames)
    if layout.in_order:
        last = _last_complete_chunk(folder, layout)
        there = min(there, (last + 1) * layout.chunk_frames)
        listed = chunks_on_disk(folder)
        missing = last + 1 - sum(1 for number in listed if number <= last)
        if missing:
            further.append(f"{missing} of {last + 1} chunks are missing; their frames read as 0")
    if records is not None:
        there = min(there, len(records))
    if there < 1:
        raise FileFormatError(f"{path} holds no complete frame")
    said = [] if records is None else [(INDEX_NAME, len(records))]
    said += [] if stated is None else [("the recording", stated)]
    # While it runs, a recording states the largest possible number of frames.
    said = said or [("the zarr array", length)]
    return MovieAccount(
        read=there,
        present=there,
        stated=tuple(StatedFrames(source, n) for source, n in said),
        further=tuple(further),
    )


def _last_complete_chunk(folder: Path, layout: _Layout) -> int:
    for number in reversed(chunks_on_disk(folder)):
        files = _files_of(folder, number)
        if files and all(
            size == layout.chunk_bytes if layout.chunk_bytes else size > 0 for size in files
        ):
            return number
    return -1


def _files_of(folder: Path, number: int) -> list[int]:
    """Return the sizes of the files of one chunk along the first axis."""
    for base in (folder / "c", folder):
        if (base / str(number)).is_dir():
            return [p.stat().st_size for p in (base / str(number)).rglob("*") if p.is_file()]
        if (base / str(number)).is_file():
            return [(base / str(number)).stat().st_size]
    return [p.stat().st_size for p in folder.glob(f"{number}.*")] + [
        p.stat().st_size for p in folder.glob(f"c.{number}.*")
    ]
