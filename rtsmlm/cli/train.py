"""`rtsmlm train` and `rtsmlm export`: from a recipe, or from another model, to a model folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rtsmlm.cli.console import console
from rtsmlm.cli.options import Overrides
from rtsmlm.cli.signals import stop_on_signal
from rtsmlm.errors import ConfigError
from rtsmlm.settings.installation import install_line

if TYPE_CHECKING:
    from rtsmlm.models.training.trainer import Trainer

_NEEDED = ("torch", "onnx", "safetensors")


def train(
    recipe: Annotated[
        Path | None, typer.Argument(help="Recipe (TOML); see models/recipes. Or give --from.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="With a recipe: folder of checkpoint and log. With --from: the model folder that "
            "is made, by default NAME-adapted."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Name or folder of a model that is adapted to your camera and PSF."
        ),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", "-c", help="With --from: camera.toml, psf.toml or any settings with both."
        ),
    ] = None,
    psf: Annotated[
        Path | None,
        typer.Option(help="With --from: psf_table.npz of rtsmlm calibrate psf --table."),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(help="With --from: movie without truth that the flagship is adapted to."),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(help="With --from: change its recipe: section.key=value. May be repeated."),
    ] = None,
    set_: Overrides = None,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint in the folder.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a network on simulated frames; Ctrl-C saves, `--resume` goes on another day."""
    _check_extra()
    if source is not None:
        if recipe is not None:
            raise ConfigError("give a recipe, or a model with --from, not both")
        if frames is not None:
            from rtsmlm.cli.train_on_frames import adapt_to_frames

            adapt_to_frames(source, out, frames, config or [], set_ or [])
            return
        from rtsmlm.cli.train_from import Request, adapt

        adapt(
            Request(
                source=source,
                out=out,
                config=tuple(config or ()),
                settings=tuple(set_ or ()),
                psf=psf,
                change=tuple(change or ()),
                resume=resume,
                device=device,
            )
        )
        return
    given = {"--config": config, "--psf": psf, "--frames": frames, "--change": change}
    if wrong := [name for name, value in given.items() if value]:
        raise ConfigError(f"{' and '.join(wrong)} need --from; a recipe states its PSF itself")
    if recipe is None or out is None:
        raise ConfigError(
            "give a recipe and --out FOLDER, or a model to adapt: rtsmlm train --from flagship-2d "
            "-c camera.toml"
        )
    _train(recipe, out, device, resume=resume)


def _train(recipe: Path, out: Path, device: str, *, resume: bool) -> None:
    from rtsmlm.models.training.recipe import load_recipe
    from rtsmlm.models.training.trainer import Trainer, join_processes

    out.mkdir(parents=True, exist_ok=True)
    device = join_processes(device)
    trainer = Trainer(load_recipe(recipe), out, device)
    if resume:
        trainer.resume()
    run_shown(trainer)
    console.print(f"checkpoint and metrics lie in {escape(str(out))}")


def run_shown(trainer: Trainer) -> bool:
    """Train with a line of progress; tell whether the schedule came to its end."""
    from rtsmlm.models.training.trainer import Report

    with progress_shown("training") as (stop, update):

        def show(report: Report) -> None:
            update(
                report.done,
                f"step {report.step}, loss {report.loss:.3f}, {report.windows_per_s:.0f} windows/s",
            )

        trainer.run(stop, show)
    return trainer.done() >= 1.0


@contextmanager
def progress_shown(first: str) -> Iterator[tuple[Event, Callable[[float, str], None]]]:
    """Show the progress of what takes minutes; yields what stops it, and what updates the line."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with stop_on_signal() as request, Progress(*columns, console=console) as progress:
        task = progress.add_task(first, total=1.0)

        def update(done: float, description: str) -> None:
            progress.update(task, completed=done, description=description)

        yield request.event, update


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint that `train` has written.")],
    out: Annotated[Path, typer.Option(help="Model folder: weights, ONNX, manifest.")],
    version: Annotated[str, typer.Option(help="Version of the model.")] = "0",
) -> None:
    """Write a model folder from a checkpoint: weights, ONNX and manifest."""
    _check_extra()
    from rtsmlm.models.training.packaging import export_model

    manifest = export_model(checkpoint, out, version=version)
    console.print(
        f"{escape(manifest.name)} {escape(manifest.version)}: {manifest.parameters} parameters, "
        f"{manifest.kmac_per_px} kMAC/px, in {escape(str(out))}"
    )


def _check_extra() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"training needs {', '.join(missing)}: {install_line('train')}")
