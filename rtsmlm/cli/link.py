"""`rtsmlm link`: one row for each emitter of a run or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console, warn
from rtsmlm.cli.run_output import report_step
from rtsmlm.offline.linking_of_run import link_foreign_table, link_run


def link(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run, or a table of localizations of any program.")
    ],
    gap: Annotated[
        int,
        typer.Option(
            "--gap", min=0, max=100, help="So many frames in a row an emitter may be missed."
        ),
    ] = 1,
    export: Annotated[
        list[str] | None,
        typer.Option("--export", help="Format of the linked table: csv, picasso, parquet."),
    ] = None,
    pixel_nm: Annotated[
        float | None,
        typer.Option("--pixel-nm", help="Camera pixel in nm, where a table needs it."),
    ] = None,
) -> None:
    """Make one row of the rows of an emitter in successive frames, in a table beside the first.

    Of a run `linked.arrows`; of another table in a folder beside it. How long emitters are on and
    off, and how they bleach, stands in `statistics.json`.
    """
    if run.is_file():
        folder, notes = link_foreign_table(run, export or [], pixel_nm, gap, report_step)
    else:
        folder, notes = run, link_run(run, gap, report_step)
    for note in notes.warnings:
        warn(note)
    console.print(f"results  {escape(str(folder))}")
    console.print(escape(notes.verdict))
