"""Movies on a cluster: what is done where, what is left to do, and what became of each movie.

This process only hands out work and looks at blocks: frames and rows go through the disk that it
shares with the workers. What Ctrl-C, a power cut or a scheduler that is gone interrupts, the same
call goes on with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsmlm.errors import ConfigError, RtsmlmError
from rtsmlm.offline.blocks import Block, BlockRecord
from rtsmlm.offline.cluster_folder import Place, place_for
from rtsmlm.offline.cluster_tasks import (
    MovieJob,
    Plan,
    Refusal,
    answered,
    finish_movie,
    localize_block,
    plan_movie,
)
from rtsmlm.realtime.cores import usable_cores
from rtsmlm.settings.installation import install_line

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 30.0
_BLOCK_FIRST, _FINISH_FIRST = 1, 2
"""Priorities over plans: what was begun is completed first."""


@dataclass(slots=True)
class MovieOnCluster:
    """A movie, what it is to be made into, and what has become of it."""

    job: MovieJob
    out: Path
    """Folder in which its own lies."""
    name: str
    """Name of its own folder; a number follows where another run has it, unless `exactly`."""
    exactly: bool = False
    plan: Plan | None = None
    place: Place | None = None
    verdict: str = ""
    error: str = ""
    """One sentence, where it could not be done."""
    notes: list[str] = field(default_factory=list)
    waiting: set[Any] = field(default_factory=set)
    """Futures that are not back yet."""

    @property
    def label(self) -> str:
        """What it is called in a list: its path."""
        return str(self.job.paths[0])

    @property
    def failure(self) -> str:
        """Why it could not be done, with its path; nothing where it could."""
        if not self.error:
            return ""
        return self.error if self.label in self.error else f"{self.label}: {self.error}"


@dataclass(slots=True)
class Progress:
    """How far all movies are."""

    movies: int
    movies_done: int = 0
    frames: int = 0
    """Of the movies that are planned."""
    frames_done: int = 0
    rows: int = 0
    resumed_frames: int = 0
    """That were done before."""
    plan_s: float = 0.0
    block_s: float = 0.0
    finish_s: float = 0.0
    """How long workers were busy, all together, with the movies' beginnings, blocks and ends."""


@contextlib.contextmanager
def open_cluster(address: str | None) -> Iterator[Client]:
    """Yield a client of a cluster.

    Parameters
    ----------
    address
        Of a scheduler, as tcp://host:8786; the path of its file (.json); or how many worker
        processes to start on this machine, which share its cores. None starts one.

    Raises
    ------
    ConfigError
        If dask.distributed is not installed, or the scheduler does not answer.
    """
    try:
        import distributed
    except ImportError as error:
        raise ConfigError(
            f"--cluster needs dask.distributed, which is not installed; {install_line('cluster')}"
        ) from error
    if address is None or address.isdecimal():
        with _local(max(int(address or 1), 1)) as client:
            yield client
        return
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        client = distributed.Client(**where, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"no scheduler answers at {address} ({error}); start one with dask scheduler and its "
            "workers with dask worker, or leave the address out for workers on this machine"
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=5)


@contextlib.contextmanager
def _local(n_workers: int) -> Iterator[Client]:
    """Start worker processes that share the cores of this machine, and end them afterwards."""
    import distributed

    threads = max(usable_cores() // n_workers, 1)
    with (
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads,
            processes=True,
            dashboard_address=None,
            memory_limit=0,  # a localizer of its own accord takes a few batches per thread
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(_plugin(n_workers))
        yield client


def _plugin(n_workers: int) -> Any:
    """Return what prepares a worker on this machine: its share of the cores, no Ctrl-C."""
    from distributed import WorkerPlugin

    from rtsmlm.offline.cluster_worker import prepare

    class Prepare(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            prepare(int(worker.name), n_workers)

    return Prepare()


class ClusterRun:
    """Movies that are localized on a cluster.

    Parameters
    ----------
    client
        Of the cluster.
    movies
        The movies; filled in as they come back.
    on_progress
        Called after every block.
    on_done
        Called with each movie that has come to its end, good or bad.
    """

    def __init__(
        self,
        client: Client,
        movies: Sequence[MovieOnCluster],
        on_progress: Callable[[Progress], None],
        on_done: Callable[[MovieOnCluster], None],
    ) -> None:
        self._client, self._movies = client, movies
        self._on_progress, self._on_done = on_progress, on_done
        self.progress = Progress(len(movies))

    def run(self) -> None:
        """Do all that is left to do. One movie that fails does not keep the others.

        Raises
        ------
        RtsmlmError
            If the scheduler is gone.
        """
        from distributed import as_completed

        futures = {self._submit(m, plan_movie, m.job): m for m in self._movies}
        blocks: dict[Future, Block] = {}
        coming = as_completed(futures, loop=self._client.loop)
        try:
            for future in coming:
                movie = futures.pop(future)
                movie.waiting.discard(future)
                for more in self._take(movie, future, blocks.pop(future, None)):
                    new, block = more
                    futures[new] = movie
                    if block is not None:
                        blocks[new] = block
                    coming.add(new)
                self._on_progress(self.progress)
        finally:
            self._client.cancel(list(futures), force=True)
            for movie in self._movies:
                if movie.place is not None:
                    movie.place.folder.release()

    def _submit(
        self, movie: MovieOnCluster, task: Callable[..., object], *arguments: object, first: int = 0
    ) -> Future:
        future = self._client.submit(answered, task, *arguments, pure=False, priority=first)
        movie.waiting.add(future)
        return future

    def _take(
        self, movie: MovieOnCluster, future: Future, block: Block | None
    ) -> list[tuple[Future, Block | None]]:
        """Take what has come back of a movie; return what is to come back next."""
        if movie.error:
            return []
        try:
            answer = self._answer(movie, future, block)
            if isinstance(answer, Plan):
                return self._begin(movie, answer)
            if isinstance(answer, BlockRecord):
                self.progress.frames_done += answer.stop - answer.start
                self.progress.rows += answer.n_rows
                self.progress.block_s += answer.seconds
                return self._finish(movie) if not movie.waiting else []
            movie.verdict, movie.notes = answer.verdict, answer.notes
            self.progress.finish_s += answer.seconds
            if movie.place is not None:
                movie.place.finish()
            self._end(movie)
        except SchedulerGoneError:
            raise
        except RtsmlmError as error:
            self._fail(movie, str(error))
        return []

    def _answer(self, movie: MovieOnCluster, future: Future, block: Block | None) -> Any:
        """Return what a worker has answered; raise its error as one sentence."""
        from distributed import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise SchedulerGoneError(
                "the scheduler is gone; blocks that are finished are kept: give the same command "
                "again to go on"
            )
        what = "" if block is None else f" at frames {block.start} to {block.stop - 1}"
        error = future.exception()
        if isinstance(error, KilledWorker):
            raise RtsmlmError(
                f"worker after worker died over {movie.label}{what}: look for its reason, such as "
                "memory, in the log of the workers; other movies go on"
            )
        if isinstance(error, ModuleNotFoundError):
            raise RtsmlmError(f"{error} on a worker: install rtsmlm on all machines")
        if error is not None:
            raise RtsmlmError(f"{movie.label}{what}: {type(error).__name__}: {error}")
        answer = future.result()
        if isinstance(answer, Refusal):
            raise RtsmlmError(answer.sentence)
        return answer

    def _begin(self, movie: MovieOnCluster, plan: Plan) -> list[tuple[Future, Block | None]]:
        n_threads = sum(self._client.nthreads().values())
        movie.plan = plan
        self.progress.plan_s += plan.seconds
        place = movie.place = place_for(
            plan, movie.out, movie.name, exactly=movie.exactly, n_threads=n_threads
        )
        self.progress.frames += plan.n_frames
        left = sum(block.stop - block.start for block in place.missing)
        self.progress.frames_done += plan.n_frames - left
        self.progress.resumed_frames += plan.n_frames - left
        if place.is_finished:
            movie.verdict = "was finished before, with the same settings"
            self._end(movie)
            return []
        if not place.missing:
            return self._finish(movie)
        path = place.folder.path
        return [
            (self._submit(movie, localize_block, plan.job, b, path, first=_BLOCK_FIRST), b)
            for b in place.missing
        ]

    def _finish(self, movie: MovieOnCluster) -> list[tuple[Future, Block | None]]:
        if movie.plan is None or movie.place is None:
            return []
        job, place = movie.plan.job, movie.place
        path = place.folder.path
        future = self._submit(movie, finish_movie, job, place.blocks, path, first=_FINISH_FIRST)
        return [(future, None)]

    def _fail(self, movie: MovieOnCluster, sentence: str) -> None:
        movie.error = sentence
        self._client.cancel(list(movie.waiting), force=True)
        self._end(movie)

    def _end(self, movie: MovieOnCluster) -> None:
        self.progress.movies_done += 1
        if movie.place is not None:
            movie.place.folder.release()
        self._on_done(movie)


class SchedulerGoneError(RtsmlmError):
    """The scheduler has gone, and all work with it."""
