"""`rtsmlm reconstruct --cluster`: many movies, or a long one in blocks, on many machines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from typer.core import TyperCommand

from rtsmlm.cli.console import console, fail, warn
from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.movies.open import find_movies
from rtsmlm.settings.run import RunSettings

_ADDRESS = re.compile(r".+://.+|[\w.-]+:\d+|\d+|.+\.json")


class ClusterCommand(TyperCommand):
    """A command whose `--cluster` may stand without an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write `--cluster` out where what follows it is no address."""
        written: list[str] = []
        for k, text in enumerate(args):
            following = args[k + 1] if k + 1 < len(args) else ""
            if text == "--cluster" and not _is_address(following):
                text = "--cluster=1"
            written.append(text)
        return super().parse_args(ctx, written)


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.fullmatch(text)) and (text.endswith(".json") or not Path(text).exists())


def reconstruct_on_cluster(
    paths: Sequence[Path],
    address: str,
    out: Path | None,
    settings_for: Callable[[Path], RunSettings],
    name_for: Callable[[Path], str],
) -> None:
    """Localize movies on a cluster, and list at the end what became of them.

    Parameters
    ----------
    paths
        Movies, and folders in which they are.
    address
        As `open_cluster` takes it.
    out
        Folder of the results of one movie, or the one in which those of several get theirs.
    settings_for, name_for
        Return the settings for a movie, and the name of the folder of its results.

    Raises
    ------
    typer.Exit
        With code 1 if a movie could not be localized.
    """
    # Not with this module: dask takes half a second, and all else does without it.
    from rtsmlm.offline.cluster import ClusterRun, MovieOnCluster, open_cluster
    from rtsmlm.offline.cluster_tasks import MovieJob

    movies: list[MovieOnCluster] = []
    refused: list[str] = []
    groups = _groups(paths, settings_for)
    for group in groups:
        try:
            settings = settings_for(group[0])
        except RtsmlmError as error:
            if len(groups) == 1:
                raise
            refused.append(f"{group[0]}: {error}")
            continue
        job = MovieJob(tuple(path.absolute() for path in group), settings)
        alone = len(groups) == 1 and out is not None
        parent, name = settings.results.out, name_for(group[0])
        if out is not None:
            parent, name = (out.parent, out.name) if alone else (out, name)
        movies.append(MovieOnCluster(job, parent.absolute(), name, exactly=alone))
    with open_cluster(address) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        threads = sum(worker["nthreads"] for worker in workers.values())
        console.print(f"cluster  {len(workers)} workers with {threads} threads")
        if not workers:
            warn(f"no worker has joined the scheduler at {address} yet; the movies wait for one")
        with Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]} localizations"),
            TimeRemainingColumn(),
            console=console,
            redirect_stdout=False,
        ) as bar:
            task = bar.add_task("localizing", total=None, found=0)

            def show(progress: Any) -> None:
                bar.update(
                    task,
                    description=f"{progress.movies_done} of {progress.movies} movies, frames",
                    completed=progress.frames_done,
                    total=progress.frames or None,
                    found=progress.rows,
                )

            run = ClusterRun(client, movies, show, _report)
            begun = time.perf_counter()
            try:
                run.run()
            except KeyboardInterrupt:
                bar.stop()
                warn(
                    f"{run.progress.frames_done} of {run.progress.frames} frames are done and "
                    "kept: give the same command again to go on"
                )
                raise
        done, wall_s = run.progress, time.perf_counter() - begun
        console.print(
            f"work     planning {done.plan_s:.1f} s, blocks {done.block_s:.1f} s, finishing "
            f"{done.finish_s:.1f} s, all within {wall_s:.1f} s"
        )
    _conclude(movies, refused)


def _groups(
    paths: Sequence[Path], settings_for: Callable[[Path], RunSettings]
) -> list[tuple[Path, ...]]:
    """Return the files of each movie: those side by side belong to one, all others are one each."""
    if settings_for(paths[0]).movie.side_by_side:
        return [tuple(paths)]
    found: list[tuple[Path, ...]] = []
    for path in paths:
        inside = find_movies(path)
        if not inside:
            raise FileFormatError(f"{path} holds no movie, nor does a folder in it")
        found += ((movie,) for movie in inside)
    return list(dict.fromkeys(found))


def _report(movie: Any) -> None:
    """Print what has become of one movie."""
    if movie.error:
        fail(movie.failure)
        return
    for note in movie.notes:
        warn(f"{movie.label}: {note}")
    folder = movie.place.folder.path
    console.print(f"{escape(str(folder))}: {escape(movie.verdict)}")


def _conclude(movies: Sequence[Any], refused: Sequence[str]) -> None:
    """Say how many movies are done, and list those that are not."""
    failed = [*(movie.failure for movie in movies if movie.error), *refused]
    n_all = len(movies) + len(refused)
    colour = "red" if failed else "green"
    console.print(f"[bold {colour}]{n_all - len(failed)} of {n_all} movies are localized[/]")
    if failed:
        fail(f"{len(failed)} of {n_all} movies could not be localized:")
        for text in failed:
            fail(text)
        raise typer.Exit(1)
