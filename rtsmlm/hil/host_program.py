"""A host program for drills: it owns the core, attaches rtsmlm, and ends without closing the run.

Run as ``python -m rtsmlm.hil.host_program CONFIG OUT``; when the lasers may be on it waits for a
line on standard input, which states how it ends or what it does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from threading import Event

import rtsmlm
from rtsmlm.drivers.micromanager.core import load_core
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load

HOLD_S = 6
"""How long it holds the interpreter, or keeps a fork."""
FORKED = "forked.pid"
"""File in its working folder, beside the run, with the number of the process that it forked."""
KEPT: list[Session] = []
"""What a script keeps in a variable to its end."""


class HostFailedError(Exception):
    """What a host program may die of."""


def main() -> None:
    """Attach, and do what the lines on standard input state; the run is never closed."""
    # As in a terminal, also where the rehearsal runs in the background of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config, out = Path(sys.argv[1]), Path(sys.argv[2])
    settings = load(config)
    core = load_core(settings.micromanager)
    where = (f"results.out={out.parent.as_posix()}", f"results.name={out.name}")
    KEPT.append(rtsmlm.attach(core, config, where, arm=True))
    for line in sys.stdin:
        order = line.strip()
        if order == "exception":
            raise HostFailedError("an error of the host program (drill)")
        if order == "last-line":
            return
        if order == "hold":
            hold_interpreter(HOLD_S)
        if order == "fork":
            leave_fork_behind(out)


def hold_interpreter(seconds: int) -> None:
    """Call C code that does not let other threads run, as an extension in a lab may do."""
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(1000 * seconds)
    else:
        ctypes.PyDLL(None).sleep(seconds)


def leave_fork_behind(out: Path) -> None:
    """Fork a process that outlives this one, as a pool of workers does."""
    if sys.platform == "win32":
        return
    pid = os.fork()
    if pid == 0:
        Event().wait(300)
        os._exit(0)
    out.with_name(f"{out.name}.{FORKED}").write_text(str(pid), encoding="utf-8")


if __name__ == "__main__":
    main()
