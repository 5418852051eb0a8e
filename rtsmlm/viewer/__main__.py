"""`python -m rtsmlm.viewer [ADDRESS_OR_FOLDER] [--control]`: the live window."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from rtsmlm.errors import RtsmlmError
from rtsmlm.viewer.app import application, show
from rtsmlm.viewer.pipe_control import PipeControl
from rtsmlm.viewer.sources.no_run import NoRun
from rtsmlm.viewer.sources.open_source import open_source
from rtsmlm.viewer.sources.updates import Source


def main(arguments: list[str] | None = None) -> int:
    """Show the window; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rtsmlm.viewer", description=__doc__)
    parser.add_argument(
        "where",
        nargs="?",
        help="tcp://host:port of a run, or a run folder; without it, standard input names the run",
    )
    parser.add_argument("--keys", type=Path, help="folder with CURVE keys, for a remote run")
    parser.add_argument(
        "--control",
        action="store_true",
        help="write commands to standard output, one JSON object per line, and read from standard "
        "input where the run is",
    )
    parser.add_argument(
        "--armed", action="store_true", help="the parent lets its runs command the lasers"
    )
    parser.add_argument("--settings", type=Path, help="ini file with the preferences")
    given = parser.parse_args(arguments)
    try:
        where = given.where
        source: Source = NoRun() if where is None else open_source(where, given.keys)
    except RtsmlmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    control = None
    if given.control:
        control = PipeControl(sys.stdout.fileno(), given.keys)
        control.watch(sys.stdin.fileno())
    app = application()
    # Not `quit`, which closes the window, as the user does, and so may ask a question first.
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: app.exit(0))
    return show(source, control, settings_file=given.settings, is_armed=given.armed)


if __name__ == "__main__":
    sys.exit(main())
