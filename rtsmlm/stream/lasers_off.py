"""Lasers off, asked of the armed runs of this user on this machine (`control`)."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.errors import printable
from rtsmlm.realtime.clock import now_ns
from rtsmlm.stream import control_files
from rtsmlm.stream.control import HOST, LASERS_OFF
from rtsmlm.stream.control_files import ControlEntry, entries
from rtsmlm.stream.wire import REQUEST_BYTES

TIMEOUT_S = 5.0
_CONNECT_S = 0.2
"""For one attempt; a busy machine is tried again."""


@dataclass(frozen=True, slots=True)
class LasersOffAnswer:
    """What became of one run."""

    run: str
    is_off: bool
    text: str
    """One sentence."""


def lasers_off(
    run_id: str | None = None, timeout_s: float = TIMEOUT_S, folder: Path | None = None
) -> list[LasersOffAnswer]:
    """Switch the lasers off, of one armed run of this user or of all, all at the same time.

    Parameters
    ----------
    run_id
        Number of the run; None asks all.
    timeout_s
        How long to wait for their answers.
    folder
        Where the files with the tokens are; by default the private folder of the user.

    Returns
    -------
    :
        One answer for each run that was asked; none where no armed run was found.

    Raises
    ------
    ConfigError
        If the private folder cannot be trusted.
    """
    found = [
        entry
        for entry in entries(folder or control_files.private_folder())
        if run_id is None or entry.run_id == run_id
    ]
    if not found:
        return []
    with ThreadPoolExecutor(len(found), "rtsmlm-lasers-off") as pool:
        return list(pool.map(lambda entry: _ask(entry, timeout_s), found))


def _ask(entry: ControlEntry, timeout_s: float) -> LasersOffAnswer:
    """Ask one run, again and again until it answers."""
    name = printable(entry.run) or entry.run_id
    deadline_ns = now_ns() + round(timeout_s * 1e9)
    while (left_s := (deadline_ns - now_ns()) / 1e9) > 0:
        with suppress(OSError, ValueError, KeyError, TypeError):
            answer = _exchange(entry, left_s)
            if answer["ok"] is True:
                return LasersOffAnswer(name, True, f"run {name}: lasers off")
            why = printable(str(answer["error"]))
            return LasersOffAnswer(name, False, f"run {name}: the lasers may be on: {why}")
    return LasersOffAnswer(
        name,
        False,
        f"run {name}: the lasers may be on: no answer within {timeout_s:g} s; end the process "
        f"{entry.process.pid}, or switch the lasers off at the device",
    )


def _exchange(entry: ControlEntry, left_s: float) -> dict[str, object]:
    """Send the request and return the answer.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    request = json.dumps({"token": entry.token, "command": LASERS_OFF}).encode() + b"\n"
    with socket.create_connection((HOST, entry.port), min(left_s, _CONNECT_S)) as connection:
        connection.sendall(request)
        connection.settimeout(left_s)
        with connection.makefile("rb") as answers:
            line = answers.readline(REQUEST_BYTES)
    return dict(json.loads(line))
