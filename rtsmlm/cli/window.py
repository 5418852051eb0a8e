"""The live window as a child process: its stall, crash or absence never touches the run.

What is clicked comes back through a private pipe, one line of JSON a command
(`rtsmlm.viewer.commands`); no command is ever taken from the network.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from rtsmlm.realtime.worker import Worker

_END_S = 5.0

_log = logging.getLogger(__name__)


def why_no_window() -> str | None:
    """Return why no window can be shown here; None if one can."""
    if importlib.util.find_spec("pyqtgraph") is None or not any(
        importlib.util.find_spec(name) for name in ("PySide6", "PyQt6")
    ):
        return "pyqtgraph and PySide6 are not installed"
    if sys.platform.startswith("linux") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        return "there is no screen"
    return None


class Window:
    """Open a window that listens to an address.

    Parameters
    ----------
    address
        Where the run publishes.
    on_line
        Called in a thread with each line of JSON that the window sends.
    """

    def __init__(self, address: str, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        # Below the run: where cores are short, pictures come less often and frames do not wait.
        flags: int = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)  # Windows only
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rtsmlm.viewer", address, "--control"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",  # what a library prints must not end the listener
            creationflags=flags,
        )
        self._listener = Worker("window", self._listen)
        self._listener.start()

    @property
    def is_open(self) -> bool:
        """True while the window is there."""
        return self._process.poll() is None

    def _listen(self, stop: threading.Event) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            if line.lstrip().startswith("{"):
                self._on_line(line)
            else:  # a library may print what it likes
                _log.info("the window printed: %s", line.rstrip())

    def close(self) -> None:
        """Close the window. Safe to call more than once."""
        if self._process.poll() is None:
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(_END_S)
        self._listener.join(_END_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
