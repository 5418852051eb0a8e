"""`rtsmlm bench control`: our control law beside those of other programs, in simulated time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm import __version__
from rtsmlm.bench.control.comparison import LawTable, behind, compare_laws, markdown
from rtsmlm.bench.control.scenarios import LAWS, SCENARIOS
from rtsmlm.cli.bench_speed import make_folders
from rtsmlm.cli.console import console, steps
from rtsmlm.files.run.folder import write_text

SEEDS = 5

PAGE = """
# Control: holding the density

Made by `rtsmlm bench control --seeds {seeds} --out docs/control.md` with rtsmlm {version}: the laws
that decide on the power of the activation laser, all on the same simulated fields.

**Compared** are the laws alone: `rtsmlm.feedback.law.law` with its default settings, and those of
htSMLM, AutoLase and ALICA. No program but ours was run; their laws were written anew after their
source and papers (`rtsmlm.bench.control.peer_laws`), keep their published defaults, and get the
signal that they would get from their own detection.

**The plant** is a field of blinking emitters whose kinetics are exact
(`rtsmlm.physics.photophysics`). No frame is drawn: an emitter that shines is found with a
probability that falls with the density, so that the count first saturates and then falls. What
camera, localizer and a real laser add is measured by `rtsmlm hil`, not here.

## Figures

{table}
"Count inverted" is a field on which ten times too many emitters look like too few, so that a law
that trusts the count asks for more light. Ours has the crowding alarm beside the count, which is a
model here, too: how well it works on frames is not part of this. Bias and standard deviation are
those of emitters that shine, from 20 s until the power reaches its cap. The hyperbola is the power
that theory asks for while the pool shrinks.

## What rtsmlm is worse at

Another law has the better median (in brackets the worst seed) in

{behind}
It is slower on purpose. It measures with test pulses before it jumps, then decides once a second on
the mean of what it saw, and lets the power rise by 22 % a second at most (`feedback.max_rise`):
light that was too much cannot be taken back from a sample. htSMLM decides ten times a second on
single pairs of frames; it is there first, its power is more restless, and it does not always stay.

What these figures cannot tell: the plant and all four laws were written by the same people, and
ours was tuned on plants of this kind. A person who knows one of the others could tune it to do
better.
"""


def control(
    seeds: Annotated[int, typer.Option(min=1, help="How many fields every law is put on.")] = SEEDS,
    out: Annotated[Path | None, typer.Option(help="Write the page there; else print it.")] = None,
) -> None:
    """Compare our control law with those of htSMLM, AutoLase and ALICA, in simulated time."""
    make_folders(out)
    with steps() as progress:
        task = progress.add_task("", total=len(LAWS) * seeds * len(SCENARIOS))

        def on_run(what: str) -> None:
            progress.update(task, advance=1, description=escape(what))

        table = compare_laws(range(seeds), on_run=on_run)
    text = page(table)
    if out is None:
        console.print(text, markup=False)
        return
    write_text(out, text)
    console.print(f"page     {escape(str(out))}")


def page(table: LawTable) -> str:
    """Return the page with its introduction, as Markdown."""
    return PAGE.lstrip().format(
        seeds=len(table.seeds),
        version=__version__,
        table=markdown(table),
        behind="".join(behind(table)) or "nothing.\n",
    )
