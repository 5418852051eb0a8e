"""Localizations as Arrow record batches: the same bytes are the file and the wire.

Every field carries its unit in the field metadata; the schema metadata holds one JSON object under
the key `rtsmlm` with what is needed to use the table later. Its well-known keys, all optional, are
`pixel_nm` (camera pixel in the sample plane), `shape` ([height, width] of a frame in pixels),
`n_frames` (frames analysed), `psf_sigma_nm`, `psf_astigmatism` (the setting `psf.astigmatism`),
`camera`, `run`, `version`, `experiment` (sample, operator, notes), and `extra_columns`: unit by
name of each column that the localizer of this run adds, behind all others, float32, and
`extra_columns_of`, the model that they are of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.localizations import COLUMN_DTYPES, UNITS, Localizations
from rtsmlm.settings.psf import AstigmatismSettings

Metadata: TypeAlias = dict[str, Any]
"""What is known of a table besides its rows, JSON-able."""

KEY = b"rtsmlm"
MOST_EXTRAS = 100
"""Extra columns of a table."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
TABLE_VERSION = 1
"""Rises when the meaning of a column changes; new columns do not raise it."""


def schema(metadata: Mapping[str, Any] | None = None, *, room: int = 0) -> pa.Schema:
    """Return the schema of localizations, with `metadata` stored as JSON.

    Parameters
    ----------
    metadata
        What is known of the table.
    room
        Blanks behind the JSON, for metadata that are known later: they can take their place.

    Raises
    ------
    TypeError
        If a value of `metadata` has no JSON form.
    """
    stored = {"table_version": TABLE_VERSION, **(metadata or {})}
    fields = [
        pa.field(name, pa.from_numpy_dtype(dtype), nullable=False, metadata={"unit": UNITS[name]})
        for name, dtype in COLUMN_DTYPES.items()
    ]
    fields += [
        pa.field(name, pa.float32(), nullable=False, metadata={"unit": unit})
        for name, unit in extra_columns_of(stored).items()
    ]
    return pa.schema(fields, metadata={KEY: json.dumps(stored) + " " * room})


def extra_columns_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the unit of each extra column that metadata state, without what cannot be one."""
    stated = metadata.get("extra_columns")
    if not isinstance(stated, Mapping):
        return {}
    return {
        name: unit
        for name, unit in list(stated.items())[:MOST_EXTRAS]
        if isinstance(name, str) and isinstance(unit, str) and is_extra_name(name)
    }


def is_extra_name(name: str) -> bool:
    """Tell whether an extra column may have this name."""
    return name not in COLUMN_DTYPES and _NAME.fullmatch(name) is not None


def metadata_of(arrow_schema: pa.Schema) -> Metadata:
    """Return what `schema` stored, or nothing for a table of another origin.

    Raises
    ------
    FileFormatError
        If the metadata is no JSON object or of a later table version.
    """
    try:
        stored = json.loads((arrow_schema.metadata or {}).get(KEY, b"{}"))
        version = stored.pop("table_version", TABLE_VERSION)
        readable = int(version) <= TABLE_VERSION
    except (ValueError, OverflowError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"the rtsmlm metadata of the table is damaged: {error}") from error
    if not readable:
        raise FileFormatError(
            f"the table is of version {version}; this rtsmlm reads up to {TABLE_VERSION}, update it"
        )
    return dict(stored)


def to_batch(localizations: Localizations, arrow_schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows as a record batch that shares their memory."""
    arrays = [pa.array(column) for column in localizations.columns().values()]
    if len(arrays) < len(arrow_schema):
        arrays += [
            pa.array(localizations.extra_column(name)) for name in arrow_schema.names[len(arrays) :]
        ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema)


def from_batch(batch: pa.RecordBatch) -> Localizations:
    """Return the rows of a record batch, sharing its memory and therefore read-only.

    Columns of float32 that state a unit are extras; others that this version does not know are
    left out, and those that the batch lacks get their neutral value.

    Raises
    ------
    FileFormatError
        If a needed column is missing or has another type or nulls.
    """
    columns: dict[str, Any] = {}
    for name, dtype in COLUMN_DTYPES.items():
        if name in batch.schema.names:
            columns[name] = _numbers(batch, name, dtype)
    extras = {}
    if len(batch.schema) > len(columns):
        extras = {name: _numbers(batch, name, np.float32) for name in _extra_names(batch.schema)}
    try:
        return Localizations.from_columns(columns, extras)
    except ValueError as error:
        raise FileFormatError(f"not a table of localizations: {error}") from error


def _numbers(batch: pa.RecordBatch, name: str, dtype: Any) -> NDArray[Any]:
    column = batch.column(name)
    if column.null_count or column.type != pa.from_numpy_dtype(dtype):
        raise FileFormatError(
            f"column {name} is {column.type} with {column.null_count} nulls; "
            f"it must be {np.dtype(dtype)} without"
        )
    numbers: NDArray[Any] = column.to_numpy(zero_copy_only=True)
    return numbers


def _extra_names(arrow_schema: pa.Schema) -> list[str]:
    return [
        field.name
        for field in arrow_schema
        if is_extra_name(field.name)
        and field.type == pa.float32()
        and b"unit" in (field.metadata or {})
    ]


def table_metadata(
    run: str,
    shape: tuple[int, int],
    pixel_nm: float,
    sigma_nm: float | None,
    astigmatism: AstigmatismSettings | None = None,
    experiment: Mapping[str, str] = MappingProxyType({}),
    extras: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the metadata of a table of localizations.

    Parameters
    ----------
    run
        Name of the run folder.
    shape
        Height and width of the frames in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    sigma_nm
        Width of the PSF; None where it is not known yet.
    astigmatism
        Curves of the width, where there are any.
    experiment
        What was stated of it: sample, operator, notes.
    extras
        `extra_columns` and `extra_columns_of`, where the localizer adds columns.
    """
    metadata: dict[str, Any] = {
        "version": version("rtsmlm"),
        "run": run,
        "shape": list(shape),
        "pixel_nm": pixel_nm,
        **({"experiment": dict(experiment)} if experiment else {}),
        **extras,
    }
    if sigma_nm is not None:
        metadata["psf_sigma_nm"] = sigma_nm
    if astigmatism is not None:
        metadata["psf_astigmatism"] = astigmatism.model_dump()
    return metadata
