"""`rtsmlm bench models`: networks of every kind on common ground, and the page docs/models.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as RichTable

from rtsmlm import __version__
from rtsmlm.bench.accuracy.reference_data import VARIABLE, find_data
from rtsmlm.bench.models.background_sets import BACKGROUNDS, background_trials
from rtsmlm.bench.models.box_sets import BOXES, box_trials
from rtsmlm.bench.models.chart import chart
from rtsmlm.bench.models.class_sets import CLASSES, class_trials
from rtsmlm.bench.models.colour_sets import COLOURS, colour_trials
from rtsmlm.bench.models.entrants import Entrant, entrants
from rtsmlm.bench.models.image_sets import IMAGES, image_trials
from rtsmlm.bench.models.list_sets import LISTS, list_trials
from rtsmlm.bench.models.page import page
from rtsmlm.bench.models.results import MachineFacts, Results, merged, read, save
from rtsmlm.bench.models.row_sets import DEPTH, OWN, PLANE, row_trials
from rtsmlm.bench.models.speed import speeds_of, steps_of
from rtsmlm.bench.models.tables import speed_table, tables_of
from rtsmlm.bench.models.trials import Trial, hold, n_steps
from rtsmlm.bench.speed.page import Table
from rtsmlm.cli.console import console, steps, warn
from rtsmlm.cli.options import Markdown
from rtsmlm.errors import ConfigError, RtsmlmError
from rtsmlm.files.run.folder import machine, write_text

PICTURE = "images/models.svg"


def models(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model by name or folder; may be repeated. None takes all installed."),
    ] = None,
    alone: Annotated[
        bool, typer.Option(help="Leave out the fits and flagships that are measured beside them.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only sets whose section or name contains this text; may be repeated."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Few frames: rough figures.")] = False,
    speed: Annotated[bool, typer.Option(help="Measure the speed, too.")] = True,
    data: Annotated[
        Path | None, typer.Option(help=f"Folder of the reference data; else {VARIABLE} names it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all simulated sets.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write all figures there, as JSON.")] = None,
    from_: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Draw from such JSON, measure nothing; may be repeated."),
    ] = None,
    markdown: Markdown = None,
) -> None:
    """Measure networks of every kind on common ground, with the fits beside them."""
    if from_:
        if model or only:
            raise ConfigError("--from draws what was measured: leave out --model and --only")
        results = merged([(str(path), read(path)) for path in from_])
    else:
        command = _command(model or (), alone=alone, quick=quick)
        results = _measured(model or [], only or [], data, seed, command,
                            alone=alone, quick=quick, with_speed=speed)  # fmt: skip
    for table in _all_tables(results):
        console.print(_rich_table(table))
    for note in results.notes:
        warn(note)
    _write(results, out, markdown)


def _measured(
    names: list[str],
    only: list[str],
    data: Path | None,
    seed: int,
    command: str,
    *,
    alone: bool,
    quick: bool,
    with_speed: bool,
) -> Results:
    notes: list[str] = []
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    present = entrants(names, alone=alone, notes=notes)
    folder = find_data(data)
    trials = _trials(folder, present, seed, only, notes, quick=quick)
    total = n_steps(trials, present) + (len(steps_of(present)) if with_speed else 0)
    with steps() as progress:
        task = progress.add_task("", total=total)

        def on_step(what: str) -> None:
            progress.update(task, advance=1, description=escape(what))

        speeds = speeds_of(present, notes, quick=quick, on_step=on_step) if with_speed else []
        scores = hold(trials, present, notes, on_step)
    here = machine()
    return Results(
        rtsmlm=__version__,
        command=command,
        machine=MachineFacts(
            system=here["system"], processor=here["processor"], cores=here["cores"], load=load
        ),
        seed=seed,
        quick=quick,
        has_data=folder is not None,
        models=tuple(entrant.facts() for entrant in present),
        scores=tuple(scores),
        speeds=tuple(speeds),
        notes=tuple(notes),
    )


def _trials(
    folder: Path | None,
    present: list[Entrant],
    seed: int,
    only: list[str],
    notes: list[str],
    *,
    quick: bool,
) -> list[Trial]:
    if folder is None:
        notes.append(
            f"movies and truths of others are left out: name their folder (--data or {VARIABLE})"
        )
    try:
        found = row_trials(folder, present, seed, quick=quick)
    except RtsmlmError as error:
        notes.append(f"movies and truths of others are left out: {error}")
        folder = None
        found = row_trials(None, present, seed, quick=quick)
    found += image_trials(folder, seed, quick=quick)
    found += list_trials(seed, quick=quick)
    found += box_trials(present, seed, quick=quick)
    found += class_trials(present, seed, quick=quick)
    found += background_trials(present, seed, quick=quick)
    found += colour_trials(present, seed, quick=quick)
    wanted = [text.lower() for text in only]
    chosen = [
        trial
        for trial in found
        if not wanted
        or any(text in f"{trial.section}: {trial.condition}".lower() for text in wanted)
    ]
    if not chosen:
        raise ConfigError(
            f"--only {' '.join(only)} names no set; the sections are "
            f"{', '.join(dict.fromkeys(trial.section for trial in found))}"
        )
    return chosen


def _all_tables(results: Results) -> list[Table]:
    sections = (PLANE, DEPTH, OWN, IMAGES, LISTS, BOXES, CLASSES, BACKGROUNDS, COLOURS)
    found = [table for section in sections for table in tables_of(section, results)]
    return [*found, speed_table(results)] if results.speeds else found


def _write(results: Results, out: Path | None, markdown: Path | None) -> None:
    if out is not None:
        save(results, out)
        console.print(f"figures  {escape(str(out))}")
    if markdown is None:
        return
    picture = chart(results)
    if picture is not None:
        place = markdown.parent / PICTURE
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, picture)
    write_text(markdown, page(results, None if picture is None else PICTURE))
    console.print(f"page     {escape(str(markdown))}")


def _command(names: list[str] | tuple[str, ...], *, alone: bool, quick: bool) -> str:
    options = [f" --model {name}" for name in names]
    options += [" --alone"] * alone + [" --quick"] * quick
    return "rtsmlm bench models" + "".join(options)


def _rich_table(table: Table) -> RichTable:
    shown = RichTable(title=escape(table.title))
    for heading in table.headings:
        shown.add_column(heading, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return shown
