"""A worker process that was started on this machine: its share of the cores, and no Ctrl-C."""

from __future__ import annotations

import os
import signal

from rtsmlm.realtime.cores import can_bind


def prepare(number: int, n_workers: int) -> None:
    """Prepare a worker, in its main thread, before it gets work.

    Ctrl-C reaches all processes of a terminal: the command takes it, and ends its workers. Where
    several share a machine, each is bound to its part of the cores, so that localizers that fill
    all cores are not in each other's way.

    Parameters
    ----------
    number
        Of this worker, from 0.
    n_workers
        How many there are.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if n_workers > 1 and can_bind():
        cores = sorted(os.sched_getaffinity(0))
        own = cores[number % len(cores) :: n_workers]
        os.sched_setaffinity(0, own or cores)
