"""What a TIFF file states of its camera: Micro-Manager's tags, OME-XML, and the resolution."""

from __future__ import annotations

from collections.abc import Mapping

import tifffile

from rtsmlm.files.movies.metadata import (
    NM_PER,
    Statements,
    add_micromanager,
    add_micromanager_summary,
    add_ome_xml,
    as_number,
)

_MICROMANAGER_TAG = 51123
_SCREEN_NM = 1e4
"""72 dots per inch and the like are larger: defaults for screens, not worth a note."""


def tiff_statements(tif: tifffile.TiffFile, first: tifffile.TiffPage) -> Statements:
    """Return what a file states, of the frames before the whole and of tags before texts.

    Parameters
    ----------
    tif
        The file.
    first
        Its first frame.
    """
    statements = Statements()
    tag = first.tags.get(_MICROMANAGER_TAG)
    if tag is not None and isinstance(tag.value, Mapping):
        add_micromanager(statements, tag.value)
    if tif.is_ome and isinstance(tif.ome_metadata, str):
        add_ome_xml(statements, tif.ome_metadata)
    if tif.is_micromanager:
        add_micromanager_summary(statements, _summary(tif))
    _add_resolution(statements, tif, first)
    return statements


def _summary(tif: tifffile.TiffFile) -> Mapping[str, object]:
    """Return the summary in the header of Micro-Manager's files, empty where it is damaged."""
    try:
        found = tifffile.tifffile.read_micromanager_metadata(tif.filehandle, {"Summary"})
    # What the parser meets in a damaged file is anything.
    except Exception:
        return {}
    summary = found.get("Summary")
    return summary if isinstance(summary, Mapping) else {}


def _add_resolution(
    statements: Statements, tif: tifffile.TiffFile, first: tifffile.TiffPage
) -> None:
    """Take the tags of the resolution, in the unit of ImageJ's text or in that of the tags."""
    across, along = (_per_pixel(first, name) for name in ("XResolution", "YResolution"))
    if across is None:
        return
    if tif.is_imagej:
        unit = str((tif.imagej_metadata or {}).get("unit", "")).lower()
        statements.state_pixel(across, unit, "ImageJ", height=along)
        return
    tag = first.tags.get("ResolutionUnit")
    unit = {2: "inch", 3: "cm"}.get(int(tag.value) if tag is not None else 1, "")
    if NM_PER.get(unit, 0.0) * across < _SCREEN_NM:
        statements.state_pixel(across, unit, "the TIFF resolution", height=along)


def _per_pixel(page: tifffile.TiffPage, name: str) -> float | None:
    """Return the length of a pixel in the unit of the resolution, None where it is not stated."""
    tag = page.tags.get(name)
    value = tag.value if tag is not None else None
    if not isinstance(value, tuple) or len(value) != 2 or not all(as_number(v) for v in value):
        return None
    return float(value[1] / value[0])
