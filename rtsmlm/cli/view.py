"""`rtsmlm view`: show a run that goes on somewhere, or one that is over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def view(
    where: Annotated[
        str, typer.Argument(help="Address of a run (tcp://host:port), or a run folder.")
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
    # Not with the command line: the toolkit takes a second to load.
    from rtsmlm.viewer.app import show
    from rtsmlm.viewer.sources.open_source import open_source

    code = show(open_source(where, keys))
    if code:
        raise typer.Exit(code)
