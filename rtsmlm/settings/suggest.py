"""What was probably meant by a setting that does not exist."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from rtsmlm.settings.base import Settings

_LIKE_ENOUGH = 0.72
_OTHER_WORDS = {
    "baseline": "camera.offset_adu",
    "conversion": "camera.e_per_adu",
    "emgain": "camera.em_gain",
    "gain": "camera.e_per_adu",
    "magnification": "camera.pixel_nm",
    "nframes": "acquisition.frames",
    "duration": "acquisition.seconds",
    "saveraw": "record.raw",
    "sensitivity": "camera.e_per_adu",
    "fwhm": "psf.sigma_nm",
    "output": "results.out",
    "folder": "results.out",
    "pixelsize": "camera.pixel_nm",
    "pixelsizenm": "camera.pixel_nm",
}
"""Words that other programs use, without `_`, by what they are called here."""


def suggestion(model: type[BaseModel], place: Sequence[object]) -> str:
    """Return the setting that was probably meant, written out; empty where none is like it.

    Parameters
    ----------
    model
        All settings.
    place
        The unknown name and the sections that it stands in, from the outermost.
    """
    path = [str(part) for part in place]
    key, within = path[-1].lower(), ".".join(path[:-1])
    known = dict(_names(model, path))
    if other := _OTHER_WORDS.get(key.replace("_", "")):
        return other
    best = max(known, key=lambda name: (_likeness(key, known[name], name, within), name))
    return best if _likeness(key, known[best], best, within) >= _LIKE_ENOUGH else ""


def siblings(model: type[BaseModel], place: Sequence[object]) -> str:
    """Return the names that the section of an unknown setting has, with commas between them."""
    path = [str(part) for part in place]
    within = ".".join(path[:-1])
    there = [key for name, key in _names(model, path) if name.rpartition(".")[0] == within]
    return ", ".join(there)


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the one of some names that is most like a name; empty where none is."""
    found = difflib.get_close_matches(name.lower(), names, n=1, cutoff=_LIKE_ENOUGH)
    return found[0] if found else ""


def _likeness(key: str, known: str, name: str, within: str) -> float:
    """Return how like two names are, from 0 to 1, and a little more in the same section."""
    ratio = difflib.SequenceMatcher(None, key, known).ratio()
    plain = key.replace("_", "")
    if plain and known.replace("_", "").startswith(plain) and len(plain) >= 4:
        ratio = max(ratio, 0.85)  # the unit was left out
    return ratio + (0.1 if name.rpartition(".")[0] == within else 0.0)


def _names(model: type[BaseModel], path: Sequence[str], at: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting and section as it is written, and its last word.

    Sections with names of the user's own, as those of lasers, have the names that `path` gives.
    """
    for key, field in model.model_fields.items():
        name = f"{at}.{key}" if at else key
        yield name, key
        for part in _models_in(field.annotation):
            if get_origin(field.annotation) is dict:
                named = name.split(".")
                own = path[: len(named)] == named and len(path) > len(named) + 1
                yield from _names(part, path, f"{name}.{path[len(named)] if own else 'NAME'}")
            else:
                yield from _names(part, path, name)


def _models_in(annotation: Any) -> Iterator[type[Settings]]:
    """Yield the sections that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, dict, Mapping):
        for part in get_args(annotation):
            yield from _models_in(part)
