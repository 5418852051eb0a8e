"""`rtsmlm layers`: the image layers of a run that has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console, warn
from rtsmlm.cli.options import Overrides
from rtsmlm.cli.run_output import report_step
from rtsmlm.offline.layers_of_run import write_layers_of_run


def layers(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a reconstruction.")],
    set_: Overrides = None,
) -> None:
    """Make the image layers of a run that has ended, of its table and its recorded frames.

    Those that were broken off, or of other networks: `--set results.image_models=annapalm`.
    """
    notes = write_layers_of_run(run, list(set_ or []), report_step)
    for note in notes:
        warn(note)
    console.print(f"results  {escape(str(run))}")
    if notes:
        raise typer.Exit(1)
