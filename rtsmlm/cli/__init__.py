"""The command line: live, reconstruct, evaluate, calibrate, train, engine, doctor, devices."""

from __future__ import annotations

import os
import sys

import typer

from rtsmlm import __version__
from rtsmlm.cli.bench import app as bench_app
from rtsmlm.cli.calibrate import app as calibrate_app
from rtsmlm.cli.console import console, fail
from rtsmlm.cli.devices import devices
from rtsmlm.cli.doctor import doctor
from rtsmlm.cli.engine import app as engine_app
from rtsmlm.cli.evaluate import evaluate
from rtsmlm.cli.hil import hil
from rtsmlm.cli.live import live
from rtsmlm.cli.positions import positions
from rtsmlm.cli.reconstruct import reconstruct
from rtsmlm.cli.train import export, train
from rtsmlm.cli.view import view
from rtsmlm.errors import RtsmlmError

app = typer.Typer(
    name="rtsmlm",
    help="Real-time single-molecule localization microscopy: localize while you record.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"rtsmlm {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


app.command()(live)
app.command()(reconstruct)
app.command()(positions)
app.command()(view)
app.command()(evaluate)
app.command()(doctor)
app.command()(devices)
app.command()(hil)
app.add_typer(calibrate_app, name="calibrate")
app.add_typer(bench_app, name="bench")
app.add_typer(engine_app, name="engine")
app.command()(train)
app.command()(export)


def main() -> None:
    """Run the command line; an error on purpose becomes one sentence and exit code 1."""
    try:
        app()
    except RtsmlmError as error:
        fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        fail("stopped by Ctrl-C")
        sys.exit(130)
    except Exception as error:
        # A fault of ours; whoever wants to see where sets RTSMLM_DEBUG.
        if os.environ.get("RTSMLM_DEBUG"):
            raise
        fail(
            f"{type(error).__name__}: {error}. This is a fault of rtsmlm; run again with the "
            "environment variable RTSMLM_DEBUG=1 and report what it prints"
        )
        sys.exit(1)
