"""Frame numbers from the names of image files: which of the numbers in a name counts frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import missing_numbers

_DIGITS = re.compile(r"\d+")
_WORD_AND_DIGITS = re.compile(r"([A-Za-z]*)[-_ ]?\d+")
_AXES = {
    "channel", "ch", "c", "w", "wave", "position", "pos", "p", "xy", "s", "stage", "slice", "z",
}  # fmt: skip
"""Words before a number that counts something else than frames."""
_FROM_ZERO = re.compile(r"(time|t)\d{9}", re.IGNORECASE)
"""Micro-Manager counts from 0, with nine digits."""


@dataclass(frozen=True, slots=True)
class NumberedFiles:
    """Image files in the order of their frames."""

    files: list[Path]
    numbers: NDArray[np.int64]
    """Frame number of each file, shape (n,), strictly increasing."""
    difference: str = ""
    """One sentence where the names do not say all, or say that frames are missing."""


def numbered(folder: Path, files: Sequence[Path]) -> NumberedFiles:
    """Return files whose names differ by their numbers alone, as frames.

    Parameters
    ----------
    folder
        Where they are, for the error.
    files
        At least two, of as many numbers in each name.

    Raises
    ------
    FileFormatError
        If several numbers count, as for channels, slices or positions.
    """
    groups = np.array([numbers_in(file.name) for file in files], dtype=np.int64)
    varying = [k for k in range(groups.shape[1]) if len(np.unique(groups[:, k])) > 1]
    _refuse_several_axes(folder, files, groups, varying)
    counting = [k for k in varying if len(np.unique(groups[:, k])) == len(files)]
    if not counting:
        order = np.lexsort(groups[:, ::-1].T)
        return NumberedFiles(
            [files[k] for k in order],
            np.arange(len(files), dtype=np.int64),
            f"no number in the names of {folder} counts its {len(files)} files; they are read in "
            "the order of all numbers",
        )
    # A counter has the fewest gaps; the time of day that some programs add has many.
    column = min(counting, key=lambda k: int(np.ptp(groups[:, k])))
    order = np.argsort(groups[:, column])
    return _counted(folder, [files[k] for k in order], groups[order, column])


def numbers_in(name: str) -> list[int]:
    """Return all numbers in a name, those too long for a counter shortened to their end."""
    return [int(digits[-18:]) for digits in _DIGITS.findall(name)]


def _counted(folder: Path, files: list[Path], numbers: NDArray[np.int64]) -> NumberedFiles:
    """Return files with frame numbers from 0; a counter that begins at 1 is shifted by one."""
    first = int(numbers[0])
    from_zero = first == 0 or _FROM_ZERO.search(files[0].name) is not None
    start = 0 if from_zero else 1 if first == 1 else first
    phrases = []
    if missing := missing_numbers(np.concatenate(([start - 1], numbers)), "image file"):
        phrases.append(f"{missing}, of {folder}; the frames keep the numbers of their files")
    if start > 1:
        phrases.append(
            f"the image files in {folder} begin with number {start}, which is counted as frame 0"
        )
    return NumberedFiles(files, numbers - start, "; ".join(phrases))


def _refuse_several_axes(
    folder: Path, files: Sequence[Path], groups: NDArray[np.int64], varying: list[int]
) -> None:
    """Raise where two or more numbers count: frames of several channels, slices or positions.

    They do if one of them follows the name of such an axis, or if no number counts all files and
    most combinations are there. Hours, minutes and seconds leave out many.
    """
    if len(varying) < 2:
        return
    words = [found[1].lower() for found in _WORD_AND_DIGITS.finditer(files[0].name)]
    sizes = [len(np.unique(groups[:, k])) for k in varying]
    # One that differs in every file counts frames, whatever its name.
    named = any(
        words[k] in _AXES and size < len(files) for k, size in zip(varying, sizes, strict=True)
    )
    is_counted = len(files) in sizes
    if not named and (is_counted or 2 * len(files) < int(np.prod(sizes))):
        return
    counts = " x ".join(str(size) for size in sizes)
    raise FileFormatError(
        f"the names of the {len(files)} images in {folder} count {counts} planes (the first is "
        f"{files[0].name}); one series of frames is read: put one channel, slice and position into "
        "a folder of its own"
    )
