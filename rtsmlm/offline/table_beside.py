"""Where `rtsmlm drift` and `rtsmlm link` write what they make of a table of any program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rtsmlm.errors import SinkError
from rtsmlm.files.tables.export import FILE_NAMES, export
from rtsmlm.files.tables.read import Table


def write_beside(
    path: Path,
    ending: str,
    table: Table,
    formats: Sequence[str],
    on_step: Callable[[str], None],
) -> Path:
    """Write a table into a folder beside the one that it was made of; return the folder.

    Parameters
    ----------
    path
        The table that it was made of.
    ending
        The folder is named as that, with this behind.
    table
        What is written; its `metadata` name the format of the other one.
    formats
        Names as in `FILE_NAMES`; none takes the format of the other one, or Parquet.
    on_step
        Called with the name of the step.

    Raises
    ------
    ConfigError
        If a format is unknown.
    SinkError
        If a file cannot be written.
    """
    folder = path.with_name(f"{path.stem}{ending}")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make {folder}: {error.strerror or error}") from error
    source = str(table.metadata.get("format"))
    on_step("exports")
    export(table, list(formats) or [source if source in FILE_NAMES else "parquet"], folder)
    return folder
