"""`rtsmlm convert`: write a table for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console, warn
from rtsmlm.files.tables.export import FILE_NAMES, export
from rtsmlm.files.tables.read import RUN_TABLE, read_table

_FORMATS = ", ".join(FILE_NAMES)


def convert(
    table: Annotated[Path, typer.Argument(help="A run folder, or a table of any known program.")],
    to: Annotated[str, typer.Option(help=f"Formats, separate by commas: {_FORMATS}.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; not given: beside the table.")
    ] = None,
    pixel_nm: Annotated[
        float | None, typer.Option(help="Camera pixel in nm, where the table does not state it.")
    ] = None,
) -> None:
    """Write a table of localizations in the formats of other programs.

    Frames, units and origin become those of each program. A run of any size passes in constant
    memory.
    """
    folder = out or (table if table.is_dir() else table.parent)
    is_of_run = table.is_dir() or table.name == RUN_TABLE
    source = table if is_of_run else read_table(table, pixel_nm)
    formats = [name.strip() for name in to.split(",") if name.strip()]
    if not isinstance(source, Path):
        for note in source.notes:
            warn(note)
    for path in export(source, formats, folder, pixel_nm):
        console.print(f"written  {escape(str(path))}")
