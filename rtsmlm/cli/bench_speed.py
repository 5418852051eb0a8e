"""`rtsmlm bench`: throughput and latency of localizers, and of other programs beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rtsmlm import __version__
from rtsmlm.bench.accuracy.contenders import psf_of
from rtsmlm.bench.speed import page as speed_page
from rtsmlm.bench.speed.figures import SpeedResult
from rtsmlm.bench.speed.scene import MovieKind
from rtsmlm.cli.bench_speed_steps import Task, Watched, measure, measure_peers
from rtsmlm.cli.console import console, warn
from rtsmlm.cli.options import JsonPath, Localizers, Markdown, Peers, PicassoPython, SmappyPython
from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.run.folder import machine, versions, write_text


def speed(
    ctx: typer.Context,
    localizer: Localizers = None,
    engine: Annotated[
        str | None, typer.Option(help="What runs a network, as localizer.engine.")
    ] = None,
    size: Annotated[int, typer.Option(help="Height and width of a frame in pixels.")] = 256,
    density: Annotated[float, typer.Option(help="Emitters per um2.")] = 0.1,
    frames: Annotated[int, typer.Option(help="Frames of each run.")] = 1000,
    rate: Annotated[float, typer.Option(help="Camera frames/s for the latencies.")] = 100.0,
    sweep: Annotated[bool, typer.Option(help="Cost against size and density, too.")] = False,
    peers: Peers = False,
    picasso_python: PicassoPython = None,
    smappy_python: SmappyPython = None,
    markdown: Markdown = None,
    json_path: JsonPath = None,
) -> None:
    """Measure the speed of localizers through ring and analysis process; or their accuracy."""
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx)
        return
    names = localizer or ["auto"]
    kind = MovieKind(size_px=size, density_um2=density)
    task = Task(kind=kind, n_frames=frames, camera_per_s=rate, engine=engine, sweep=sweep)
    task.check(names)
    make_folders(markdown, json_path)
    pythons = {"picasso": picasso_python, "smappy": smappy_python} if peers else {}
    columns = (BarColumn(bar_width=20), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        watched = Watched(progress)
        results = [measure(name, task, watched) for name in names]
        others, peer_versions = measure_peers(kind, pythons, watched)
    results = [
        r if psf_of(r.localizer) == "astigmatic" else replace(r, peers=others) for r in results
    ]
    for table in speed_page.tables(results):
        console.print(rich_table(table))
    for note in watched.notes:
        warn(note)
    facts = {**facts_of(_command(names, task, peers)), "peers": ", ".join(peer_versions)}
    if markdown is not None:
        write_text(markdown, speed_page.page(results, facts, watched.notes))
        console.print(f"page     {escape(str(markdown))}")
    if json_path is not None:
        figures = as_json(results)
        write_text(json_path, json.dumps(figures, indent=1, allow_nan=False) + "\n")
        console.print(f"figures  {escape(str(json_path))}")


def make_folders(*files: Path | None) -> None:
    """Make the folders of files that are written at the end, so that nothing is measured in vain.

    Raises
    ------
    SinkError
        If one cannot be made.
    """
    for file in files:
        if file is None:
            continue
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the folder of {file}: {error.strerror}") from error


def _refuse_options(ctx: typer.Context) -> None:
    """Raise `ConfigError` if options stand in front of a sub-command: they would be lost."""
    for name in ctx.params:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            command = f"rtsmlm bench {ctx.invoked_subcommand}"
            raise ConfigError(f"options of {command} stand behind its name: {command} ...")


def as_json(results: Sequence[SpeedResult]) -> dict[str, object]:
    """Return the figures of the first localizer, and of several all in a list."""
    figures = {**results[0].as_json(), "machine": machine(), "versions": versions()}
    if len(results) > 1:
        figures["results"] = [result.as_json() for result in results]
    return figures


def facts_of(command: str) -> dict[str, str]:
    """Return what a page says of how and where it was made."""
    here = machine()
    return {
        "command": command,
        "version": __version__,
        "machine": f"{here['processor']} with {here['cores']} cores",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }


def _command(names: Sequence[str], task: Task, peers: bool) -> str:
    kind = task.kind
    options = [f"--localizer {name}" for name in names]
    options += [f"--engine {task.engine}"] * (task.engine is not None)
    options += [f"--size {kind.size_px} --density {kind.density_um2:g}"]
    options += [f"--frames {task.n_frames} --rate {task.camera_per_s:g}"]
    options += ["--sweep"] * task.sweep + ["--peers"] * peers
    return "rtsmlm bench " + " ".join(options)


def rich_table(table: speed_page.Table) -> Table:
    """Return a table of a page for the screen."""
    shown = Table(title=escape(table.title))
    for heading in table.headings:
        shown.add_column(heading, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return shown
