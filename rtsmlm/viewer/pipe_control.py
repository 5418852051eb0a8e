"""PipeControl: clicks go to the program that started this one, one JSON object per line."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import Any, TextIO

from rtsmlm.viewer.sources.updates import Command

GONE = "the program that started this window is gone; it only looks on now"
_MOST_BYTES = 4096


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

    def say_ready(self) -> None:
        """Tell the parent that the window is there."""
        self._write({"do": "ready"})

    def ask(self, command: Command, **values: Any) -> None:
        """Ask; a parent that is gone is noted, and nothing else happens."""
        self._write({"do": command, **values})

    def _write(self, message: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._out.write(json.dumps(message) + "\n")
                self._out.flush()
        except (OSError, ValueError):
            self._is_gone.set()

    def watch(self, descriptor: int) -> None:
        """Read until the parent's end, which is all that is looked for.

        Parameters
        ----------
        descriptor
            Of standard input. Not the file object: at the end of the process its lock would be held
            by a thread that nobody can wake, and Python would abort.
        """

        def read() -> None:
            with suppress(OSError):
                while os.read(descriptor, _MOST_BYTES):
                    continue
            self._is_gone.set()

        threading.Thread(target=read, name="parent-watch", daemon=True).start()
