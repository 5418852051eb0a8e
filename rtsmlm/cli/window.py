"""The live window as a child process: where it hangs, crashes or is missing, the run goes on.

What is clicked comes back through a private pipe, one line of JSON a command
(`rtsmlm.viewer.commands`); no command is ever taken from the network.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Callable

from rtsmlm.errors import WorkerError
from rtsmlm.realtime.child_process import ChildProcess, module_command

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
    """A window that shows what is published at an address.

    Parameters
    ----------
    address
        Where the run publishes.
    on_line
        Called in a thread with each line of JSON that the window sends.

    Raises
    ------
    WorkerError
        If it cannot be started.
    """

    def __init__(self, address: str, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._child = ChildProcess(
            "window",
            module_command("rtsmlm.viewer", address, "--control"),
            on_line=self._take,
            # Below the run: where cores are short, pictures come less often and frames do not wait.
            low_priority=True,
        )

    @property
    def is_open(self) -> bool:
        """True while the window is there."""
        return self._child.exit_code() is None

    def _take(self, line: str) -> None:
        if line.lstrip().startswith("{"):
            self._on_line(line)
        else:  # a library may print what it likes
            _log.info("the window printed: %s", line)

    def close(self) -> None:
        """Close the window. Safe to call more than once."""
        self._child.terminate()
        try:
            self._child.close(_END_S)
        except WorkerError as error:
            _log.warning("%s", error)
