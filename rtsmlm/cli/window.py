"""The live window as a child process: where it hangs, crashes or is missing, the run goes on.

What is clicked comes back through a private pipe, one line of JSON a command
(`rtsmlm.viewer.commands`); no command is ever taken from the network.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rtsmlm.errors import WorkerError, printable
from rtsmlm.realtime.child_process import ChildProcess, module_command
from rtsmlm.realtime.clock import now_ns
from rtsmlm.viewer.commands import RunPlace, WindowAlive, place_to_line, to_line
from rtsmlm.viewer.owner_notice import OwnerNotice, notice_to_line

_END_S = 5.0
_X_PORT, _SCREEN_S = 6000, 2.0
_BLOCKED_S, _AGAIN_NS = 1.0, 60_000_000_000
_ALIVE = to_line(WindowAlive())

_log = logging.getLogger(__name__)


def why_no_window() -> str | None:
    """Return why no window can be shown here; None if one can."""
    if importlib.util.find_spec("pyqtgraph") is None or not any(
        importlib.util.find_spec(name) for name in ("PySide6", "PyQt6")
    ):
        return "pyqtgraph and PySide6 are not installed"
    if not sys.platform.startswith("linux"):
        return None
    # The toolkit ends the process where it finds no screen, so it cannot be asked.
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if (platform and not platform.startswith(("xcb", "wayland"))) or _has("WAYLAND_DISPLAY"):
        return None
    if not _has("DISPLAY"):
        return "there is no screen"
    display = os.environ["DISPLAY"]
    return None if _screen_answers(display) else f"the screen {display} does not answer"


def _has(name: str) -> bool:
    return bool(os.environ.get(name))


def _screen_answers(display: str) -> bool:
    """Tell whether an X server listens; True for an address that is not understood.

    No client is made of the connection: a server without a window starts anew when its last client
    leaves it, and refuses the next one meanwhile.
    """
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdecimal() or "/" in host or sys.platform == "win32":
        return True
    try:
        if host in ("", "unix"):
            path = f"/tmp/.X11-unix/X{number}"  # noqa: S108  # where X servers listen
            return _listens(path) or _listens(f"\0{path}")
        socket.create_connection((host, _X_PORT + int(number)), _SCREEN_S).close()
    except OSError:
        return False
    else:
        return True


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(_SCREEN_S)
        return tried.connect_ex(path) == 0


class Window:
    """A window that shows the runs of this program, one after another.

    Parameters
    ----------
    on_line
        Called in a thread with each line of JSON that the window sends.
    curve_keys
        As `stream.curve_keys` of the runs.
    is_armed
        Whether the runs command their lasers; it asks then before it is closed.

    Raises
    ------
    WorkerError
        If it cannot be started.
    """

    def __init__(
        self,
        on_line: Callable[[str], None],
        curve_keys: Path | None = None,
        *,
        is_armed: bool = False,
    ) -> None:
        self._on_line = on_line
        self._place: RunPlace | None = None
        self._alive_ns: int | None = None
        self._warn_at_ns = 0
        options = [] if curve_keys is None else ["--keys", str(curve_keys)]
        if is_armed:
            options.append("--armed")
        self._child = ChildProcess(
            "window",
            module_command("rtsmlm.viewer", "--control", *options),
            on_line=self._take,
            # Read with the lines, so that no terminal in which nothing moves can stop the window.
            stderr=subprocess.STDOUT,
        )

    @property
    def is_open(self) -> bool:
        """True while the window is there, or its last line was not taken yet."""
        return self._child.exit_code() is None or not self._child.is_read_out

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it is there."""
        return self._child.exit_code()

    def notify(self, notice: OwnerNotice) -> None:
        """Show a sentence, and a picture where there is one."""
        self._child.write_line(notice_to_line(notice))

    def follow(self, address: str | None, run_id: str, folder: Path | None = None) -> None:
        """Show the run of this number, wherever it publishes now; None is not known yet."""
        if address is None:
            return
        place = RunPlace(
            _reachable(address), run_id, "" if folder is None else str(folder.absolute())
        )
        if place != self._place:
            self._place = place
            self._child.write_line(place_to_line(place))

    def take_warning(self) -> str | None:
        """Return a sentence where the window does not react, at most once a minute."""
        if self._alive_ns is None or not self.is_open or now_ns() < self._warn_at_ns:
            return None
        silent_s = (now_ns() - self._alive_ns) / 1e9
        if silent_s < _BLOCKED_S:
            return None
        self._warn_at_ns = now_ns() + _AGAIN_NS
        return (
            f"the window has not reacted for {silent_s:.1f} s: its LASER OFF would wait, too; "
            "rtsmlm lasers-off in any terminal acts at once"
        )

    def _take(self, line: str) -> None:
        if line == _ALIVE:
            self._alive_ns = now_ns()
        elif line.lstrip().startswith("{"):
            self._on_line(line)
        elif line.strip():  # a library may print what it likes
            _log.info("the window printed: %s", printable(line))

    def close(self) -> None:
        """Close the window. Safe to call more than once."""
        self._child.terminate()
        try:
            self._child.close(_END_S)
        except WorkerError as error:
            _log.warning("%s", error)


def _reachable(address: str) -> str:
    """Return an address to connect to, of one that was bound on all interfaces."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
