"""`rtsmlm bench` measures speed, its sub-commands accuracy, control and the live image."""

from __future__ import annotations

import typer

from rtsmlm.cli.bench_speed import speed
from rtsmlm.cli.lazy_commands import lazy_group

COMMANDS = {
    "control": (
        "rtsmlm.cli.bench_control:control",
        "Compare our control law with those of htSMLM, AutoLase and ALICA, in simulated time.",
    ),
    "render": (
        "rtsmlm.cli.bench_render:render",
        "Measure first image, increment and redraw of the live image, in each way of drawing.",
    ),
    "live": (
        "rtsmlm.cli.bench_live:live",
        "Run live without a window, with camera or frames from memory, with and without raw file.",
    ),
    "window": (
        "rtsmlm.cli.bench_window:window",
        "Run headless and with the window in turn, and compare latency, frames and event loop.",
    ),
    "accuracy": (
        "rtsmlm.cli.bench_accuracy:accuracy",
        "Compare localizers with the physical limit, with each other and with the bars we set.",
    ),
    "channels": (
        "rtsmlm.cli.bench_channels:channels",
        "Measure precision and crosstalk of AF647 and CF680 in two views, and frames per second.",
    ),
    "models": (
        "rtsmlm.cli.bench_models:models",
        "Measure networks of every kind on common ground, with the fits beside them.",
    ),
}

app = typer.Typer(cls=lazy_group(COMMANDS), add_completion=False, rich_markup_mode="markdown")
app.callback(invoke_without_command=True)(speed)
