"""Parquet: our columns and metadata, compressed, for pandas, polars, DuckDB and R."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pyarrow import parquet as pq

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import ROW_BYTES, check_size
from rtsmlm.files.tables.arrow_messages import DAMAGE
from rtsmlm.files.tables.arrow_schema import (
    Metadata,
    extra_columns_of,
    from_batch,
    metadata_of,
    schema,
    to_batch,
)
from rtsmlm.files.tables.columns import ROWS_PER_BLOCK, replacing
from rtsmlm.files.tables.parquet_pages import check_pages
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.localizations import COLUMN_DTYPES, Localizations


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


def read_parquet(path: Path, check: RowCheck | None = None) -> tuple[Localizations, Metadata]:
    """Read a table that has our columns.

    Parameters
    ----------
    path
        The file.
    check
        Counts the rows that are left out; not given counts them for the error alone.

    Raises
    ------
    FileFormatError
        If the file is damaged, has other columns, or takes more memory than a file of its size may.
    """
    check = check or RowCheck(path)
    try:
        n_rows = pq.read_metadata(path).num_rows
    except DAMAGE as error:
        raise FileFormatError(f"{path} is no Parquet table of localizations: {error}") from error
    check_size(path, f"{n_rows} rows", ROW_BYTES * n_rows, path.stat().st_size)
    try:
        with pq.ParquetFile(path) as file:
            metadata = metadata_of(file.schema_arrow)
            wanted = {*COLUMN_DTYPES, *extra_columns_of(metadata)}
            there = [name for name in file.schema_arrow.names if name in wanted]
            _check_columns(path, file.metadata, there)
            parts = [
                check.sound(from_batch(batch))
                for batch in file.iter_batches(ROWS_PER_BLOCK, columns=there)
            ]
    except (FileFormatError, *DAMAGE) as error:
        raise FileFormatError(f"{path} is no Parquet table of localizations: {error}") from error
    check.finish()
    return Localizations.concatenate(parts), metadata


def _check_columns(path: Path, metadata: pq.FileMetaData, names: Sequence[str]) -> None:
    """Raise `ValueError` if pages are larger than pages are, before one of them is decoded."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group)
            for column in map(rows.column, range(rows.num_columns)):
                if column.path_in_schema not in names:
                    continue
                start = column.data_page_offset
                if column.has_dictionary_page:
                    start = min(start, column.dictionary_page_offset)
                end = start + column.total_compressed_size
                if column.file_path or not 0 <= start <= end <= size:
                    raise ValueError(f"column {column.path_in_schema} lies outside of the file")
                file.seek(start)
                check_pages(file.read(end - start))
