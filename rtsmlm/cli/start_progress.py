"""What is loaded and compiled before the camera starts: a bar, or one line for each step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import Progress, TaskID

from rtsmlm.cli.console import console, steps
from rtsmlm.cli.run_output import report_step
from rtsmlm.pipeline.start_events import Preparing
from rtsmlm.realtime.compiling import on_compiling
from rtsmlm.viewer.owner_notice import OwnerNotice

COMPILING = OwnerNotice("compiling, once for this version; then the camera starts")
"""What the window is told on the very first run."""


class StartProgress:
    """Shows the steps of a start until it is closed; called from any thread.

    In a terminal it is a bar that leaves nothing behind; elsewhere each step is one line.

    Parameters
    ----------
    on_compiling
        Called once, when the first function is compiled: all of them take up to a minute.
    """

    def __init__(self, on_compiling: Callable[[], None] = lambda: None) -> None:
        self._on_compiling = on_compiling
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._printed, self._is_closed, self._compiles = "", False, False

    def show(self, step: Preparing) -> None:
        """Show a step of the analysis."""
        with self._lock:
            if self._is_closed:
                return
            if step.function and not self._compiles:
                self._compiles = True
                self._on_compiling()
            if console.is_terminal:
                self._draw(step)
            elif step.step != self._printed:
                self._printed = step.step
                report_step(f"  {step.step}")

    def _draw(self, step: Preparing) -> None:
        if self._bar is None:
            self._bar = steps()
            self._bar.start()
        if self._task is None:
            self._task = self._bar.add_task("", total=step.total)
        text = f"{step.step}: compiling {step.function}" if step.function else step.step
        self._bar.update(
            self._task, completed=step.done, total=step.total, description=escape(text)
        )

    @contextmanager
    def opening(self, step: str) -> Iterator[None]:
        """Show what this program compiles itself while it opens something."""
        with on_compiling(lambda function: self.show(Preparing(step, 0, 1, function))):
            yield

    def close(self) -> None:
        """Take the bar away; what comes later is not shown. Safe to call more than once."""
        with self._lock:
            self._is_closed = True
            if self._bar is not None:
                self._bar.stop()
                self._bar = None
