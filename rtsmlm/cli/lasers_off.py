"""`rtsmlm lasers-off`: switch off the lasers of all armed runs of this user on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from rtsmlm.cli.console import console, fail
from rtsmlm.stream.lasers_off import TIMEOUT_S, lasers_off


def switch_off(
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds to wait for each run.")
    ] = TIMEOUT_S,
) -> None:
    """Switch off the lasers of all armed runs that you have started on this machine.

    They stay off until the trip is reset; camera and recording go on. The exit code is 1 if a run
    did not confirm.
    """
    answers = lasers_off(timeout_s=timeout_s)
    if not answers:
        console.print("no armed run of yours goes on, on this machine")
    for answer in answers:
        if answer.is_off:
            console.print(answer.text, markup=False)
        else:
            fail(answer.text)
    if not all(answer.is_off for answer in answers):
        raise typer.Exit(1)
