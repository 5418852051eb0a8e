"""Arrow messages of another program, checked before memory is asked for by what they declare."""

from __future__ import annotations

import base64
import struct

import pyarrow as pa

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_schema import from_batch, metadata_of
from rtsmlm.localizations import Localizations

_MOST_COLUMNS = 256
_MARK = 0xFFFFFFFF
_HEADER_FIELD, _COMPRESSION_FIELD = 2, 3
"""Of the tables `Message` and `RecordBatch` of the Arrow format (Message.fbs)."""


def read_schema(text: str) -> pa.Schema:
    """Return the schema of the batches, from the first message.

    Raises
    ------
    FileFormatError
        If it cannot be read, or a column is not a plain number for every row.
    """
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
        metadata_of(schema)
    except (pa.ArrowException, OSError, EOFError, ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(f"the schema of the run cannot be read: {error}") from error
    if len(schema) > _MOST_COLUMNS or len(set(schema.names)) != len(schema):
        raise FileFormatError("the schema of the run has too many columns, or one of them twice")
    for field in schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            raise FileFormatError(
                f"column {field.name!r} of the run is {str(field.type)[:80]}; it must be numbers"
            )
    return schema


def read_batch(message: bytes, schema: pa.Schema) -> Localizations:
    """Return the rows of a batch message.

    Raises
    ------
    FileFormatError
        If it is no batch of this schema, is compressed, or holds less than it declares.
    """
    try:
        if _is_compressed(message):
            raise FileFormatError("a batch of the run is compressed, which ours never are")
        batch = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
        if batch.num_rows > len(message):
            raise FileFormatError("a batch of the run declares more rows than it holds")
        batch.validate()
        return Localizations.concatenate([from_batch(batch)])
    except FileFormatError:
        raise
    except (pa.ArrowException, OSError, EOFError, ValueError, KeyError, TypeError,
            struct.error, OverflowError) as error:  # fmt: skip
        raise FileFormatError(f"a batch of the run cannot be read: {error}") from error


def _is_compressed(message: bytes) -> bool:
    """Return whether the body is compressed: its declared size is then not bound by its bytes."""
    (mark,) = struct.unpack_from("<I", message, 0)
    start = 8 if mark == _MARK else 4
    (root,) = struct.unpack_from("<I", message, start)
    header_at = _field(message, start + root, _HEADER_FIELD)
    if header_at is None:
        raise FileFormatError("a batch of the run has no header")
    (offset,) = struct.unpack_from("<I", message, header_at)
    return _field(message, header_at + offset, _COMPRESSION_FIELD) is not None


def _field(message: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffers table lies; None if the table has it not."""
    (back,) = struct.unpack_from("<i", message, table)
    places = table - back
    if places < 0:
        raise FileFormatError("a batch of the run is damaged")
    (size,) = struct.unpack_from("<H", message, places)
    place = 4 + 2 * number
    if place + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", message, places + place)
    return table + offset if offset else None
