"""`rtsmlm bench accuracy`: the table of docs/accuracy.md, measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from rtsmlm import __version__
from rtsmlm.analysis.accuracy import MakeLocalizer, Row, measure
from rtsmlm.calibration import CameraCalibration
from rtsmlm.cli.console import console
from rtsmlm.config import load
from rtsmlm.files.run_folder import machine, write_text
from rtsmlm.prepare import open_localizer
from rtsmlm.protocols import Localizer

app = typer.Typer(help="Measure: how accurate the localizers are.", no_args_is_help=True)

_INTRODUCTION = """# Accuracy

Measured by `rtsmlm bench accuracy --markdown docs/accuracy.md` (rtsmlm {version}, {processor}).
Simulated frames of independent emitters, drawn by a generator that shares no code with the one
that networks are trained on; no localizer sees neighbouring frames. Bold figures miss the bar.

A network is followed by a maximum likelihood fit of lone emitters where it has found them
(`localizer.refine`): the rows of isolated emitters are those of the fit, and rest on the PSF being
the Gaussian that these frames are drawn with. What data that others have made say is told in
[accuracy on reference data](accuracy-reference-data.md).

"""


@app.callback()
def _bench() -> None:
    """Keep `accuracy` a command of its own."""


@app.command()
def accuracy(
    localizer: Annotated[
        list[str] | None, typer.Option(help="Localizer by name; may be repeated.")
    ] = None,
    frames: Annotated[int, typer.Option(min=2, help="Frames per condition.")] = 12,
    markdown: Annotated[Path | None, typer.Option(help="Write the table there, too.")] = None,
) -> None:
    """Compare localizers with the physical limit and with the bars that we set ourselves."""
    names = localizer or ["gaussian-mle", "flagship-2d"]
    results: dict[str, list[Row]] = {}
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        for name in names:
            task = progress.add_task(name, total=None)
            results[name] = []
            for row in measure(_maker(name), n_frames=frames):
                results[name].append(row)
                progress.update(task, description=f"{name}: {row.test}, {row.condition}")
    console.print(_table(results))
    if markdown is not None:
        about = _INTRODUCTION.format(version=__version__, processor=machine()["processor"])
        write_text(markdown, about + _markdown(results))
        console.print(f"table    {escape(str(markdown))}")


def _maker(name: str) -> MakeLocalizer:
    settings = load(None, [f"localizer.name={name}"])

    def make(calibration: CameraCalibration, sigma_nm: float) -> Localizer:
        return open_localizer(settings, calibration, sigma_nm)

    return make


def _table(results: dict[str, list[Row]]) -> Table:
    table = Table(title="Accuracy")
    for heading in ("test", "condition", "bar", *results):
        table.add_column(heading)
    for rows in zip(*results.values(), strict=True):
        cells = (f"[{'green' if r.met else 'red'}]{r.value:.3g}[/]" for r in rows)
        table.add_row(rows[0].test, rows[0].condition, rows[0].bar, *cells)
    return table


def _markdown(results: dict[str, list[Row]]) -> str:
    lines = [
        "| test | condition | bar | " + " | ".join(results) + " |",
        "|---" * (3 + len(results)) + "|",
    ]
    for rows in zip(*results.values(), strict=True):
        cells = (f"{r.value:.3g}" if r.met else f"**{r.value:.3g}**" for r in rows)
        lines.append(
            f"| {rows[0].test} | {rows[0].condition} | {rows[0].bar} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines) + "\n"
