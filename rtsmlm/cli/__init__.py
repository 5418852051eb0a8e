"""The command line: `rtsmlm live | reconstruct | evaluate | doctor`."""

from __future__ import annotations

import sys

import typer

from rtsmlm import __version__
from rtsmlm.cli.console import console, errors
from rtsmlm.cli.doctor import doctor
from rtsmlm.cli.evaluate import evaluate
from rtsmlm.cli.live import live
from rtsmlm.cli.reconstruct import reconstruct
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
app.command()(evaluate)
app.command()(doctor)


def main() -> None:
    """Run the command line; an error on purpose becomes one sentence and exit code 1."""
    try:
        app()
    except RtsmlmError as error:
        errors.print(f"[bold red]error:[/] {_plain(str(error))}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("stopped by Ctrl-C", highlight=False)
        sys.exit(130)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
