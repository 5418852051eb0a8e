"""What the descriptions in a TIFF file state of its frames: those of ImageJ and of tifffile."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from rtsmlm.files.movies.metadata import as_int

_MOST_BYTES = 1 << 20
_IMAGEJ_AXES = (("frames", "T"), ("slices", "Z"), ("channels", "C"))


@dataclass(frozen=True, slots=True)
class StackText:
    """What a text states of the stack that begins with its page."""

    source: str
    """As the subject of a sentence."""
    n_frames: int
    axes: tuple[tuple[int, str], ...] = ()
    """Number of planes and name of each axis with several, the slowest first; "?" where the
    text gives no name."""


def stack_text(text: str, shape: tuple[int, int]) -> StackText | None:
    """Return what a description states of frames of a shape, None where it is of another kind."""
    if text.startswith("ImageJ="):
        return _imagej(text)
    if text.startswith('{"shape":'):
        return _shaped(text, shape)
    return None


def stacks(n_pages: int, shape: tuple[int, int], text_of: Callable[[int], str]) -> list[StackText]:
    """Return the stacks that lie one behind the other in a file, by their descriptions.

    Parameters
    ----------
    n_pages
        Pages of the file.
    shape
        Height and width of the frames.
    text_of
        Returns the description of a page, by its number from 0.

    Returns
    -------
    :
        As many as follow each other without a page between them; empty where the first
        page states nothing.
    """
    found: list[StackText] = []
    at = 0
    while at < n_pages and (stack := stack_text(text_of(at), shape)):
        found.append(stack)
        at += max(stack.n_frames, 1)
    return found


def _imagej(text: str) -> StackText | None:
    keys = dict(re.findall(r"^(\w+)=([^\n]{0,40})", text[:_MOST_BYTES], flags=re.MULTILINE))
    sides = [(as_int(keys.get(key)) or 1, axis) for key, axis in _IMAGEJ_AXES]
    n_frames = as_int(keys.get("images")) or math.prod(n for n, _ in sides)
    if n_frames < 1:
        return None
    several = tuple((n, axis) for n, axis in sides if n > 1)
    return StackText("the ImageJ text", n_frames, several if len(several) > 1 else ())


def _shaped(text: str, shape: tuple[int, int]) -> StackText | None:
    try:
        stated = json.loads(text[:_MOST_BYTES])
    except (ValueError, RecursionError):
        return None
    listed = stated.get("shape") if isinstance(stated, dict) else None
    sides = [as_int(n) or 0 for n in listed] if isinstance(listed, list) else []
    # An axis of one sample may stand behind height and width.
    inner = sides[:-1] if sides[-1:] == [1] and sides[-2:] != list(shape) else sides
    outer = inner[:-2]
    if inner[-2:] != list(shape) or any(n < 1 for n in outer):
        return None
    names = stated.get("axes")
    named = names if isinstance(names, str) and len(names) == len(sides) else "?" * len(sides)
    several = tuple((n, axis) for n, axis in zip(outer, named, strict=False) if n > 1)
    return StackText("its description", math.prod(outer), several if len(several) > 1 else ())
