"""Sentinel: a second process that turns lasers dark when the first one is gone without a word.

A serial port belongs to one process, so nobody can switch a laser off beside the owner. But a
process that is killed leaves its ports, and the light stays on: the sentinel then loads the lasers
alone, and nothing else of the configuration, and brings them to rest.

Run as ``python -m rtsmlm.safety.sentinel``; the job comes as one line of JSON on standard input.
The line ``dark`` says that all is well; the end of the input without it is the death of the owner.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, Any

from rtsmlm import plugins
from rtsmlm.drivers.micromanager.lasers_only import core_of_lasers
from rtsmlm.errors import RtsmlmError, WorkerError
from rtsmlm.files.run.laser_log import LaserLog
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.lasers import LaserSettings

_TRIES = 20
_PAUSE_S = 0.5
_READY = "ready"
_DARK = "dark"
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

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        lasers = {name: laser.model_dump(mode="json") for name, laser in self.lasers.items()}
        return json.dumps(
            {
                "micromanager": self.micromanager.model_dump(mode="json"),
                "lasers": lasers,
                "log": str(self.log),
                "start_ns": self.start_ns,
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
        )


class Sentinel:
    """The owner's side: start it before a laser is armed, dismiss it when all are dark.

    Parameters
    ----------
    job
        Which lasers, and how to reach them.
    """

    def __init__(self, job: SentinelJob) -> None:
        flags: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        flags |= getattr(subprocess, "CREATE_NO_WINDOW", 0)
        # A group of its own: what ends the owner from the keyboard must not end this too.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rtsmlm.safety.sentinel"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            creationflags=flags,
            start_new_session=True,
        )
        self._say(job.to_json())

    def wait_ready(self) -> None:
        """Wait until it is on guard.

        Raises
        ------
        WorkerError
            If it does not come up.
        """
        stdout = self._process.stdout
        line = stdout.readline().strip() if stdout is not None else ""
        if line != _READY:
            self._process.kill()
            self._process.wait(_END_S)
            raise WorkerError(f"the sentinel of the lasers did not start: {line or 'it ended'}")

    @property
    def alive(self) -> bool:
        """True while it is on guard."""
        return self._process.poll() is None

    def dismiss(self) -> None:
        """Tell it that all lasers are dark; Safe to call more than once.

        Raises
        ------
        WorkerError
            If it does not end.
        """
        self._say(_DARK)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.wait(_END_S)
            raise WorkerError("the sentinel of the lasers did not end and was killed") from error
        finally:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # of one that was killed
                        pipe.close()

    def _say(self, line: str) -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            return
        with suppress(OSError):  # it is gone; whoever waits for it finds out
            stdin.write(line + "\n")
            stdin.flush()


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
    """Turn the lasers of a dead owner dark, and write down how it went."""
    pause = Event()
    left = dict(job.lasers)
    for attempt in range(1, _TRIES + 1):
        why: dict[str, str] = {}
        try:
            failed = turn_dark(SentinelJob(job.micromanager, left, job.log, job.start_ns))
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
    row: dict[str, Any] = {
        "t_s": (now_ns() - job.start_ns) / 1e9,
        "actuator": name,
        "kind": "trip",
        "sent": 0.0,
        "reason": reason,
    }
    try:
        log = LaserLog(job.log)
        log.write(row)
        log.close()
    except RtsmlmError:
        _log.exception("the audit could not be written: %s", row)


def main(stdin: IO[str] = sys.stdin, stdout: IO[str] = sys.stdout) -> int:
    """Run the sentinel; the exit code is 1 if a laser could not be turned dark."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    for name in ("SIGINT", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    job = SentinelJob.from_json(stdin.readline())
    with suppress(OSError):
        stdout.write(_READY + "\n")
        stdout.flush()
    for line in stdin:
        if line.strip() == _DARK:
            return 0
    return 0 if _stand_in(job) else 1


if __name__ == "__main__":
    sys.exit(main())
