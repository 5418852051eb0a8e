"""Terminal output and log of the command line."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rtsmlm.cli.detached_output import detached
from rtsmlm.cli.terminal import PrintableConsole
from rtsmlm.errors import sentence
from rtsmlm.realtime.log_format import PrintableFormatter

console = PrintableConsole(file=detached("stdout"), highlight=False, soft_wrap=True)
errors = PrintableConsole(file=detached("stderr"), highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print what the user should know, and go on."""
    errors.print(f"[yellow]note:[/] {escape(sentence(text))}")


def inform(text: str) -> None:
    """Print what went as it was wanted."""
    errors.print(escape(sentence(text)))


def fail(text: str) -> None:
    """Say why a run failed."""
    errors.print(f"[bold red]error:[/] {escape(sentence(text))}")


def steps() -> Progress:
    """Return a progress bar that counts steps and names the latest; it leaves nothing behind."""
    columns = (
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    # numba would keep what takes the place of sys.stdout until the end, when it is closed.
    return Progress(*columns, console=console, transient=True, redirect_stdout=False)


class RunLog(logging.FileHandler):
    """The log of a run; what a full disk does not take of it is left out without a word.

    Warnings and failures are in the terminal and in the report as well.
    """

    def handleError(self, record: logging.LogRecord) -> None:
        """Report a fault of the program as usual, and nothing where the disk refused."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file, also where the disk does not take its end."""
        with contextlib.suppress(OSError):
            super().close()


def log_to(path: Path) -> logging.Handler:
    """Write the log of a run into its folder."""
    handler = RunLog(path, encoding="utf-8", delay=True)
    handler.setFormatter(
        PrintableFormatter("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    )
    logger = logging.getLogger("rtsmlm")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler


def stop_log(handler: logging.Handler) -> None:
    """Close the log of a run."""
    logging.getLogger("rtsmlm").removeHandler(handler)
    handler.close()
