"""Parquet: our columns and metadata, compressed, for pandas, polars, DuckDB and R."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet as pq

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_schema import Metadata, from_batch, metadata_of, schema, to_batch
from rtsmlm.files.tables.columns import replacing
from rtsmlm.localizations import COLUMN_DTYPES, Localizations

DAMAGE = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    MemoryError,
)


def write_parquet(
    path: Path, batches: Iterable[Localizations], metadata: Mapping[str, object]
) -> None:
    """Write all columns, one row group per batch.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    table_schema = schema(metadata)
    with (
        replacing(path) as part,
        pq.ParquetWriter(part, table_schema, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(to_batch(batch, table_schema))


def read_parquet(path: Path) -> tuple[Localizations, Metadata]:
    """Read a table that has our columns.

    Raises
    ------
    FileFormatError
        If the file is damaged or has other columns.
    """
    try:
        with pq.ParquetFile(path) as file:
            metadata = metadata_of(file.schema_arrow)
            there = [name for name in file.schema_arrow.names if name in COLUMN_DTYPES]
            parts = [from_batch(batch) for batch in file.iter_batches(columns=there)]
    except (FileFormatError, *DAMAGE) as error:
        raise FileFormatError(f"{path} is no Parquet table of localizations: {error}") from error
    return Localizations.concatenate(parts), metadata
