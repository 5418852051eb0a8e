"""`rtsmlm view`: show a run that goes on somewhere, or one that is over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtsmlm.cli.window import why_no_window
from rtsmlm.errors import ConfigError


def view(
    where: Annotated[
        str, typer.Argument(help="Address of a run (tcp://host:port), a run folder, or a table.")
    ],
    keys: Annotated[
        Path | None,
        typer.Option(help="Folder with server.key and client.key_secret, for a remote run."),
    ] = None,
) -> None:
    """Open the live window on a run; view only.

    LASER OFF works where the run is an armed one of yours on this machine. The window may be opened
    and closed at any time: the run does not notice.
    """
    if (why := why_no_window()) is not None:
        raise ConfigError(
            f"no window can be opened: {why}; open it on a machine with a screen, as "
            "rtsmlm view tcp://HOST:PORT --keys FOLDER or on a copy of the run folder"
        )
    # Not with the command line: the toolkit takes a second to load.
    from rtsmlm.viewer.app import show
    from rtsmlm.viewer.sources.open_source import open_source

    code = show(open_source(where, keys))
    if code:
        raise typer.Exit(code)
