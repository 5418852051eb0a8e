"""PipeControl: clicks go to the program that started this one, one JSON object per line."""

from __future__ import annotations

import json
import threading
from typing import Any, TextIO

from rtsmlm.viewer.news import Command

GONE = "the program that started this window is gone; it only looks on now"


class PipeControl:
    """What a person asks for, on standard output; the parent's end shows on standard input.

    Parameters
    ----------
    out
        Where the lines go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._is_gone = threading.Event()

    @property
    def is_gone(self) -> bool:
        """True once nobody listens any more."""
        return self._is_gone.is_set()

    def ask(self, command: Command, **values: Any) -> None:
        """Ask; a parent that is gone is noted, and nothing else happens."""
        line = json.dumps({"do": command, **values})
        try:
            with self._lock:
                self._out.write(line + "\n")
                self._out.flush()
        except (OSError, ValueError):
            self._is_gone.set()

    def watch(self, lines: TextIO) -> None:
        """Read lines until the parent's end; the thread ends with the process at the latest."""

        def read() -> None:
            try:
                for _ in lines:
                    continue
            except (OSError, ValueError):
                pass
            self._is_gone.set()

        # A worker would be waited for, and nobody can wake one that reads.
        threading.Thread(target=read, name="parent-watch", daemon=True).start()
