"""`rtsmlm bench live`: what simulator and recorder cost beside the localizer; one core and all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rtsmlm.bench.speed import live_page
from rtsmlm.bench.speed.live import LiveRun, TakenFrames, live_run, localizer_cost, take_frames
from rtsmlm.bench.speed.measure import check_frames
from rtsmlm.bench.speed.ways import on_one_localizer
from rtsmlm.cli.bench_speed import facts_of, make_folders, rich_table
from rtsmlm.cli.bench_speed_steps import Watched
from rtsmlm.cli.console import console, warn
from rtsmlm.cli.live import check_seconds
from rtsmlm.cli.options import JsonPath, Markdown, Overrides
from rtsmlm.errors import ConfigError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.run.folder import machine, versions, write_text
from rtsmlm.realtime.cores import can_bind, usable_cores
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings


def live(
    config: Annotated[
        Path | None,
        typer.Argument(help="Run configuration (TOML); none takes the packaged demo."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of each run at the camera's rate.")] = 15.0,
    frames: Annotated[int, typer.Option(help="Frames of each run without a rate.")] = 2000,
    set_: Overrides = None,
    markdown: Markdown = None,
    json_path: JsonPath = None,
) -> None:
    """Run live without a window, with camera or frames from memory, with and without raw file.

    Then as fast as it goes, with one core and with all. Nothing else should run on the machine.
    """
    check_seconds(seconds)
    check_frames(frames)
    settings = load([config or Path("demo.toml")], set_ or [])
    if (sigma_nm := settings.psf.known_sigma_nm) is None:
        raise ConfigError(
            "the runs are compared with one PSF width: set psf.sigma_nm, as --set psf.sigma_nm=130"
        )
    make_folders(markdown, json_path)
    columns = (BarColumn(bar_width=20), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        watched = Watched(progress)
        with watched.step("taking frames into memory") as on_frames:
            taken = take_frames(settings, frames, on_frames)
        calibration = resolve_calibration(settings.camera, taken.stated)
        settings = on_one_localizer(settings, calibration, sigma_nm)
        paced = _paced_runs(settings, taken, seconds, watched)
        backlog = _backlog_runs(settings, taken, frames, watched)
        with watched.step("the localizer alone"):
            alone_ms, name = localizer_cost(settings, taken, sigma_nm)
    tables = [
        live_page.paced_table(paced),
        live_page.cost_table(paced),
        live_page.backlog_table(backlog, alone_ms),
    ]
    for table in tables:
        console.print(rich_table(table))
    for note in watched.notes:
        warn(note)
    if markdown is not None:
        height, width = taken.pixels.shape[1:]
        facts = {
            **facts_of(_command(config, seconds, frames, set_)),
            "localizer": name,
            "size": f"{width} x {height}",
            "camera": f"the camera of {(config or Path('demo.toml')).name}",
        }
        write_text(markdown, live_page.live_page(tables, facts, watched.notes))
        console.print(f"page     {escape(str(markdown))}")
    if json_path is not None:
        data = {
            "localizer": name,
            "paced": [run.as_json() for run in paced],
            "backlog": [run.as_json() for run in backlog],
            "localizer_alone_ms": alone_ms,
            "machine": machine(),
            "versions": versions(),
        }
        write_text(json_path, json.dumps(data, indent=1, allow_nan=False) + "\n")
        console.print(f"figures  {escape(str(json_path))}")


def _paced_runs(
    settings: RunSettings, taken: TakenFrames, seconds: float, watched: Watched
) -> list[LiveRun]:
    """Run at the rate of the camera, in each combination of what makes frames and raw file."""
    n_frames = max(1, round(seconds * taken.frames_per_s))
    check_frames(n_frames)
    runs = []
    for source in ("memory", "camera"):
        for raw in (False, True):
            what = f"frames from {source}, {'with' if raw else 'without'} a raw file"
            with watched.step(what) as on_frames:
                runs.append(live_run(settings, taken, n_frames, on_frames, source=source, raw=raw))
    return runs


def _backlog_runs(
    settings: RunSettings, taken: TakenFrames, n_frames: int, watched: Watched
) -> list[LiveRun]:
    """Run as fast as it goes: on one core where this system can bind to one, and on all."""
    kinds = [(False, False), (False, True)]
    if usable_cores() > 1 and can_bind():
        kinds.insert(0, (True, False))
    else:
        watched.notes.append(
            "one core is not compared with all: there is but one, or this system does not bind "
            "programs to cores"
        )
    fastest: dict[tuple[bool, bool], LiveRun] = {}
    for one_core, raw in [*kinds, *kinds]:
        cores = "one core" if one_core else "all cores"
        what = f"as fast as it goes, {cores}, {'with' if raw else 'without'} a raw file"
        with watched.step(what) as on_frames:
            run = live_run(
                settings, taken, n_frames, on_frames, raw=raw, paced=False, one_core=one_core
            )
        before = fastest.setdefault((one_core, raw), run)
        if run.frames_per_s > before.frames_per_s:
            fastest[one_core, raw] = run
    return list(fastest.values())


def _command(config: Path | None, seconds: float, frames: int, set_: list[str] | None) -> str:
    options = [str(config)] if config is not None else []
    options += [f"--seconds {seconds:g} --frames {frames}"]
    options += [f"--set {text}" for text in set_ or []]
    return "rtsmlm bench live " + " ".join(options)
