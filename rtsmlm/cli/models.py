"""`rtsmlm models`: which models are installed, what they do, how fast they are here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from rtsmlm.cli.console import console, fail
from rtsmlm.errors import RtsmlmError
from rtsmlm.models.catalog import find_model, model_folders
from rtsmlm.models.manifest import Manifest, load_manifest

_FIGURES = (
    ("RMSE per axis / CRLB", "isolated", "{:.2f} CRLB"),
    ("Jaccard index", "1 per um2", "Jaccard {:.2f} at 1 per µm²"),
)
"""What of a model's accuracy table is listed: figure, part of its condition, how it is written."""


def models(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of models that are not installed.")
    ] = None,
    speed: Annotated[
        bool,
        typer.Option(
            help="Measure frames of 256 x 256, or spots, per second on this machine: of the "
            "folders, or without any of all models."
        ),
    ] = True,
) -> None:
    """List the models there are: task, PSF, size, speed on this machine, accuracy, origin."""
    given = {str(path): find_model(f"{path}/") for path in folders or []}
    found = model_folders() | given
    table = Table()
    for heading in ("name", "architecture", "task", "PSF", "size", "here", "accuracy", "origin"):
        table.add_column(heading, overflow="fold")
    damaged: list[str] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        step = progress.add_task("", total=None)
        for name, folder in found.items():
            measured = speed and (name in given or not given)
            progress.update(step, description=escape(name) + (": speed" if measured else ""))
            try:
                manifest = load_manifest(folder)
                here = _speed_here(folder, manifest) if measured else ""
            except RtsmlmError as error:
                damaged.append(f"{name}: {error}")
                continue
            table.add_row(escape(name), *(escape(text) for text in _cells(manifest, folder, here)))
    console.print(table)
    console.print("use one with localizer.name=NAME, or the path of a model folder;")
    console.print(
        "box-background is for localizer.background, box-classes for localizer.colour, image for "
        "results.image_models"
    )
    for text in damaged:
        fail(text)
    if damaged:
        raise typer.Exit(1)


def _cells(manifest: Manifest, folder: Path, here: str) -> tuple[str, ...]:
    size_mb = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    low, high = manifest.valid.sigma_px
    psf = "any" if manifest.psf == "any" else f"{manifest.psf}, {low:g} to {high:g} px"
    return (
        f"{manifest.architecture} {manifest.size}",
        manifest.task,
        psf,
        f"{manifest.parameters / 1e3:.0f} k, {size_mb:.1f} MB",
        here,
        "; ".join(_accuracy(manifest)) or "not stated",
        manifest.origin or f"{manifest.training.steps} steps, {manifest.training.hardware}",
    )


def _accuracy(manifest: Manifest) -> list[str]:
    texts = []
    for figure, part, text in _FIGURES:
        rows = [
            row
            for row in manifest.accuracy
            if row.get("figure") == figure
            and part in f"{row.get('test')} {row.get('condition')}".lower()
        ]
        values = sorted(float(row["value"]) for row in rows)
        if values:
            texts.append(text.format(values[len(values) // 2]))
    return texts


def _speed_here(folder: Path, manifest: Manifest) -> str:
    """Return how many frames or spots a second the engine of this machine localizes."""
    # Not with the command line: engines take a second to load.
    from rtsmlm.engines.speed import frames_per_s, spots_per_s

    if manifest.task in ("box-parameters", "box-background", "box-classes"):
        return f"{spots_per_s(folder):.0f} spots/s"
    if manifest.task != "localize":
        return ""
    return f"{frames_per_s(folder):.0f} frames/s"
