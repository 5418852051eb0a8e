"""`rtsmlm report`: write the page of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console
from rtsmlm.offline.report.rebuild import rebuild_report


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN...")],
) -> None:
    """Write report.html of a run again, from whatever its folder holds.

    Also of a run that was cut or that goes on; nothing but the page is touched.
    """
    for run in runs:
        with console.status("reading the run") as status:
            page = rebuild_report(run, lambda step: status.update(escape(step)))
        console.print(f"report  {escape(str(page))}")
