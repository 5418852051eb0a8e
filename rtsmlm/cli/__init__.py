"""The command line: one file per command, which is imported when the command is run."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import NoReturn

import typer

from rtsmlm import __version__
from rtsmlm.cli.lazy_commands import lazy_group
from rtsmlm.errors import RtsmlmError

COMMANDS = {
    "live": ("rtsmlm.cli.live:live", "Localize while the microscope records."),
    "init": (
        "rtsmlm.cli.init:init",
        "Ask at most ten questions about a microscope, and write the settings that `live` takes.",
    ),
    "reconstruct": (
        "rtsmlm.cli.reconstruct:app",
        "Localize a recorded movie, with the camera's parameters from its metadata where they are.",
    ),
    "follow": (
        "rtsmlm.cli.follow:follow",
        "Localize a recording while another program, such as Micro-Manager, writes it.",
    ),
    "recover": (
        "rtsmlm.cli.recover:recover",
        "Make table, ledger, image and report of what is left of a run that was cut.",
    ),
    "convert": (
        "rtsmlm.cli.convert:convert",
        "Write a table of localizations in the formats of other programs.",
    ),
    "report": (
        "rtsmlm.cli.report:report",
        "Write report.html of a run again, from whatever its folder holds.",
    ),
    "layers": (
        "rtsmlm.cli.layers:layers",
        "Make the image layers of a run that has ended, of its table and its recorded frames.",
    ),
    "drift": (
        "rtsmlm.cli.drift:drift",
        "Take the drift off the localizations of a run or a table, and write it to `drift.csv`.",
    ),
    "link": (
        "rtsmlm.cli.link:link",
        "Make one row of the rows of an emitter in successive frames, in a table beside the first.",
    ),
    "positions": (
        "rtsmlm.cli.positions:positions",
        "Run every position of a sequence until its stop criterion, then go on to the next.",
    ),
    "view": ("rtsmlm.cli.view:view", "Open the live window on a run; view only."),
    "mcp": (
        "rtsmlm.cli.mcp:mcp",
        "Answer programs that speak MCP about a run: status, density, image, documents; read-only.",
    ),
    "lasers-off": (
        "rtsmlm.cli.lasers_off:switch_off",
        "Switch off the lasers of all armed runs that you have started on this machine.",
    ),
    "keys": (
        "rtsmlm.cli.keys:keys",
        "Make the keys for runs that are viewed from another machine.",
    ),
    "evaluate": (
        "rtsmlm.cli.evaluate:evaluate",
        "Score localizations against a ground truth, after the SMLM-2016 protocol.",
    ),
    "doctor": (
        "rtsmlm.cli.doctor:doctor",
        "Check the installation: versions, devices, engines, disk speed, what is missing.",
    ),
    "devices": (
        "rtsmlm.cli.devices:devices",
        "List devices, find the lasers, and print their sections for the settings.",
    ),
    "microscopes": (
        "rtsmlm.cli.microscopes:microscopes",
        "List the cameras of the microscope database, or what it knows of a file's microscope.",
    ),
    "hil": (
        "rtsmlm.cli.hil:hil",
        "Rehearse a rig: check camera and lasers, provoke every fault, close the loop.",
    ),
    "models": (
        "rtsmlm.cli.models:models",
        "List the models there are: task, PSF, size, speed on this machine, accuracy, origin.",
    ),
    "train": (
        "rtsmlm.cli.train:train",
        "Train a network on simulated frames; Ctrl-C saves, `--resume` goes on another day.",
    ),
    "export": (
        "rtsmlm.cli.train:export",
        "Write a model folder from a checkpoint: weights, ONNX and manifest.",
    ),
    "calibrate": (
        "rtsmlm.cli.calibrate:app",
        "Measure the camera (dark and light movies), the PSF or the channels (beads).",
    ),
    "bench": (
        "rtsmlm.cli.bench:app",
        "Measure the speed of localizers through ring and analysis process; or their accuracy.",
    ),
    "engine": ("rtsmlm.cli.engine:app", "Engines for NVIDIA GPUs: build, list, clear."),
}
"""By name: where the command is, and the sentence that lists it (the first of its own help)."""

app = typer.Typer(
    name="rtsmlm",
    cls=lazy_group(COMMANDS),
    help="Real-time single-molecule localization microscopy: localize while you record.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rtsmlm {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line, and end also where what is printed is not read."""
    try:
        _run()
    except SystemExit as end:
        if _output_is_frozen():
            # Other packages write to the terminal once more when Python ends, and would wait.
            os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise


def _output_is_frozen() -> bool:
    # Where nothing was printed it is not loaded, and nothing waits.
    module = sys.modules.get("rtsmlm.cli.detached_output")
    return module is not None and bool(module.is_output_frozen())


def _run() -> None:
    """Run the command; an error on purpose becomes one sentence and exit code 1."""
    try:
        app()
    except RtsmlmError as error:
        _fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        _fail("stopped by Ctrl-C")
        sys.exit(130)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            _fail_of_ours(error)
        name = max(Path(str(error.filename)).parts, key=len, default="")
        _fail(
            f"the name {name[:20]}... has {len(name)} characters, and file systems take 255 bytes; "
            "give a shorter one"
        )
        sys.exit(1)
    except Exception as error:
        _fail_of_ours(error)


def _fail_of_ours(error: Exception) -> NoReturn:
    """Report a fault of rtsmlm, and exit; RTSMLM_DEBUG shows where it is."""
    if os.environ.get("RTSMLM_DEBUG"):
        raise error
    _fail(
        f"{type(error).__name__}: {error}. This is a fault of rtsmlm; run again with the "
        "environment variable RTSMLM_DEBUG=1 and report what it prints"
    )
    sys.exit(1)


def _fail(text: str) -> None:
    # Not with the module: `--version` is there before the tables and colours of rich are.
    from rtsmlm.cli.console import fail

    fail(text)
