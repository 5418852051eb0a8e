"""`rtsmlm layers`: the image layers of a run that has ended, or of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console, warn
from rtsmlm.cli.options import Overrides
from rtsmlm.cli.run_output import report_step
from rtsmlm.offline.layers_of_run import write_layers_of_run, write_layers_of_table


def layers(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run, or a table of localizations of any program.")
    ],
    pixel_nm: Annotated[
        float | None,
        typer.Option("--pixel-nm", help="Camera pixel in nm, where a table needs it."),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Make the image layers of a run that has ended, of its table and its recorded frames.

    Those that were broken off, or of other networks: `--set results.image_models=annapalm`. Of a
    table they are written into a folder beside it.
    """
    folder, changed = run, list(set_ or [])
    if pixel_nm is not None:
        changed.append(f"camera.pixel_nm={pixel_nm}")
    if run.is_file():
        folder, notes = write_layers_of_table(run, changed, report_step)
    else:
        notes = write_layers_of_run(run, changed, report_step)
    for note in notes:
        warn(note)
    console.print(f"results  {escape(str(folder))}")
    if notes:
        raise typer.Exit(1)
