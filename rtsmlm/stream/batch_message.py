"""Arrow messages of another program, checked before memory is asked for by what they declare."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import pyarrow as pa

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_messages import DAMAGE, MARK, PREFIX, parse
from rtsmlm.files.tables.arrow_schema import from_batch, metadata_of
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.localizations import Localizations

_MOST_COLUMNS = 256
_SOURCE = Path("the stream")


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
    except (*DAMAGE, RecursionError) as error:
        raise FileFormatError(f"the schema of the run cannot be read: {error}") from error
    if len(schema) > _MOST_COLUMNS or len(set(schema.names)) != len(schema):
        raise FileFormatError("the schema of the run has too many columns, or one of them twice")
    for field in schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            raise FileFormatError(
                f"column {field.name!r} of the run is {str(field.type)[:80]}; it must be numbers"
            )
    return schema


def read_batch(message: bytes, schema: pa.Schema, n_rows: int) -> Localizations:
    """Return the rows of a batch message, without those that can be no localizations.

    Parameters
    ----------
    message
        An Arrow IPC record batch message.
    schema
        Its schema, of `read_schema`.
    n_rows
        Rows that it is stated to have.

    Raises
    ------
    FileFormatError
        If it is no batch of this schema, is compressed, or holds less than it declares.
    """
    try:
        mark, n_header = PREFIX.unpack_from(message)
        header = parse(message[PREFIX.size : PREFIX.size + n_header])
        if header.buffers:
            raise FileFormatError("a batch of the run is compressed, which ours never are")
        if mark != MARK or header.n_rows != n_rows or n_rows > len(message):
            raise FileFormatError(f"a batch of the run has other rows than the {n_rows} it states")
        batch = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
        batch.validate(full=True)
        rows = Localizations.concatenate([from_batch(batch)])
    except FileFormatError:
        raise
    except (*DAMAGE, struct.error) as error:
        raise FileFormatError(f"a batch of the run cannot be read: {error}") from error
    return RowCheck(_SOURCE).sound(rows)
