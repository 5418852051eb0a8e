"""Sentinel: a second process that switches the lasers off if the main process dies.

A serial port belongs to one process, so no other can switch a laser off while that lives. But a
process that is killed releases its ports, and the light stays on: the sentinel then loads the
lasers alone, and nothing else of the configuration, and switches them off.

Run as ``python -m rtsmlm.safety.sentinel``; the job comes as one line of JSON on standard input,
``ready`` goes out. The line ``dark`` then ends it, as the lasers are off; the end of the input
without that line means that the main process has died.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from rtsmlm import plugins
from rtsmlm.drivers.micromanager.lasers_only import core_of_lasers
from rtsmlm.errors import RtsmlmError, WorkerError
from rtsmlm.files.run.laser_log import LaserLog
from rtsmlm.realtime.child_process import ChildProcess, module_command
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.lasers import LaserSettings

_TRIES = 20
_PAUSE_S = 0.5
_READY = "ready"
_DARK = "dark"
_READY_S = 60.0
"""A cold disk needs long to load Python packages and drivers; no laser is armed meanwhile."""
_END_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SentinelJob:
    """What the sentinel has to know; plain data."""

    micromanager: MicroManagerSettings
    lasers: Mapping[str, LaserSettings]
    log: Path
    """`lasers.csv` of the run."""
    start_ns: int
    """When the run began, on the clock of `realtime.clock.now_ns`."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit of each laser, for the audit."""

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        lasers = {name: laser.model_dump(mode="json") for name, laser in self.lasers.items()}
        return json.dumps(
            {
                "micromanager": self.micromanager.model_dump(mode="json"),
                "lasers": lasers,
                "log": str(self.log),
                "start_ns": self.start_ns,
                "units": dict(self.units),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> SentinelJob:
        """Read a job back."""
        data = json.loads(text)
        return cls(
            micromanager=MicroManagerSettings.model_validate(data["micromanager"]),
            lasers={k: LaserSettings.model_validate(v) for k, v in data["lasers"].items()},
            log=Path(data["log"]),
            start_ns=data["start_ns"],
            units=data["units"],
        )


class Sentinel:
    """The side of the main process: start it before a laser is armed, dismiss it when all are off.

    Parameters
    ----------
    job
        Which lasers, and how to reach them.

    Raises
    ------
    WorkerError
        If it cannot be started.
    """

    def __init__(self, job: SentinelJob) -> None:
        # A group of its own: Ctrl-C, which ends the main process, must not end this too.
        self._child = ChildProcess(
            "laser sentinel", module_command("rtsmlm.safety.sentinel"), own_group=True
        )
        self._child.write_line(job.to_json())

    def wait_ready(self) -> None:
        """Wait until it is on guard.

        Raises
        ------
        WorkerError
            If it does not come up within a minute; it is killed then.
        """
        why = "it ended; its errors are above, or in the log of the program"
        try:
            line = self._child.read_line(_READY_S)
        except WorkerError as error:
            line, why = None, str(error)
        if line == _READY:
            return
        self._child.kill()
        with suppress(WorkerError):  # the reason below matters more
            self._child.close(_END_S)
        if line is not None:
            why = f"it wrote {line!r} instead of {_READY!r}"
        raise WorkerError(f"the lasers are not armed: no laser sentinel, {why}")

    @property
    def alive(self) -> bool:
        """True while it is on guard."""
        return self._child.exit_code() is None

    def dismiss(self) -> None:
        """End it, as all lasers are off. Safe to call more than once.

        Raises
        ------
        WorkerError
            If it does not end.
        """
        self._child.write_line(_DARK)
        self._child.close(_END_S)


def turn_dark(job: SentinelJob) -> dict[str, list[str]]:
    """Open the lasers alone and make them safe; return what failed, by laser.

    Every laser is tried, whatever happened to the one before it.
    """
    failed: dict[str, list[str]] = {}
    with core_of_lasers(job.micromanager, job.lasers.values()) as core:
        for name, settings in job.lasers.items():
            try:
                laser = plugins.find_laser(settings.driver)(name, settings, core)
                failed[name] = laser.make_safe()
                laser.close()
            except Exception as error:  # the port may not be free yet; drivers raise what they like
                failed[name] = [" ".join(str(error).split()) or repr(error)]
    return failed


def _stand_in(job: SentinelJob) -> bool:
    """Switch the lasers of a dead main process off, and write into the audit how it went."""
    pause = Event()
    left = dict(job.lasers)
    for attempt in range(1, _TRIES + 1):
        why: dict[str, str] = {}
        try:
            failed = turn_dark(replace(job, lasers=left))
            why = {name: "; ".join(texts) for name, texts in failed.items() if texts}
        except Exception as error:  # while the core is released
            why = dict.fromkeys(left, " ".join(str(error).split()))
        for name in [name for name in left if name not in why]:
            _note(job, name, f"the program is gone; dark by the sentinel, attempt {attempt}")
            del left[name]
        if not left:
            return True
        pause.wait(_PAUSE_S)
    for name in left:
        _note(job, name, f"the program is gone and the laser IS NOT DARK: {why[name]}")
    return False


def _note(job: SentinelJob, name: str, reason: str) -> None:
    row: dict[str, object] = {
        "t_s": (now_ns() - job.start_ns) / 1e9,
        "actuator": name,
        "kind": "trip",
        "sent": 0.0,
        "unit": job.units.get(name, ""),
        "reason": reason,
    }
    try:
        log = LaserLog(job.log)
        log.write(row)
        log.close()
    except RtsmlmError:
        _log.exception("the audit could not be written: %s", row)


def main() -> int:
    """Run the sentinel; the exit code is 1 if a laser could not be switched off."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    for name in ("SIGINT", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    job = SentinelJob.from_json(sys.stdin.readline())
    with suppress(OSError):
        sys.stdout.write(_READY + "\n")
        sys.stdout.flush()
    _end_output()
    for line in sys.stdin:
        if line.strip() == _DARK:
            return 0
    return 0 if _stand_in(job) else 1


def _end_output() -> None:
    """Turn standard output to the errors: a driver may print, the main process waits for one word.

    It also ends the thread there that reads it. One that waited for the length of the run would
    keep a main process that crashed from ending, and this sentinel from acting.
    """
    with suppress(OSError):
        # Under a program without a console there is nowhere to print errors to.
        errors = os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else sys.stderr.fileno()
        os.dup2(errors, sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
