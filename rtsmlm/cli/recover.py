"""`rtsmlm recover`: complete the files of a run that was cut."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rtsmlm.cli.console import console, fail, log_to, stop_log, warn
from rtsmlm.offline.recover import Recovery


def recover(
    run: Annotated[Path, typer.Argument(help="Folder of the run that was cut.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Settings, where the run has lost its run.toml."),
    ] = None,
) -> None:
    """Make table, ledger, image and report of what is left of a run that was cut.

    After a crash or a power cut: rows that are whole are kept, recorded frames that were not
    localized are localized now, and the report says what is missing. May be repeated.
    """
    with Recovery(run, config) as work:
        handler = log_to(work.folder.log)
        try:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=console) as progress:
                task = progress.add_task("recovering", total=None)
                verdict = work.run(
                    lambda done, total: progress.update(task, completed=done, total=total),
                    lambda step: progress.update(task, description=escape(step)),
                )
                total = progress.tasks[0].total or 1
                progress.update(task, description="done", completed=total, total=total)
        finally:
            stop_log(handler)
        for text in work.notes:
            warn(text)
        for text in work.failures:
            fail(text)
    console.print(f"results  {escape(str(run))}")
    console.print(f"[bold yellow]{escape(verdict)}[/]")
    if work.failures:
        raise typer.Exit(1)
