"""`rtsmlm hil`: rehearse a rig, hardware in the loop."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console, fail, log_to, warn
from rtsmlm.cli.options import Overrides
from rtsmlm.cli.signals import stop_on_signal
from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.hil.drills import named
from rtsmlm.hil.page import write_page
from rtsmlm.hil.repeated import repeat, soak
from rtsmlm.hil.result import DrillResult
from rtsmlm.hil.rig import HilRig
from rtsmlm.settings.load import load
from rtsmlm.settings.names import checked_folder
from rtsmlm.settings.run import RunSettings

_COLOURS = {"passed": "green", "failed": "bold red", "not run": "dim"}


def hil(
    config: Annotated[
        Path | None,
        typer.Argument(help="Run configuration (TOML); none takes the simulated rig."),
    ] = None,
    arm: Annotated[
        bool,
        typer.Option("--arm", help="Let light through; feedback.arm must be set as well."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder of the report; by default a new one.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run this drill alone. May be repeated.")
    ] = None,
    times: Annotated[
        int, typer.Option("--repeat", min=1, help="Run each drill with a time to dark so often.")
    ] = 1,
    faults: Annotated[
        int | None,
        typer.Option("--soak", min=1, help="Provoke so many faults at random instead."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order of --soak.")] = 0,
    set_: Overrides = None,
) -> None:
    """Rehearse a rig: check camera and lasers, provoke every fault, close the loop.

    Lasers shine only with --arm, and in all drills but the step response at twice their least
    power (hil.drill_power). Exit code 1 if a drill failed.
    """
    if faults is not None and not arm:
        raise ConfigError("--soak needs --arm: without light there is nothing to turn dark")
    settings = load(config or Path("hil_sim.toml"), set_ or ())
    names = only or []
    named(names)  # a misspelling shows before a folder is made
    folder = _folder(settings, report)
    log_to(folder / "hil.log")
    if not arm:
        warn("no light without --arm: only what can be checked in the dark is run")
    results: list[DrillResult] = []
    with stop_on_signal() as request:
        rig = HilRig(settings, folder, arm=arm, stop=request.event)
        title = f"hardware in the loop: {(config or Path('hil_sim.toml')).name}"
        try:
            if faults is not None:
                found = soak(rig, faults, seed, names)
            else:
                found = (repeat(drill, rig, times) for drill in named(names))
            for result in found:
                results.append(result)
                _say(result)
        finally:
            rig.close()
            write_page(folder, title, results, rig.gating)
    if rig.gating:
        console.print(f"gating   {escape(rig.gating)}")
    console.print(f"report   {escape(str(folder / 'hil.html'))}")
    if failed := [result.name for result in results if result.failed]:
        fail(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)


def _folder(settings: RunSettings, report: Path | None) -> Path:
    """Return the folder of the report: the one named, or a new one under results.out."""
    if report is None:
        name = datetime.now().astimezone().strftime("hil_%Y-%m-%d_%H-%M-%S")
        return RunFolder.create_free(settings.results.out, name).path
    report = checked_folder(report.parent, report.name)
    if (report / "hil.json").exists():
        raise ConfigError(f"{report} holds a report already; name another folder (--report)")
    RunFolder(report).make()
    return report


def _say(result: DrillResult) -> None:
    colour = _COLOURS[result.word]
    console.print(
        f"[{colour}]{result.word:8}[/]{result.name:26}{escape(result.what)} "
        f"[dim]({result.seconds:.0f} s)[/]"
    )
