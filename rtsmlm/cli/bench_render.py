"""`rtsmlm bench render`: how fast the live image is, with millions of localizations in it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rtsmlm import __version__
from rtsmlm.bench.peers.peers import start_peer
from rtsmlm.bench.speed.rendering import (
    N_LOCALIZATIONS,
    N_NEW,
    SCREEN,
    RenderTimes,
    filaments,
    measure_render,
    smappy_first_image_ms,
)
from rtsmlm.cli.bench_speed import make_folders
from rtsmlm.cli.console import console, steps, warn
from rtsmlm.cli.options import JsonPath, SmappyPython
from rtsmlm.errors import ConfigError, LocalizerError, number_text
from rtsmlm.files.run.folder import machine, write_text
from rtsmlm.localizations import Localizations
from rtsmlm.render import Style
from rtsmlm.render.splat import MODES

TARGETS_MS = {
    "first_ms": 150.0,
    "increment_ms": 16.0,
    "redraw_ms": 16.0,
    "slowest_redraw_ms": 33.3,
}
"""No wait that is felt, new localizations 20 times a second, and pictures 60 times a second, of
which one may come a picture late."""
STEPS = {
    "first_ms": "first image",
    "increment_ms": f"{N_NEW // 1000}k more",
    "redraw_ms": "redraw",
    "slowest_redraw_ms": "slowest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Smappy:
    """What was found out about smappy's renderer, if it was asked."""

    version: str = ""
    first_ms: dict[str, float] = field(default_factory=dict)
    """By mode."""
    note: str = ""
    """Why it is left out."""


def render(
    n: Annotated[int, typer.Option(min=1, help="How many localizations.")] = N_LOCALIZATIONS,
    peers: Annotated[bool, typer.Option(help="Measure smappy, too.")] = False,
    smappy_python: SmappyPython = None,
    json_path: JsonPath = None,
) -> None:
    """Measure first image, increment and redraw of the live image, in each way of drawing."""
    make_folders(json_path)
    smappy = Smappy()
    with steps() as progress:
        task = progress.add_task("drawing the localizations", total=len(MODES) + peers)
        table = filaments(n)
        times: list[RenderTimes] = []
        for mode in MODES:
            progress.update(task, description=mode)
            times.append(measure_render(table, Style(mode=mode)))
            progress.advance(task)
        if peers:
            progress.update(task, description="smappy")
            smappy = _smappy(smappy_python, table)
    console.print(_table(times, smappy))
    if smappy.note:
        warn(smappy.note)
    if json_path is not None:
        figures = _figures(times, smappy)
        write_text(json_path, json.dumps(figures, indent=1, allow_nan=False) + "\n")
        console.print(f"figures  {escape(str(json_path))}")


def _smappy(python: Path | None, table: Localizations) -> Smappy:
    """Return what smappy needs; where it is missing or fails, only a note."""
    try:
        # Whether it is there is found out as by the other benchmarks.
        with start_peer("smappy", python) as peer:
            version = peer.version
        first_ms = smappy_first_image_ms(python or Path(sys.executable), table)
    except (ConfigError, LocalizerError) as error:
        return Smappy(note=str(error))
    return Smappy(version=version, first_ms=first_ms)


def _figures(times: list[RenderTimes], smappy: Smappy) -> dict[str, object]:
    return {
        "version": __version__,
        "machine": machine(),
        "peer": smappy.version,
        "targets_ms": TARGETS_MS,
        "screen_px": list(SCREEN),
        "modes": [asdict(measured) for measured in times],
        "smappy_first_image_ms": smappy.first_ms,
        "note": smappy.note,
    }


def _table(times: list[RenderTimes], smappy: Smappy) -> Table:
    height, width = SCREEN
    table = Table(
        title=f"{times[0].n_localizations:,} localizations on {width} x {height} pixels, in ms",
        caption="Medians; loading is once. While zooming, a picture is as fine as it can be at "
        "once, or finer tiles follow. A peer is timed for the first image.",
    )
    peer = [smappy.version] if smappy.first_ms else []
    for heading in ("mode", "load", *STEPS.values(), "at once", *peer):
        table.add_column(heading, overflow="fold", no_wrap=heading == "mode")
    for measured in times:
        judged = [_judged(getattr(measured, step), TARGETS_MS[step]) for step in STEPS]
        cells = [
            measured.mode,
            f"{measured.load_ms:.0f}",
            *judged,
            f"{measured.complete_share:.0%}",
        ]
        if peer:
            theirs = smappy.first_ms.get(measured.mode)
            cells.append("-" if theirs is None else f"{theirs:.0f}")
        table.add_row(*cells)
    table.add_row("target", "", *(f"{TARGETS_MS[step]:g}" for step in STEPS), style="dim")
    return table


def _judged(ms: float, target_ms: float) -> str:
    return f"[{'green' if ms <= target_ms else 'red'}]{number_text(ms)}[/]"
