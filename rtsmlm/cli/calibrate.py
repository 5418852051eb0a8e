"""`rtsmlm calibrate`: camera maps from dark and light movies, PSF and channels from beads."""

from __future__ import annotations

import typer

from rtsmlm.cli.lazy_commands import lazy_group

COMMANDS = {
    "camera": (
        "rtsmlm.cli.calibrate_camera:camera",
        "Measure offset, read noise and gain of every pixel from movies in the dark and in light.",
    ),
    "psf": (
        "rtsmlm.cli.calibrate_psf:psf",
        "Measure on beads the PSF width, the astigmatic curves that give z, or the whole PSF.",
    ),
    "channels": (
        "rtsmlm.cli.calibrate_channels:channels",
        "Measure on beads how the views of a frame lie on each other.",
    ),
    "dyes": (
        "rtsmlm.cli.calibrate_dyes:dyes",
        "Measure the share of the light of each dye in each view, and the crosstalk.",
    ),
}

app = typer.Typer(
    name="calibrate",
    cls=lazy_group(COMMANDS),
    help="Measure the camera (dark and light movies), the PSF or the channels (beads).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


@app.callback()
def _root() -> None:
    pass
