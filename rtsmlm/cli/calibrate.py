"""`rtsmlm calibrate`: camera maps from dark and light movies, the PSF from beads."""

from __future__ import annotations

import typer

from rtsmlm.cli.calibrate_camera import camera
from rtsmlm.cli.calibrate_psf import psf

app = typer.Typer(
    name="calibrate",
    help="Measure the camera (dark and light movies) or the PSF (beads).",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.command()(camera)
app.command()(psf)
