"""Where programs count frames and coordinates from, told by the columns that they write.

Ours are frames from 0 and nm from the centre of the first pixel. A table from the outer corner of
that pixel is half a pixel further, so that the pixel must be known to read it.

| program | told by | first frame | origin |
|---|---|---|---|
| ThunderSTORM, the challenges, all that copy them | `x [nm]`, `xnano` | 1 | corner |
| Picasso's export for ThunderSTORM | its header, ids from 0 | 0 | centre |
| Picasso as text | `x`, `y` without unit, `lpx` | 0 | centre, px |
| SMAP | `xnm`, `ynm` | 1 | centre |
| LiteLoc, FD-DeepLoc | `xnm`, `ynm`, `photon`, `prob` | 1 | corner |
| smappy, rtsmlm | `x_nm`, `y_nm` | 0 | centre |
| DECODE | `frame_ix` | 0 | centre, px or nm by its metadata |
| rapidSTORM | XML in its first line | 0 | centre |
| PeakSelector | `X Position`, `Frame Number` | 0 | centre, px |
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rtsmlm.files.tables.columns import positive
from rtsmlm.files.tables.text_columns import PIXEL_UNITS, cut_name
from rtsmlm.files.tables.text_lines import TextHead

_PICASSO_EXPORT = re.compile(
    r"id,frame,x \[nm\],y \[nm\],(sigma|z \[nm\],sigma1 \[nm\],sigma2) \[nm\],intensity \[photon\],"
    r"offset \[photon\],bkgstd \[photon\],uncertainty_xy \[nm\](,detections)?"
)
_CHALLENGE = ("id", "frame", "xnano", "ynano", "znano", "intensity")
_FIELD = re.compile(r"<field\b([^>]*)>")
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_DECODE_MARK = "DECODE EmitterSet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """How a program counts."""

    program: str
    first_frame: int
    corner: bool
    """x and y from the outer corner of the first pixel, in place of its centre."""
    unit: str = ""
    """Unit of x and y where their names state none."""
    pixel_nm: tuple[float, float] | None = None
    """Pixel along x and y, where the table states it."""
    swapped: bool = False
    """x counts rows and y columns."""


THUNDERSTORM = Convention(program="ThunderSTORM", first_frame=1, corner=True)


def rapidstorm_names(comments: Sequence[str]) -> tuple[str, ...] | None:
    """Return the column names that rapidSTORM states in XML; None where it does not."""
    text = next((line for line in comments if "<localizations" in line), "")
    names = []
    for field in _FIELD.findall(text):
        stated = dict(_ATTRIBUTE.findall(field))
        unit = stated.get("unit", "")
        unit = "" if unit == "frame" else unit
        name = stated.get("identifier", "")
        names.append(f"{name} [{unit}]" if unit else name)
    return tuple(names) or None


def challenge_names(n_columns: int) -> tuple[str, ...] | None:
    """Return the column names of a table without any, if the localization challenge writes such."""
    return _CHALLENGE if n_columns == len(_CHALLENGE) else None


def convention_of(names: Sequence[str], head: TextHead) -> Convention:
    """Return how a table counts, by its column names, comments and first row.

    Parameters
    ----------
    names
        As in the file.
    head
        What the first lines say.
    """
    comments = head.comments
    lower = {name.strip().lower() for name in names}
    bases = {cut_name(name).base for name in names}
    if rapidstorm_names(comments):
        return Convention(program="rapidSTORM", first_frame=0, corner=False)
    if "frame_ix" in lower:
        return decode_convention(_stated(comments), any(_DECODE_MARK in c for c in comments))
    # ThunderSTORM quotes its names, but a spreadsheet takes the quotes off; its ids begin with 1.
    begins_with_0 = not head.samples or head.samples[0][0].strip("0.") == ""
    if _PICASSO_EXPORT.fullmatch(head.header_line) and begins_with_0:
        return Convention(program="Picasso", first_frame=0, corner=False)
    if {"xnm", "ynm"} <= lower:
        if {"photon", "prob"} <= lower:
            return replace(THUNDERSTORM, program="LiteLoc")
        return Convention(program="SMAP", first_frame=1, corner=False)
    if {"x_nm", "y_nm"} <= lower:
        return Convention(program="smappy", first_frame=0, corner=False)
    if {"x", "y"} <= lower and lower & {"lpx", "photons"} and lower & {"sx", "lpx", "bg"}:
        return Convention(program="Picasso", first_frame=0, corner=False, unit="px")
    if {"x position", "y position"} <= lower and "frame_number" in bases:
        return Convention(program="PeakSelector", first_frame=0, corner=False, unit="px")
    return THUNDERSTORM


def decode_convention(stated: dict[str, object], is_its_own: bool) -> Convention:
    """Return how a table of DECODE counts.

    Parameters
    ----------
    stated
        Its metadata: `xy_unit`, and `px_size` along its x and y in nm.
    is_its_own
        DECODE wrote the file itself. Its x then runs along the first axis of its frames, which are
        the rows of a movie, so that its x is our y.
    """
    size = stated.get("px_size")
    sides = [positive(side) for side in size] if isinstance(size, list | tuple) else []
    pixel_nm = None
    if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
        pixel_nm = (sides[1], sides[0]) if is_its_own else (sides[0], sides[1])
    unit = str(stated.get("xy_unit", "")).lower()
    return Convention(
        program="DECODE",
        first_frame=0,
        corner=False,
        unit="px" if unit in PIXEL_UNITS else "nm" if unit == "nm" else "",
        pixel_nm=pixel_nm,
        swapped=is_its_own,
    )


def _stated(comments: Sequence[str]) -> dict[str, object]:
    """Return all metadata that comments hold as JSON."""
    stated: dict[str, object] = {}
    for line in comments:
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            stated |= found if isinstance(found, dict) else {}
    return stated
