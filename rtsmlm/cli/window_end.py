"""The end of a window during a run: what is done then, and what the terminal prints of it."""

from __future__ import annotations

import math
from dataclasses import asdict

from rtsmlm.cli.console import console, warn
from rtsmlm.errors import SinkError
from rtsmlm.session.session import Session
from rtsmlm.viewer.commands import WindowFigures

_GOES_ON_ARMED = (
    "the run goes on, steering its lasers unattended: Ctrl-C ends it, rtsmlm lasers-off in any "
    "terminal switches them off"
)
_GOES_ON = "the run goes on, Ctrl-C ends it"


def take_closed(session: Session, *, stop: bool, is_armed: bool) -> None:
    """Do with a run what the user wanted when closing its window, and print what was done.

    Parameters
    ----------
    session
        The run that goes on.
    stop
        Whether it is to end.
    is_armed
        Whether its lasers were armed when it began.
    """
    if stop:
        session.stop()
    loop = session.status().loop
    not_dark = () if loop is None else loop.not_dark
    if not stop:
        shines = is_armed and (loop is None or loop.tripped is None)
        done = _GOES_ON_ARMED if shines else _GOES_ON
    elif not_dark:
        done = f"the run was stopped, NOT CONFIRMED DARK: {', '.join(not_dark)}"
    else:
        done = f"the run was stopped{', lasers off' if is_armed else ''}"
    _print(f"the window was closed; {done}", is_armed)


def report_ended(exit_code: int | None, *, is_armed: bool) -> None:
    """Print that a window has ended without being closed, and what that means for the run.

    Parameters
    ----------
    exit_code
        Of the process of the window; negative is the signal that ended it.
    is_armed
        Whether the lasers of the run are armed.
    """
    how = "" if exit_code is None else f" (exit code {exit_code})"
    if exit_code is not None and exit_code < 0:
        how = f" (signal {-exit_code})"
    done = _GOES_ON_ARMED if is_armed else _GOES_ON
    _print(f"the window ended without being closed{how}; {done}", is_armed)


def write_figures(session: Session, figures: WindowFigures | None) -> None:
    """Write what the window has measured of itself into the run folder, as `window.json`.

    Parameters
    ----------
    session
        The run that ends.
    figures
        The newest; None, or those of another run, write nothing.
    """
    if figures is None or figures.run_id != session.run_id:
        return
    known = {name: value if _is_known(value) else None for name, value in asdict(figures).items()}
    try:
        session.folder.write_json(session.folder.window, known)
    except SinkError as error:
        session.warn(f"what the window measured is not in the run: {error}")


def _is_known(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _print(text: str, is_armed: bool) -> None:
    if is_armed:
        warn(text)
    else:
        console.print(f"[dim]{text}[/]")
