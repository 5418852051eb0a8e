"""at_once: several tasks at the same time, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from rtsmlm.errors import DeviceError
from rtsmlm.realtime.worker import one_line

T = TypeVar("T")

_SLICE_S = 0.05


def at_once(
    tasks: Mapping[str, Callable[[], T]],
    timeout_s: float,
    *,
    while_waiting: Callable[[], None] = lambda: None,
) -> dict[str, T | DeviceError]:
    """Carry out tasks at the same time, and return what came of each; never raises.

    Parameters
    ----------
    tasks
        What to do, by the name of the device.
    timeout_s
        A task that takes longer goes on alone, in a daemon thread.
    while_waiting
        Called every 50 ms until all are done or the time is over.

    Returns
    -------
    dict
        By name: what the task returned, or a `DeviceError` with what it raised, or with how long it
        has not answered.
    """
    found: dict[str, T | DeviceError] = {}
    ended = threading.Condition()

    def carry_out(name: str, task: Callable[[], T]) -> None:
        result: T | DeviceError
        try:
            result = task()
        except DeviceError as error:
            result = error
        except BaseException as error:  # a task ends neither its thread nor the program
            result = DeviceError(one_line(error))
        with ended:
            found[name] = result
            ended.notify_all()

    without_thread = []
    for name, task in tasks.items():
        title = f"rtsmlm-at-once-{name}".replace(" ", "-")
        try:
            threading.Thread(target=carry_out, args=(name, task), name=title, daemon=True).start()
        except RuntimeError:  # no new thread at the very end of the program
            without_thread.append(name)
    for name in without_thread:
        carry_out(name, tasks[name])
    until = time.monotonic() + timeout_s
    while True:
        with ended:
            left_s = until - time.monotonic()
            if len(found) == len(tasks) or left_s <= 0:
                late = DeviceError(f"not finished within {timeout_s:g} s")
                return {name: found.get(name, late) for name in tasks}
            ended.wait(min(_SLICE_S, left_s))
        while_waiting()
