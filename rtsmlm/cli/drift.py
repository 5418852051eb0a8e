"""`rtsmlm drift`: take the drift off the localizations of a run or a table, or put it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console, warn
from rtsmlm.cli.run_output import report_step
from rtsmlm.offline.drift_of_run import correct_foreign_table, correct_run, restore_run


def drift(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run, or a table of localizations of any program.")
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Give the rows of a run back where they were localized.")
    ] = False,
    export: Annotated[
        list[str] | None,
        typer.Option("--export", help="Format of the corrected table: csv, picasso, parquet."),
    ] = None,
    pixel_nm: Annotated[
        float | None,
        typer.Option("--pixel-nm", help="Camera pixel in nm, where a table needs it."),
    ] = None,
) -> None:
    """Take the drift off the localizations of a run or a table, and write it to `drift.csv`.

    The drift is measured on the localizations, and on fiducials where there are any. In the table
    of a run the places as they were localized are kept in columns of their own (`--undo` gives
    them back). Of another table a corrected one is written into a folder beside it.
    """
    if run.is_file():
        folder, notes = correct_foreign_table(run, export or [], pixel_nm, report_step)
    elif undo:
        folder, notes = run, restore_run(run, report_step)
    else:
        folder, notes = run, correct_run(run, report_step)
    for note in notes.warnings:
        warn(note)
    console.print(f"results  {escape(str(folder))}")
    console.print(escape(notes.verdict))
