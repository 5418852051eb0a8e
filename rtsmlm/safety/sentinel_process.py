"""The sentinel's own process: ``python -m rtsmlm.safety.sentinel_process``.

The job comes as one line of JSON on standard input, ``ready`` goes out; then orders come, one a
line (`safety.sentinel_job`). It switches the lasers off when the owner is gone, when its beat
stands still while a laser may be on, and when the owner asks for it as it could not do so itself.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.laser_log import LaserLog
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.log_format import handler_to_stderr
from rtsmlm.safety.at_once import at_once
from rtsmlm.safety.heartbeat import ACT_AT, Heartbeat, Silence
from rtsmlm.safety.sentinel_job import READY, SentinelJob, SentinelOrder
from rtsmlm.safety.turning_dark import LaserGroup, groups_of, turn_dark

_TICK_S = 0.02
_REHEARSAL_S = 30.0
_ACT_S = 2.0
"""For one attempt beside an owner that still has the devices open."""
_AGAIN_NS = 500_000_000
_INSIST_S = 60.0
_DIES_S = 2.0

_log = logging.getLogger(__name__)


class Orders:
    """Lines of the owner, read in a thread, so that no wait for one holds up the watch."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self.ended = threading.Event()
        threading.Thread(target=self._read, name="rtsmlm-orders", daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            for line in sys.stdin:
                self._lines.put(line)
        self.ended.set()

    def next(self, timeout_s: float) -> SentinelOrder | None:
        """Return the next order, None if there is none in time."""
        try:
            return SentinelOrder.from_json(self._lines.get(timeout=timeout_s))
        except queue.Empty:
            return None


class Watch:
    """Watch over one owner until its lasers are off for good.

    Parameters
    ----------
    job
        Which lasers, and of whom.
    heartbeat
        The counts.
    orders
        What the owner says.
    """

    def __init__(self, job: SentinelJob, heartbeat: Heartbeat, orders: Orders) -> None:
        self._job, self._heartbeat, self._orders = job, heartbeat, orders
        self._groups = groups_of(job.configuration, job.lasers)
        self._silence = Silence(lambda: heartbeat.owner_beats)
        self._owner_is_gone = owner_is_gone(job.owner_pid)
        self._guard: SentinelOrder | None = None
        self._log_lock = threading.Lock()
        self._acted_ns = 0
        self._answered = heartbeat.requests

    def run(self) -> int:
        """Watch until the end; return 1 if a laser could not be switched off."""
        while True:
            self._heartbeat.beat_of_sentinel()
            order = self._orders.next(_TICK_S)
            if order is not None:
                if order.order == "dismiss":
                    return 0
                self._obey(order)
            elif self._orders.ended.is_set() or self._owner_is_gone():
                # A program that died before it armed a laser leaves them to whom they belong.
                return 0 if self._guard is None else self._stand_in("the program is gone")
            elif self._guard is not None and (code := self._look(self._guard)) is not None:
                return code

    def _obey(self, order: SentinelOrder) -> None:
        if order.order == "rehearse":
            failed = turn_dark(self._groups, _REHEARSAL_S)
            answer(json.dumps(failed))
        else:
            self._guard = order
            self._silence.restart()
            end_output()

    def _look(self, guard: SentinelOrder) -> int | None:
        """Look whether the owner is silent, or asks for help; return the exit code of the end."""
        heartbeat = self._heartbeat
        if heartbeat.requests != self._answered:
            self._answered = heartbeat.requests
            # All of them: a program that has lost a device does not hold its port any more.
            self._act(guard, self._groups, "the program could not switch it off")
        if not heartbeat.light_is_possible:
            self._silence.restart()
            return None
        silent_s = self._silence.seconds()
        if silent_s <= ACT_AT * self._job.silence_s:
            return None
        first = heartbeat.is_acknowledged
        if not first and now_ns() - self._acted_ns < _AGAIN_NS:
            return None
        reason = f"no beat of the program for {silent_s:.2f} s"
        if first:
            heartbeat.note_action()
        apart = [group for group in self._groups if not self._is_beside(guard, group)]
        if apart and guard.may_end_owner:
            end_process(self._job.owner_pid)
            self._wait_for_death()
            return self._stand_in(f"{reason}, which was ended")
        beside = [group for group in self._groups if self._is_beside(guard, group)]
        self._act(guard, beside, reason, first=first)
        return None

    def _act(
        self, guard: SentinelOrder, groups: list[LaserGroup], reason: str, *, first: bool = True
    ) -> None:
        """Switch off what can be reached while the owner may have it open."""
        failed = turn_dark(groups, _ACT_S)
        self._acted_ns = now_ns()
        reached = {name for group in groups for name in group.lasers}
        for name in self._job.lasers if first else ():
            if name not in reached:
                self._note(name, f"{reason}; NOT DARK: the program holds its port")
            elif name in failed:
                self._note(name, f"{reason}; NOT DARK: {failed[name]}")
            else:
                self._note(name, f"{reason}; dark by the sentinel")

    def _is_beside(self, guard: SentinelOrder, group: LaserGroup) -> bool:
        return set(group.lasers) <= set(guard.beside_owner)

    def _wait_for_death(self) -> None:
        """Wait until the owner is gone: its ports are free only then."""
        until_ns = now_ns() + round(_DIES_S * 1e9)
        pause = threading.Event()
        while not self._owner_is_gone() and now_ns() < until_ns:
            pause.wait(_TICK_S / 4)

    def _stand_in(self, reason: str) -> int:
        """Switch off the lasers of an owner that is gone; insist on it, each group by itself."""

        def on_dark(name: str, attempt: int) -> None:
            self._note(name, f"{reason}; dark by the sentinel, attempt {attempt}")

        by_name = {", ".join(group.lasers): group for group in self._groups}
        tasks = {k: partial(group.insist, _INSIST_S, on_dark) for k, group in by_name.items()}
        left = 0
        for name, result in at_once(tasks, _INSIST_S + _ACT_S).items():
            lasers = by_name[name].lasers
            failed = result if isinstance(result, dict) else dict.fromkeys(lasers, str(result))
            for laser, why in failed.items():
                self._note(laser, f"{reason} and the laser IS NOT DARK: {why}")
                left += 1
        return int(left > 0)

    def _note(self, laser: str, reason: str) -> None:
        """Write a row into the audit, after the deed: a disk that hangs must not hold it up."""
        guard = self._guard
        if guard is None:
            return
        row: dict[str, object] = {
            "t_s": (now_ns() - guard.start_ns) / 1e9,
            "actuator": laser,
            "kind": "trip",
            "sent": 0.0,
            "unit": guard.units.get(laser, ""),
            "reason": reason,
        }
        try:
            with self._log_lock:
                log = LaserLog(guard.audit_path)
                log.write(row)
                log.close()
        except RtsmlmError:
            _log.exception("the audit could not be written: %s", row)


def owner_is_gone(pid: int) -> Callable[[], bool]:
    """Return what tells whether the owner, which has started this process, is gone."""
    if sys.platform == "win32":
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
        return lambda: not handle or ctypes.windll.kernel32.WaitForSingleObject(handle, 0) == 0
    # A process whose parent dies gets another one at once, even if a fork keeps the pipe open.
    return lambda: os.getppid() != pid


def end_process(pid: int) -> None:
    """End a process that does not answer any more."""
    with suppress(OSError):  # it has just died by itself
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def answer(line: str) -> None:
    """Write a line to the owner; one that is gone does not read it."""
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def end_output() -> None:
    """Turn standard output to the errors: a driver may print, and the owner reads no more.

    It also ends the thread there that reads it. One that waited for the length of the run would
    keep a main process that crashed from ending, and this sentinel from acting.
    """
    with suppress(OSError):
        # Under a program without a console there is nowhere to print errors to.
        errors = os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else sys.stderr.fileno()
        os.dup2(errors, sys.stdout.fileno())


def _log_errors() -> None:
    """Write warnings to standard error; a library that logs more must not fill the terminal."""
    handler = handler_to_stderr("%(asctime)s %(levelname)s %(message)s")
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)


def _ignore(names: Iterable[str]) -> None:
    for name in names:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)


def main() -> int:
    """Run the sentinel; the exit code is 1 if a laser could not be switched off."""
    _log_errors()
    # What ends or stops the owner must not end or stop this.
    _ignore(("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK", "SIGTSTP", "SIGTTIN", "SIGTTOU"))
    job = SentinelJob.from_json(sys.stdin.readline())
    heartbeat = Heartbeat.attach(job.heartbeat)
    watch = Watch(job, heartbeat, Orders())
    answer(READY)
    code = watch.run()
    heartbeat.close()
    return code


if __name__ == "__main__":
    exit_code = main()
    logging.shutdown()
    # A driver that hangs in a thread must not keep this process, and its port, for ever.
    os._exit(exit_code)
