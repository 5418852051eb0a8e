"""`rtsmlm bench accuracy`: localizers beside the physical limit and beside each other."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rtsmlm import __version__
from rtsmlm.bench.accuracy.checks import simulated_checks
from rtsmlm.bench.accuracy.contenders import our_localizers, running_peers
from rtsmlm.bench.accuracy.measure import (
    Check,
    Contender,
    Outcome,
    Row,
    as_json,
    measure,
    takes_part,
)
from rtsmlm.bench.accuracy.page import bar_text, limit_text, page, value_text
from rtsmlm.bench.accuracy.reference_data import VARIABLE, data_checks, find_data
from rtsmlm.cli.console import console, steps, warn
from rtsmlm.cli.options import JsonPath, Localizers, Markdown, Peers, PicassoPython, SmappyPython
from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.folder import machine, write_text

FRAMES, QUICK_FRAMES = 12, 2
DEEP_FRAMES, QUICK_DEEP_FRAMES = 1000, 100


def accuracy(
    localizer: Localizers = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only sections whose title contains this text; may be repeated."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Few frames: rough figures in a minute.")] = False,
    data: Annotated[
        Path | None, typer.Option(help=f"Folder of the reference data; else {VARIABLE} names it.")
    ] = None,
    peers: Peers = False,
    picasso_python: PicassoPython = None,
    smappy_python: SmappyPython = None,
    seed: Annotated[int, typer.Option(help="Of all simulated movies.")] = 0,
    markdown: Markdown = None,
    json_path: JsonPath = None,
) -> None:
    """Compare localizers with the physical limit, with each other and with the bars we set."""
    notes: list[str] = []
    ours = our_localizers(localizer or (), notes)
    checks = _checks(data, quick, seed, notes)
    checks = [c for c in checks if not only or any(o.lower() in c.section.lower() for o in only)]
    pythons = {"picasso": picasso_python, "smappy": smappy_python} if peers else {}
    with running_peers(pythons, notes) as (others, versions):
        contenders = [*ours, *others]
        outcome = _measured(checks, contenders)
        columns = [contender.name for contender in contenders]
    outcome.notes[:0] = notes
    for section, rows in itertools.groupby(outcome.shown(), key=lambda row: row.section):
        console.print(_rich_table(section, list(rows), columns))
    for note in outcome.all_notes():
        warn(note)
    _write(outcome, columns, versions, markdown, json_path, _command(quick, peers, localizer))


def _checks(data: Path | None, quick: bool, seed: int, notes: list[str]) -> list[Check]:
    checks = simulated_checks(QUICK_FRAMES if quick else FRAMES, seed)
    folder = find_data(data)
    if folder is None:
        notes.append(
            "rows on reference data and on the deep scene, whose PSF is one of them, are left "
            f"out: name their folder (--data or {VARIABLE})"
        )
        return checks
    try:
        return checks + data_checks(folder, QUICK_DEEP_FRAMES if quick else DEEP_FRAMES, seed)
    except RtsmlmError as error:
        notes.append(f"rows on reference data are left out: {error}")
        return checks


def _measured(checks: list[Check], contenders: list[Contender]) -> Outcome:
    total = sum(takes_part(check, contender) for check in checks for contender in contenders)
    with steps() as progress:
        task = progress.add_task("", total=total)

        def on_step(what: str) -> None:
            progress.update(task, advance=1, description=escape(what))

        return measure(checks, contenders, on_step)


def _write(
    outcome: Outcome,
    columns: list[str],
    versions: list[str],
    markdown: Path | None,
    json_path: Path | None,
    command: str,
) -> None:
    facts = {
        "command": command,
        "version": __version__,
        "processor": str(machine()["processor"]),
        "peers": ", ".join(versions),
    }
    if markdown is not None:
        write_text(markdown, page(outcome, columns, facts))
        console.print(f"page     {escape(str(markdown))}")
    if json_path is not None:
        figures = {**facts, "notes": outcome.all_notes(), "rows": as_json(outcome.rows)}
        write_text(json_path, json.dumps(figures, indent=1, allow_nan=False) + "\n")
        console.print(f"figures  {escape(str(json_path))}")


def _command(quick: bool, peers: bool, localizer: list[str] | None) -> str:
    options = [f" --localizer {name}" for name in localizer or ()]
    options += [" --quick"] * quick + [" --peers"] * peers
    return "rtsmlm bench accuracy" + "".join(options) + " --markdown docs/accuracy.md"


def _rich_table(section: str, rows: list[Row], columns: list[str]) -> Table:
    table = Table(title=section)
    used = [name for name in columns if any(name in row.values for row in rows)]
    for heading in ("condition", "figure", "bar", "aim", *used):
        table.add_column(heading)
    for row in rows:
        cells = [_rich_cell(row, name) for name in used]
        goal = (row.goal.figure, bar_text(row), limit_text(row.goal.aim))
        table.add_row(row.condition, *goal, *cells)
    return table


def _rich_cell(row: Row, name: str) -> str:
    if name not in row.values:
        return ""
    colour = {True: "[green]", False: "[red]", None: ""}[row.met(name)]
    return f"{colour}{value_text(row.values[name])}"
