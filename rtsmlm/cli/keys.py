"""`rtsmlm keys`: make the keys with which another machine may view a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtsmlm.cli.console import console
from rtsmlm.stream.keys import make_keys


def keys(
    folder: Annotated[Path, typer.Argument(help="Where the keys go.")],
    client: Annotated[
        list[str] | None,
        typer.Option(help="Name of a machine that may view the runs. May be repeated."),
    ] = None,
) -> None:
    """Make the keys for runs that are viewed from another machine.

    Existing keys stay as they are, so that a machine can be added at any time.
    """
    made = make_keys(folder, client or ["viewer"])
    for path in made:
        console.print(f"made     {path}", markup=False)
    if not made:
        console.print("all keys are there already")
    console.print(
        f'the run takes [stream] curve_keys = "{(folder / "server").absolute().as_posix()}"; each '
        "other machine gets its folder, and no other one",
        markup=False,
    )
