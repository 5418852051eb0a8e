"""`rtsmlm reconstruct`: localize a recorded movie."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from rtsmlm.cli.console import console, log_to, warn
from rtsmlm.cli.live import overrides
from rtsmlm.cli.on_cluster import ClusterCommand, reconstruct_on_cluster
from rtsmlm.cli.options import Exports, Overrides, SideBySide
from rtsmlm.engines.image_models import check_image_models
from rtsmlm.engines.selection import factory_of
from rtsmlm.files.movies.open import MOVIE_SUFFIXES
from rtsmlm.files.movies.several import expanded
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.state import cut_note
from rtsmlm.offline.reconstruct import Reconstruction
from rtsmlm.settings.load import load
from rtsmlm.settings.names import folder_name_of
from rtsmlm.settings.run import RunSettings


def reconstruct(
    movies: Annotated[
        list[Path],
        typer.Argument(
            metavar="MOVIE...",
            help="TIFF, OME-TIFF, NDTiff, Micro-Manager or Picasso raw, .dax, .SPE, OME-Zarr, "
            "or the folder of a live run. Several are read as one movie, in their order.",
        ),
    ],
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", "-c", help="Run configuration (TOML). May be repeated: later files win."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results.")] = None,
    export: Exports = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse a movie of which anything differs: frames stated and not there, parts "
            "left out, metadata that contradict each other.",
        ),
    ] = False,
    side_by_side: SideBySide = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="[ADDRESS]",
            help="Localize on a cluster: address (tcp://host:8786) or file (.json) of a scheduler, "
            "or how many worker processes to start on this machine (1). Each movie is one of "
            "its own then, and folders may be given.",
        ),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Localize a recorded movie, with the camera's parameters from its metadata where they are."""
    paths = expanded(movies)
    movie = paths[0]
    changed = overrides(set_, None, None, export)
    changed += ["movie.strict=true"] * strict + ["movie.side_by_side=true"] * side_by_side

    def settings_for(path: Path) -> RunSettings:
        settings = load(config or _settings_of_run(path), changed)
        factory_of(settings.localizer.name)  # a misspelling shows before there is a folder
        check_image_models(settings.results)
        return settings

    if cluster is not None:
        reconstruct_on_cluster(paths, cluster, out, settings_for, name_for)
        return
    settings = settings_for(movie)
    if (note := cut_note(movie)) is not None:
        warn(note)
    with Reconstruction(paths, settings, lambda: folder_for(movie, settings, out)) as work:
        log_to(work.folder.log)
        console.print(f"movie    {escape(work.title)}")
        known = list(work.notes)
        for note in known:
            warn(note)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]} localizations"),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            task = progress.add_task("localizing", total=work.n_frames, found=0)

            def show(done: int, found: int) -> None:
                progress.update(task, completed=done, found=found)

            verdict = work.run(show, lambda step: progress.update(task, description=step))
        for note in work.notes[len(known) :]:
            warn(note)
    console.print(f"results  {escape(str(work.folder.path))}")
    console.print(f"[bold green]{escape(verdict)}[/]")


def _settings_of_run(movie: Path) -> Path | None:
    """Return the settings of the live run that made this recording, if one of ours did."""
    for folder in (movie, movie.parent):
        if (folder / "run.toml").is_file() and (folder / "raw.ome.zarr").exists():
            return folder / "run.toml"
    return None


def folder_for(movie: Path, settings: RunSettings, out: Path | None) -> RunFolder:
    """Return the folder of the results, by default called after the movie."""
    if out is not None:
        return RunFolder.create(out.parent, out.name)
    return RunFolder.create_free(settings.results.out, name_for(movie))


def name_for(movie: Path) -> str:
    """Return the name of the folder of the results of a movie."""
    path = movie.resolve()
    stem = (path.name if path.is_dir() and path.suffix != ".zarr" else _stem_of(path)) or "movie"
    if stem == "raw":
        stem = movie.resolve().parent.name + "_reconstructed"
    return folder_name_of(stem)


def _stem_of(path: Path) -> str:
    """Return the name of a movie without the suffixes of its format, stops within it kept."""
    name = path.name
    while (suffix := Path(name).suffix).lower() in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name


_SUFFIXES = {*MOVIE_SUFFIXES, ".ome", ".zarr", ".bin", ".dat"}

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
app.command("reconstruct", cls=ClusterCommand)(reconstruct)
