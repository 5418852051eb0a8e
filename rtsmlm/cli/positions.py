"""`rtsmlm positions`: many positions, rounds and channels, unattended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rtsmlm.cli.console import console, fail
from rtsmlm.cli.live import overrides
from rtsmlm.cli.options import Overrides
from rtsmlm.cli.run_output import rehearse, report_arming
from rtsmlm.cli.signals import stop_on_signal
from rtsmlm.drivers.micromanager.core import load_core, release_core, set_properties
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.session.positions import PositionResult, PositionsRun, load_sequence
from rtsmlm.settings.load import load


def positions(
    sequence: Annotated[
        Path, typer.Argument(help="useq sequence (YAML or JSON): positions, channels, rounds.")
    ],
    config: Annotated[
        Path | None, typer.Argument(help="Run configuration (TOML); none takes the demo.")
    ] = None,
    arm: Annotated[
        bool, typer.Option("--arm", help="Let the loop steer; feedback.arm must be set as well.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the whole sequence.")] = None,
    set_: Overrides = None,
) -> None:
    """Run every position of a sequence until its stop criterion, then go on to the next."""
    settings = load(config or Path("hil_sim.toml"), overrides(set_, None, None, None))
    plan = load_sequence(sequence)
    folder = RunFolder.create(
        out.parent if out else settings.results.out, out.name if out else settings.results.name
    )
    report_arming(settings, arm)
    with stop_on_signal() as request:
        rehearsal = rehearse(settings, arm)
        core = load_core(settings.micromanager)
        try:
            set_properties(core, settings.micromanager.properties)
            run = PositionsRun(
                core,
                plan,
                settings,
                out=folder.path,
                arm=arm,
                rehearsal=rehearsal,
                stop=request.event,
                on_event=lambda text: console.print(escape(text)),
            )
            shutil.copyfile(sequence, folder.path / f"sequence{sequence.suffix}")
            results = run.run()
        finally:
            release_core(core)
            if rehearsal is not None:
                rehearsal.close()
    (folder.path / "positions.json").write_text(
        json.dumps(run.as_dict(), indent=1), encoding="utf-8"
    )
    console.print(_table(results))
    console.print(f"results  {escape(str(folder.path))}")
    if request.signal is not None:
        raise typer.Exit(request.exit_code)
    if any(not result.ok for result in results):
        fail("; ".join(f"{r.name}: {r.ended_by}" for r in results if not r.ok))
        raise typer.Exit(1)


def _table(results: list[PositionResult]) -> Table:
    table = Table("position", "localizations", "ended by")
    for result in results:
        colour = "green" if result.ok else "red"
        table.add_row(
            f"[{colour}]{escape(result.name)}[/]",
            str(result.localizations),
            escape(result.ended_by or "round done"),
        )
    return table
