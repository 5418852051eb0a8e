"""The account of a movie: frames stated, present and read, and each difference in a sentence.

Every reader fills one. What is read of a movie is never less than what its file, its siblings or
its metadata state without a sentence here; guesses, such as of the byte order, are notes instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_RANGES = 5


@dataclass(frozen=True, slots=True)
class StatedFrames:
    """A number of frames and what states it."""

    source: str
    """As the subject of a sentence: "the OME-XML", "movie.inf"."""
    frames: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of a file that is not read."""

    what: str
    """With its number: "2 pages of 16 x 16 uint8"."""
    why: str
    """As the end of a sentence: "they have another shape than the frames"."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two statements of the metadata that cannot both be true."""

    name: str
    """Of the value, as in `CameraSettings`; the setting ends the contradiction."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieAccount:
    """What a movie states, what is there of it, and what is read.

    `differences` follows from the numbers, so that none can be forgotten.
    """

    read: int
    """Frames that are read."""
    present: int
    """Complete frames of the movie that were found, those that are left out included."""
    stated: tuple[StatedFrames, ...] = ()
    """Numbers of frames by header, sidecar, OME-XML, ImageJ text or siblings."""
    left_out: tuple[LeftOut, ...] = ()
    """Pages, series, positions and files that are there and are not read."""
    further: tuple[str, ...] = ()
    """Further differences, each one sentence: frames cut short, numbers that are missing."""

    @classmethod
    def whole(cls, n_frames: int) -> MovieAccount:
        """Return the account of a movie that is read whole, and of which nothing states a number.

        Parameters
        ----------
        n_frames
            Frames there are.
        """
        return cls(read=n_frames, present=n_frames)

    @property
    def differences(self) -> tuple[str, ...]:
        """Every difference between what is stated, present and read; empty where all agree."""
        sentences = [
            self._stated_sentence(frames)
            for frames in dict.fromkeys(stated.frames for stated in self.stated)
            if frames != self.read
        ]
        if self.present != self.read and not self.left_out:
            sentences.append(f"{count(self.present, 'frame')} are there, {self.read} are read")
        sentences += [f"{left.what} left out: {left.why}" for left in self.left_out]
        return tuple(dict.fromkeys([*sentences, *self.further]))

    def describe(self) -> dict[str, str]:
        """Return the account as texts for the record of a run; `difference` joins all of them."""
        described = {"frames present": str(self.present)}
        if self.stated:
            described["frames stated"] = "; ".join(f"{s.frames} by {s.source}" for s in self.stated)
        if self.differences:
            described["difference"] = "; ".join(self.differences)
        return described

    def _stated_sentence(self, frames: int) -> str:
        sources = list(dict.fromkeys(s.source for s in self.stated if s.frames == frames))
        subject = " and ".join(sources)
        verb = "states" if len(sources) == 1 else "state"
        found = "is there and read" if self.read == 1 else "are there and read"
        if self.present != self.read:
            found = f"of {self.present} that are there are read"
        return f"{subject} {verb} {count(frames, 'frame')}, {self.read} {found}"


def count(n: int, noun: str) -> str:
    """Return a number with its noun, as in "1 frame" and "2 frames"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def missing_numbers(numbers: Sequence[int] | NDArray[np.int64], of: str = "frame") -> str | None:
    """Return a sentence that names the numbers missing between the first and the last.

    Parameters
    ----------
    numbers
        Frame numbers in rising order, shape (n,).
    of
        What is numbered.

    Returns
    -------
    :
        "3 frames are missing: 4, 7 to 8"; None where none is.
    """
    present = np.asarray(numbers, dtype=np.int64)
    at = np.flatnonzero(np.diff(present) > 1)
    if not len(at):
        return None
    first, last = present[at] + 1, present[at + 1] - 1
    ranges = [
        str(a) if a == b else f"{a} to {b}"
        for a, b in zip(first[:_MOST_RANGES].tolist(), last[:_MOST_RANGES].tolist(), strict=True)
    ]
    more = f" and {len(at) - _MOST_RANGES} more gaps" if len(at) > _MOST_RANGES else ""
    n_missing = int((last - first + 1).sum())
    verb = "is" if n_missing == 1 else "are"
    return f"{count(n_missing, of)} {verb} missing: {', '.join(ranges)}{more}"
