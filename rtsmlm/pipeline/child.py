"""The analysis as its supervisor holds it: a process, or a thread of this one.

The process runs as ``python -m rtsmlm.pipeline`` (never by fork, so that a host program needs no
guard).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rtsmlm.errors import PipelineError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.pipeline.events import Died, Event, PublishStatus, from_line, to_line
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.pipeline import Pipeline
from rtsmlm.realtime.child_process import ChildProcess, module_command
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import Worker, one_line

_END_S = 10.0


class PipelineProcess:
    """The analysis as a process of its own.

    Parameters
    ----------
    job
        What it is to do.
    handle
        Called in a thread with every event.
    on_unknown
        Called in that thread with one sentence about a line that is no event.

    Raises
    ------
    WorkerError
        If it cannot be started.
    """

    def __init__(
        self,
        job: PipelineJob,
        handle: Callable[[Event], None],
        on_unknown: Callable[[str], None],
    ) -> None:
        self._handle, self._on_unknown = handle, on_unknown
        with RunFolder(job.folder).analysis_log.open("ab") as log:
            self._child = ChildProcess(
                "analysis process",
                module_command("rtsmlm.pipeline"),
                on_line=self._take,
                stderr=log,
            )
        self._child.write_line(job.to_json())

    def _take(self, line: str) -> None:
        try:
            event = from_line(line)
        except PipelineError as error:
            self._on_unknown(str(error))
        else:
            self._handle(event)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._child.pid

    def publish(self, status: PublishStatus) -> None:
        """Pass a status on; one for a dead process is lost. May block while that is frozen."""
        self._child.write_line(to_line(status))

    def exit_code(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._child.exit_code()

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()

    def close(self) -> None:
        """Take its last events and release the pipes, after its end or `kill`.

        Raises
        ------
        WorkerError
            If it does not end, or if the thread that reads its events died.
        """
        self._child.close(_END_S)


class PipelineThread:
    """The analysis as a thread of this process, for tests and small machines.

    Parameters
    ----------
    job
        What it is to do.
    ring
        The ring that it reads.
    handle
        Called in its thread with every event.
    """

    def __init__(self, job: PipelineJob, ring: FrameRing, handle: Callable[[Event], None]) -> None:
        self._pipeline = Pipeline(job, ring, handle)
        self._worker = Worker(
            "analyse",
            self._pipeline.run,
            on_death=lambda error: handle(Died(one_line(error))),
        )
        self._worker.start()

    def exit_code(self) -> int | None:
        """Return 0 or 1 once it has ended, None while it runs."""
        if self._worker.alive:
            return None
        return 0 if self._worker.error is None else 1

    def publish(self, status: PublishStatus) -> None:
        """Pass a status on."""
        self._pipeline.publish(status)

    def kill(self) -> None:
        """Ask it to end; a thread cannot be killed."""
        self._worker.stop()

    def close(self) -> None:
        """Wait for its end.

        Raises
        ------
        WorkerError
            If it does not end.
        """
        self._worker.join(_END_S)


PipelineChild: TypeAlias = PipelineProcess | PipelineThread
