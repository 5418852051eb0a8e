"""The end of a window during a run: what is done then, and what the terminal prints of it."""

from __future__ import annotations

from rtsmlm.cli.console import console, warn
from rtsmlm.session.session import Session

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


def _print(text: str, is_armed: bool) -> None:
    if is_armed:
        warn(text)
    else:
        console.print(f"[dim]{text}[/]")
