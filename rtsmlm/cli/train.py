"""`rtsmlm train` and `rtsmlm export`: from a recipe to a model folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rtsmlm.cli.console import console
from rtsmlm.cli.signals import stop_on_signal
from rtsmlm.errors import ConfigError
from rtsmlm.settings.installation import install_line

_NEEDED = ("torch", "onnx", "safetensors")


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (TOML); see models/recipes.")],
    out: Annotated[Path, typer.Option(help="Folder of checkpoint and log.")],
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint in the folder.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a network on simulated frames; Ctrl-C saves, `--resume` goes on another day."""
    _check_extra()
    from rtsmlm.models.training.recipe import load_recipe
    from rtsmlm.models.training.trainer import Report, Trainer, join_processes

    out.mkdir(parents=True, exist_ok=True)
    device = join_processes(device)
    trainer = Trainer(load_recipe(recipe), out, device)
    if resume:
        trainer.resume()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with stop_on_signal() as request, Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=1.0)

        def show(report: Report) -> None:
            progress.update(
                task,
                completed=report.done,
                description=f"step {report.step}, loss {report.loss:.3f}, "
                f"{report.windows_per_s:.0f} windows/s",
            )

        trainer.run(request.event, show)
    console.print(f"checkpoint and metrics lie in {escape(str(out))}")


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
