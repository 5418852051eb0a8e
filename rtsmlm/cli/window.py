"""The live window as a child process: its stall, crash or absence never touches the run.

What is clicked comes back through a private pipe; no command is ever taken from the network.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from rtsmlm.realtime.worker import Worker

_END_S = 5.0

_log = logging.getLogger(__name__)

Act = Callable[[Mapping[str, Any]], None]


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
    acts
        What to do at once on a command, by its name; called in a thread. Any other command waits
        in `next_command`.
    """

    def __init__(self, address: str, acts: Mapping[str, Act]) -> None:
        self._acts = acts
        self.ready = threading.Event()
        """Set once the window is drawn and has nothing left to compile."""
        self._commands: queue.Queue[Mapping[str, Any]] = queue.Queue(maxsize=16)
        # Below the run: where cores are short, pictures come less often and frames do not wait.
        flags: int = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)  # Windows only
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rtsmlm.viewer", address, "--control"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",  # a library may print whatever it likes; it must not end the listener
            creationflags=flags,
        )
        self._listener = Worker("window", self._listen)
        self._listener.start()

    @property
    def is_open(self) -> bool:
        """True while the window is there."""
        return self._process.poll() is None

    def next_command(self, timeout_s: float) -> Mapping[str, Any] | None:
        """Return a command that nobody has acted on yet, None if none comes."""
        try:
            return self._commands.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _listen(self, stop: threading.Event) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            try:
                command = json.loads(line)
                name = str(command["do"])
            except (ValueError, TypeError, KeyError):
                _log.info("the window said: %s", line.rstrip())
                continue
            if name == "ready":
                self.ready.set()
            act = self._acts.get(name)
            if act is None:
                with suppress(queue.Full):
                    self._commands.put_nowait(command)
                continue
            try:
                act(command)
            except Exception:  # a click must not end the thread that hears the next one
                _log.exception("the command %r of the window failed", name)

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
