"""The analysis as its supervisor holds it: a process, or a thread of this one.

The process runs as ``python -m rtsmlm.pipeline.__main__`` (never by fork, so that a host program
needs no guard).
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, TypeAlias

from rtsmlm.errors import PipelineError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.pipeline import Pipeline
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import Worker

_log = logging.getLogger(__name__)


class ChildProcess:
    """The analysis as a process of its own.

    Parameters
    ----------
    job
        What it is to do.
    hear
        Called in a thread with every event.
    """

    def __init__(self, job: PipelineJob, hear: Callable[[dict[str, Any]], None]) -> None:
        flags: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows only
        with RunFolder(job.folder).analysis_log.open("ab") as log:
            # -P: the folder that we happen to be in must not shadow the installed package.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rtsmlm.pipeline.__main__"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                creationflags=flags,
            )
        self._hear = hear
        self._listener = Worker("listen", self._listen)
        self._listener.start()
        stdin = self._pipe(self._process.stdin)
        try:
            stdin.write(job.to_json() + "\n")
            stdin.flush()
        except OSError as error:
            _log.debug("the analysis process ended at once", exc_info=error)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise PipelineError("the analysis process was started without its pipes")
        return pipe

    def _listen(self, stop: threading.Event) -> None:
        for line in self._pipe(self._process.stdout):
            try:
                event = json.loads(line)
            except ValueError:
                _log.warning("the analysis process said: %s", line.rstrip())
            else:
                self._hear(event)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def tell(self, status: Mapping[str, Any]) -> None:
        """Write a line; where nobody reads it any more it is lost."""
        stdin = self._process.stdin
        if stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                stdin.write(json.dumps(dict(status)) + "\n")
                stdin.flush()

    def exit_code(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def join(self) -> None:
        """Hear it out and release the pipes."""
        self._process.wait()
        self._listener.join(5.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # What was told to a dead process waits in the buffer, and cannot be written now.
                with contextlib.suppress(OSError):
                    pipe.close()


class ChildThread:
    """The analysis as a thread of this process, for tests and small machines.

    Parameters
    ----------
    job
        What it is to do.
    ring
        The ring that it reads.
    hear
        Called in its thread with every event.
    """

    def __init__(
        self, job: PipelineJob, ring: FrameRing, hear: Callable[[dict[str, Any]], None]
    ) -> None:
        self._hear = hear
        self._analysis = Pipeline(job, ring, hear)
        self._worker = Worker("analyse", self._analysis.run)
        self._worker.start()

    def exit_code(self) -> int | None:
        """Return 0 or 1 once it has ended, None while it runs."""
        if self._worker.alive:
            return None
        return 0 if self._worker.error is None else 1

    def tell(self, status: Mapping[str, Any]) -> None:
        """Hand a status over."""
        self._analysis.hear(status)

    def kill(self) -> None:
        """Ask it to end; a thread cannot be killed."""
        self._worker.stop()

    def join(self) -> None:
        """Wait for it, and pass on what it died of."""
        self._worker.join(10.0)
        if self._worker.error is not None:
            self._hear({"kind": "died", "text": str(self._worker.error)})


PipelineChild: TypeAlias = ChildProcess | ChildThread
