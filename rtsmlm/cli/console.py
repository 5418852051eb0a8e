"""Terminal output, log and signals of the command line."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rtsmlm.cli.terminal import PrintableConsole
from rtsmlm.errors import sentence
from rtsmlm.realtime.log_format import PrintableFormatter

console = PrintableConsole(highlight=False, soft_wrap=True)
errors = PrintableConsole(stderr=True, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print what the user should know, and go on."""
    errors.print(f"[yellow]note:[/] {escape(sentence(text))}")


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
    return Progress(*columns, console=console, transient=True)


def log_to(path: Path) -> logging.Handler:
    """Write the log of a run into its folder."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
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


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn Ctrl-C, SIGTERM and the closing of the console into a request to leave in order.

    The handler only sets a flag: logging or joining there can deadlock. A second Ctrl-C breaks
    off.
    """
    request = StopRequest()
    names = ["SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"]
    before = {
        number: signal.signal(number, request.handle)
        for name in names
        if (number := getattr(signal, name, None)) is not None
    }
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopRequest:
    """Whether the program was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; the second Ctrl-C raises `KeyboardInterrupt`."""
        if self.event.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        self.event.set()

    @property
    def exit_code(self) -> int:
        """Conventional exit code for a program ended by this signal."""
        return 128 + (self.signal or 0) if sys.platform != "win32" else 130
