"""`rtsmlm engine`: build engines for GPUs ahead of a run, list them, remove them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rtsmlm.cli.console import console
from rtsmlm.engines.engine_cache import EngineCache, key_of
from rtsmlm.engines.tensorrt import Built, load_or_build, missing_to_build
from rtsmlm.engines.tensorrt_parts import PRECISIONS, gpu_here
from rtsmlm.errors import ConfigError
from rtsmlm.models.catalog import find_model, model_folders
from rtsmlm.models.inputs import BLOCK_PX

app = typer.Typer(
    help="Engines for NVIDIA GPUs: build, list, clear.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

_COMMON_GPUS = (86, 89, 120)
"""GeForce 30, 40 and 50."""


@app.command()
def build(
    model: Annotated[
        list[str] | None, typer.Argument(help="Model by name or folder; by default all there are.")
    ] = None,
    sm: Annotated[
        str,
        typer.Option(
            help="Compute capabilities, such as 86,89,120; by default that of the GPU here, else "
            "those three."
        ),
    ] = "",
    shape: Annotated[str, typer.Option(help="Height x width of the frames.")] = "256x256",
    frames: Annotated[str, typer.Option(help="Frames at once; a run needs 1 and 8.")] = "1,8",
    precision: Annotated[str, typer.Option(help=" or ".join(PRECISIONS))] = "f16",
) -> None:
    """Build engines ahead of a run, which would build what is not there as it starts."""
    folders = [_folder(name) for name in model] if model else _shipped()
    height, width = _padded(shape)
    targets: list[int | None] = [*_numbers("--sm", sm)] if sm else _targets()
    jobs = [
        (folder, target, (n, height, width))
        for folder in folders
        for target in targets
        for n in _numbers("--frames", frames)
    ]
    if reason := missing_to_build():
        raise ConfigError(reason)
    table = _table("model", "target", "shape", "MB", "s")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("building", total=len(jobs))
        for i, (folder, target, wanted) in enumerate(jobs):

            def show(phase: str, done: float, i: int = i, name: str = folder.name) -> None:
                progress.update(task, completed=i + done, description=f"{name}: {phase}")

            built = load_or_build(folder, wanted, precision, sm=target, on_step=show)
            progress.update(task, completed=i + 1)
            table.add_row(*_cells(folder.name, wanted, built))
    console.print(table)
    console.print(f"engines lie in {escape(str(EngineCache().folder))}")


@app.command("list")
def list_engines() -> None:
    """Show the engines in the cache, and which of them will not be used and why."""
    cache = EngineCache()
    table = _table("model", "target", "shape", "precision", "runtime", "MB", "state")
    for entry in cache.entries():
        key = key_of(entry.record)
        shape = "x".join(str(side) for side in key.get("shape", []))
        names = (str(key.get(k, "?")) for k in ("model", "target"))
        more = (str(key.get(k, "?")) for k in ("precision", "runtime"))
        state = escape(entry.fault) if entry.fault else "whole"
        table.add_row(*names, shape or "?", *more, f"{entry.size_bytes / 1e6:.1f}", state)
    if table.rows:
        console.print(table)
    console.print(f"{len(table.rows)} engines in {escape(str(cache.folder))}")


@app.command()
def clear() -> None:
    """Remove all engines from the cache; a run builds again what it needs."""
    cache = EngineCache()
    console.print(f"{cache.clear()} engines removed from {escape(str(cache.folder))}")


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _cells(name: str, shape: tuple[int, int, int], built: Built) -> tuple[str, ...]:
    time = "was there" if built.cached else f"{built.seconds:.1f}"
    size = f"{len(built.engine) / 1e6:.1f}"
    return escape(name), escape(built.target), "x".join(map(str, shape)), size, time


def _shipped() -> list[Path]:
    return list(model_folders().values())


def _folder(name: str) -> Path:
    return find_model(name)


def _targets() -> list[int | None]:
    return [None] if gpu_here() else [*_COMMON_GPUS]


def _padded(shape: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", shape)
    if found is None:
        raise ConfigError(f"--shape is {shape!r}; it must be height x width, such as 256x256")
    height, width = (-(-int(side) // BLOCK_PX) * BLOCK_PX for side in found.groups())
    return height, width


def _numbers(option: str, text: str) -> list[int]:
    if not re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", text):
        raise ConfigError(f"{option} is {text!r}; it must be numbers with commas, such as 1,8")
    return [int(part) for part in text.split(",")]
