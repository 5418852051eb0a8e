"""Movie: a recording on disk, read in batches of uint16 ADU with constant memory.

Frames are read, not memory-mapped: a network share that drops out, or a file that shrinks,
is then an error that can be reported, where a mapped page would end the process.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.movies.account import Contradiction, MovieAccount
from rtsmlm.files.movies.checks import check_frame_shape, one_line, to_adu
from rtsmlm.frames import FrameBatch, Pixels

NOTHING_STATED = StatedCalibration()


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieFacts:
    """What a reader has found out about a movie before the first frame is read."""

    path: Path
    kind: str
    """Name of the format, for people."""
    shape: tuple[int, int]
    """Height and width in pixels."""
    n_frames: int
    """Complete frames that can be read."""
    dtype: np.dtype[Any]
    """Type of the values in the file, byte order included."""
    account: MovieAccount | None = None
    """What is stated, present and read; None where nothing states how many frames there are."""
    stated: StatedCalibration = NOTHING_STATED
    exposure_ms: float | None = None
    frame_index: NDArray[np.int64] | None = None
    t_exposure_end_ns: NDArray[np.int64] | None = None
    activation_power: NDArray[np.float64] | None = None
    activation_unit: str | None = None
    files: tuple[Path, ...] = ()
    """All files that are read, where they are several."""
    contradictions: tuple[Contradiction, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    """Further metadata of the file, for the record of the run."""
    notes: tuple[str, ...] = ()
    """Guesses that the user should know of; what differs or is missing stands in the account."""


class Movie(ABC):
    """A recording on disk, of any format. Not for two threads at a time.

    Positions count from 0 within the movie; they differ from camera frame numbers where the
    camera lost frames.
    """

    def __init__(self, facts: MovieFacts) -> None:
        check_frame_shape(facts.path, facts.shape)
        if facts.n_frames < 1:
            raise FileFormatError(f"{facts.path} holds no complete frame ({facts.kind})")
        if facts.dtype.kind not in "uif" or facts.dtype.itemsize > 8:
            raise FileFormatError(
                f"{facts.path} holds values of type {facts.dtype}; rtsmlm reads "
                "whole-number camera values that fit 16 bits: export the movie as 16-bit "
                "unsigned"
            )
        self._facts = facts
        self.mend: Callable[[Pixels], Pixels] = lambda pixels: pixels
        """What all frames go through that are read from now on: masked pixels are filled in."""

    @property
    def path(self) -> Path:
        """The file or folder that was opened."""
        return self._facts.path

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return self._facts.files or (self._facts.path,)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames in pixels."""
        return self._facts.shape

    @property
    def n_frames(self) -> int:
        """Complete frames that can be read."""
        return self._facts.n_frames

    @property
    def frames_at_once(self) -> int:
        """Frames that are written together, in one chunk of the file; 1 where each is alone."""
        return 1

    @property
    def account(self) -> MovieAccount:
        """Frames stated, present and read; its `differences` name whatever does not agree."""
        facts = self._facts
        account = facts.account or MovieAccount.whole(facts.n_frames)
        sentences = [contradiction.sentence for contradiction in facts.contradictions]
        return replace(account, further=(*account.further, *sentences))

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Statements of the metadata that cannot both be true; the account has them, too."""
        return self._facts.contradictions

    def settle(self, names: Collection[str]) -> None:
        """Leave out contradictions on values that are known otherwise, by their settings."""
        left = tuple(c for c in self._facts.contradictions if c.name not in names)
        self._facts = replace(self._facts, contradictions=left)

    @property
    def notes(self) -> tuple[str, ...]:
        """Guesses made, such as of the byte order; differences stand in the account."""
        return self._facts.notes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values in the file; batches are uint16 whatever it is."""
        return self._facts.dtype

    @property
    def stated(self) -> StatedCalibration:
        """What the file states of the camera's calibration."""
        return self._facts.stated

    @property
    def exposure_ms(self) -> float | None:
        """Exposure per frame, None where the file does not state it."""
        return self._facts.exposure_ms

    @property
    def frame_index(self) -> NDArray[np.int64] | None:
        """Camera frame numbers, shape (n_frames,); None where they simply count from 0."""
        return self._facts.frame_index

    @property
    def t_exposure_end_ns(self) -> NDArray[np.int64] | None:
        """Times of the frames on a clock of the recording, shape (n_frames,), or None."""
        return self._facts.t_exposure_end_ns

    @property
    def activation_power(self) -> NDArray[np.float64] | None:
        """Power of the activation laser per frame, shape (n_frames,); None where not recorded."""
        return self._facts.activation_power

    @property
    def activation_unit(self) -> str | None:
        """Unit of `activation_power`: mW, %, V or us; None where no power is recorded."""
        return self._facts.activation_unit

    @property
    def details(self) -> Mapping[str, str]:
        """Further metadata of the file."""
        return self._facts.details

    def add_notes(self, *notes: str) -> None:
        """Add what is to be said of the movie by what opened it."""
        self._facts = replace(self._facts, notes=(*notes, *self._facts.notes))

    def add_differences(self, *sentences: str) -> None:
        """Add to the account what opened the movie has found beside it."""
        account = self._facts.account or MovieAccount.whole(self._facts.n_frames)
        account = replace(account, further=(*account.further, *sentences))
        self._facts = replace(self._facts, account=account)

    def describe(self) -> dict[str, str]:
        """Return format, size, account and remarks.

        `difference` names whatever does not agree with what is stated, `note` guesses made.
        """
        facts = self._facts
        described = {
            "path": str(facts.path),
            "format": facts.kind,
            "frames": str(facts.n_frames),
            **self.account.describe(),
            "shape": f"{facts.shape[0]} x {facts.shape[1]}",
            "dtype": str(facts.dtype),
            **facts.details,
        }
        if facts.activation_unit is not None:
            described["activation power"] = f"per frame, in {facts.activation_unit}"
        if facts.notes:
            described["note"] = "; ".join(facts.notes)
        return described

    def batches(
        self, frames_per_batch: int, start: int = 0, stop: int | None = None
    ) -> Iterator[FrameBatch]:
        """Yield the frames start..stop-1 in batches; the last batch may be shorter.

        Parameters
        ----------
        frames_per_batch
            Most frames in a batch.
        start, stop
            Positions in the movie; None and whatever lies beyond the end mean the end.

        Raises
        ------
        FileFormatError
            If frames cannot be read, or hold values that are no camera values.
        """
        if frames_per_batch < 1 or start < 0:
            raise ConfigError(
                f"frames from {start} on, {frames_per_batch} at a time, cannot be read "
                f"from {self.path}; start at 0 or later, with 1 frame or more at a time"
            )
        end = self.n_frames if stop is None else min(stop, self.n_frames)
        for first in range(start, end, frames_per_batch):
            yield self._batch(first, min(first + frames_per_batch, end))

    def read(self, indices: ArrayLike) -> Pixels:
        """Return the frames at these positions, in the order asked for.

        Parameters
        ----------
        indices
            Positions in the movie from 0, shape (n,); neighbours are read in one go.

        Returns
        -------
        :
            uint16 ADU, shape (n, height, width).

        Raises
        ------
        FileFormatError
            If the movie has no such frame, or it cannot be read.
        """
        positions = np.asarray(indices, dtype=np.int64).ravel()
        outside = positions[(positions < 0) | (positions >= self.n_frames)]
        if len(outside):
            raise FileFormatError(
                f"frame {outside[0]} is not in {self.path}; it holds frames 0 to "
                f"{self.n_frames - 1}"
            )
        frames = np.empty((len(positions), *self.shape), dtype=np.uint16)
        breaks = np.flatnonzero(np.diff(positions) != 1) + 1
        edges = [0, *breaks.tolist(), len(positions)] if len(positions) else [0]
        for first, last in itertools.pairwise(edges):
            start = int(positions[first])
            frames[first:last] = self._pixels(start, start + last - first)
        return frames

    def take_values_as(self, dtype: np.dtype[Any]) -> None:
        """Take stored values for another type of the same size, such as uint16 for int16.

        Parameters
        ----------
        dtype
            Its byte order does not matter: that of the file is known.

        Raises
        ------
        ConfigError
            If the values have another size, or are floating-point numbers and the type is not.
        """
        stored = self._facts.dtype
        if (dtype.itemsize, dtype.kind == "f") != (stored.itemsize, stored.kind == "f"):
            raise ConfigError(
                f"movie.dtype {dtype.str} has {dtype.itemsize} bytes, but {self.path} holds "
                f"{stored.name} of {stored.itemsize}; give a type of that size, or none"
            )
        if dtype.kind != stored.kind:
            note = f"values stored as {stored.name} are read as {dtype.name}, as movie.dtype says"
            self._facts = replace(
                self._facts,
                dtype=dtype.newbyteorder(stored.byteorder),
                notes=(*self._facts.notes, note),
            )

    @abstractmethod
    def close(self) -> None:
        """Release the file. Safe to call more than once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        """Return frames start..stop-1 as stored, (n, height, width), as a copy."""

    def _pixels(self, start: int, stop: int) -> Pixels:
        try:
            stored = self._stored(start, stop)
        except FileFormatError:
            raise
        # Whatever a decoder raises on a damaged file (zlib, struct, index) means the same.
        except Exception as error:
            raise FileFormatError(
                f"frames {start} to {stop - 1} of {self.path} cannot be read: {one_line(error)}"
            ) from error
        return self.mend(to_adu(stored, self.path, first=start))

    def _batch(self, start: int, stop: int) -> FrameBatch:
        facts = self._facts
        batch = FrameBatch.from_pixels(self._pixels(start, stop), first_index=start)
        known: dict[str, Any] = {
            "index": facts.frame_index,
            "t_exposure_end_ns": facts.t_exposure_end_ns,
            "activation_power": facts.activation_power,
        }
        parts = {key: value[start:stop] for key, value in known.items() if value is not None}
        return replace(batch, **parts)
