"""Our own recordings: frames straight from the chunk files, also while and after they were made.

A recording that was killed ends with a chunk that is not full; after a power cut several of the
last may be short. What lies in them are whole frames, so that all that reached the disk is read. A
frame is there if its pixels and, where there is an index, its record are.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import MovieAccount, StatedFrames
from rtsmlm.files.movies.flat import read_exactly
from rtsmlm.files.movies.metadata import Statements
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.files.movies.ome_zarr import Json
from rtsmlm.files.movies.raw_layout import (
    ATTRIBUTE,
    INDEX_NAME,
    activation_unit,
    chunks_on_disk,
    read_index,
    state_calibration,
)
from rtsmlm.realtime.frame_ranges import FrameRanges


def is_recording(attributes: Json, array: zarr.Array[Any]) -> bool:
    """Tell whether a zarr is a recording of ours, its chunks plain frames one after the other."""
    metadata = array.metadata
    return (
        isinstance(attributes.get(ATTRIBUTE), dict)
        and metadata.zarr_format == 3
        and array.ndim == 3
        and array.shards is None
        and array.dtype == np.dtype("<u2")
        and array.chunks[1:] == array.shape[1:]
        and [type(codec).__name__ for codec in metadata.codecs] == ["BytesCodec"]
        and metadata.encode_chunk_key((1, 0, 0)) == "c/1/0/0"
    )


def open_recording(
    path: Path, folder: Path, attributes: Json, array: zarr.Array[Any]
) -> RecordedMovie:
    """Open a recording of ours.

    Parameters
    ----------
    path
        Its folder; the index lies beside it.
    folder
        The folder of the array.
    attributes
        Of the group.
    array
        The array.

    Raises
    ------
    FileFormatError
        If it holds no complete frame.
    """
    statements = Statements()
    stated = state_calibration(statements, attributes)
    records, index_damage = read_index(path)
    shape = int(array.shape[1]), int(array.shape[2])
    files = _ChunkFiles(folder, int(array.chunks[0]), shape[0] * shape[1] * 2)
    # While it is made, a recording states the largest possible number of frames.
    lengths = (int(array.shape[0]), stated, _length(records))
    most = min(n for n in lengths if n is not None)
    there, further = files.count(most)
    if not len(there):
        raise FileFormatError(f"{path} holds no complete frame")
    said = (("the recording", stated), (INDEX_NAME, _length(records)))
    account = MovieAccount(
        read=len(there),
        present=len(there),
        stated=tuple(StatedFrames(source, n) for source, n in said if n is not None),
        further=(*index_damage, *further),
    )
    kept = None if records is None else records[_places(there)]
    power = None if kept is None else np.ascontiguousarray(kept["activation_power"])
    facts = MovieFacts(
        path=path,
        kind="OME-Zarr (zarr 3)",
        shape=shape,
        n_frames=len(there),
        dtype=np.dtype("<u2"),
        account=account,
        stated=statements.stated,
        exposure_ms=statements.exposure_ms,
        frame_index=_frame_index(there, kept),
        t_exposure_end_ns=None if kept is None else np.ascontiguousarray(kept["t_exposure_end_ns"]),
        activation_power=power,
        activation_unit=activation_unit(attributes, power),
        contradictions=tuple(statements.contradictions),
        notes=tuple(statements.notes),
    )
    return RecordedMovie(facts, files, there)


def _length(records: NDArray[np.void] | None) -> int | None:
    return None if records is None else len(records)


def _places(there: FrameRanges) -> NDArray[np.int64]:
    return np.concatenate([np.arange(start, stop, dtype=np.int64) for start, stop in there])


def _frame_index(there: FrameRanges, kept: NDArray[np.void] | None) -> NDArray[np.int64] | None:
    if kept is not None:
        return np.ascontiguousarray(kept["index"])
    # Without an index, places are the best there is; from 0 on they need not be stated.
    return None if list(there) == [(0, len(there))] else _places(there)


@dataclass(frozen=True, slots=True)
class _ChunkFiles:
    """The files of an array, each with so many frames one after the other."""

    folder: Path
    chunk_frames: int
    frame_bytes: int

    def file(self, number: int) -> Path:
        return self.folder / "c" / str(number) / "0" / "0"

    def count(self, most: int) -> tuple[FrameRanges, list[str]]:
        """Return the places at which there are frames, all below `most`, and what is missing."""
        there = FrameRanges()
        n_chunks = -(-most // self.chunk_frames)
        listed = [n for n in chunks_on_disk(self.folder) if n < n_chunks]
        for number in listed:
            first = number * self.chunk_frames
            n = min(self._n_frames(number), self.chunk_frames, most - first)
            there.add(first, first + n)
        ranges = list(there)
        n_gaps = len(ranges) - (bool(ranges) and ranges[0][0] == 0)
        if not n_gaps:
            return there, []
        n_missing = ranges[-1][1] - len(there)
        return there, [
            f"{n_missing} frames before the last are missing, their chunks are lost or cut short; "
            "they are left out"
        ]

    def _n_frames(self, number: int) -> int:
        try:
            return self.file(number).stat().st_size // self.frame_bytes
        except OSError:
            return 0


class RecordedMovie(Movie):
    """Frames of a recording of ours; a file is open only while it is read.

    Parameters
    ----------
    facts
        What is known of it.
    files
        Where the frames lie.
    there
        The places in the array at which there are frames.
    """

    def __init__(self, facts: MovieFacts, files: _ChunkFiles, there: FrameRanges) -> None:
        super().__init__(facts)
        self._files = files
        self._ranges = list(there)
        self._closed = False
        lengths = [stop - start for start, stop in self._ranges]
        self._ends = np.cumsum(lengths)  # positions in the movie behind each range

    @property
    def is_gapless(self) -> bool:
        """True if no frame is missing before the last: others may read it once it is finished."""
        return self._ranges == [(0, self.n_frames)]

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        if self._closed:
            raise FileFormatError(f"{self.path} is closed")
        files, frames = self._files, np.empty((stop - start, *self.shape), np.dtype("<u2"))
        at = start
        while at < stop:
            k = int(np.searchsorted(self._ends, at, side="right"))
            left = int(self._ends[k]) - at
            number, inside = divmod(self._ranges[k][1] - left, files.chunk_frames)
            n = min(stop - at, left, files.chunk_frames - inside)
            into = frames[at - start : at - start + n].reshape(-1).view(np.uint8)
            with FileIO(files.file(number)) as file:
                read_exactly(file, inside * files.frame_bytes, into)
            at += n
        return frames

    def close(self) -> None:
        """Read no more. Safe to call more than once."""
        self._closed = True
