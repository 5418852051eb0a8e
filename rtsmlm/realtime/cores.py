"""How many cores there are for this process, and a part of a program on one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def usable_cores() -> int:
    """Return how many cores this process may use: fewer than there are where it is bound to some.

    Where the system does not say, all that it has.
    """
    return len(os.sched_getaffinity(0)) if can_bind() else os.cpu_count() or 1


def can_bind() -> bool:
    """Tell whether this system binds threads to cores: Linux does."""
    return hasattr(os, "sched_setaffinity")


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this thread on one core, and all threads and processes that it starts meanwhile.

    Those stay there afterwards. Without effect where `can_bind` is false.
    """
    if not can_bind():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
