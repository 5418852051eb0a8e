"""The work of a cluster on one movie, as functions that run on a worker: plan, block, finish.

All three open the movie as `rtsmlm reconstruct` does on one machine, with the same settings, so
that they find the same; the width of the PSF is measured by the plan alone. A worker needs the
files of the movies, the results and this version of rtsmlm, and nothing of the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np

from rtsmlm.engines.selection import manifest_of, network_of
from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.fitting.frame_counts import FrameCounter
from rtsmlm.fitting.psf_meter import PsfWidth
from rtsmlm.offline.blocks import Block, BlockFolder, BlockRecord
from rtsmlm.offline.findings import Findings
from rtsmlm.offline.parallel import OfflineLocalizers, batch_frames, localize_part
from rtsmlm.offline.reconstruct import Reconstruction
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.cores import usable_cores
from rtsmlm.settings.run import RunSettings

BLOCKS = "blocks"
"""Folder of the blocks, in the run folder."""
MOVIE = "movie.json"
"""File in it that says of which movie the blocks are, from the beginning on."""

VERSION = version("rtsmlm")

_MOST_READY = 2
"""Movies that are kept open in a worker, for each core."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MovieJob:
    """A movie to be localized, as it is sent to a worker."""

    paths: tuple[Path, ...]
    """Absolute."""
    settings: RunSettings
    """As the user gave them."""
    psf: PsfWidth | None = None
    made_of: str = ""
    """Once it is planned: the PSF, and digest of movie and settings."""
    version: str = VERSION


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a movie before its first block."""

    job: MovieJob
    title: str
    n_frames: int
    batch_frames: int
    seconds: float
    """How long its worker was busy with it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A movie of which everything is written."""

    verdict: str
    notes: list[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error on purpose, as a worker answers it: an exception would fill its log."""

    sentence: str


def answered(task: Callable[..., _T], *arguments: object) -> _T | Refusal:
    """Return what a task returns, or its error on purpose."""
    try:
        return task(*arguments)
    except RtsmlmError as error:
        return Refusal(str(error))


def plan_movie(job: MovieJob) -> Plan:
    """Open a movie, compare it with its calibration, and measure the width of its PSF."""
    _check_version(job)
    begun = time.perf_counter()
    with _opened(job, Path()) as work:
        planned = replace(job, psf=work.measure(), made_of=_digest(work))
        size, seconds = batch_frames(work.movie.shape), time.perf_counter() - begun
        return Plan(planned, work.title, work.n_frames, size, seconds)


def localize_block(job: MovieJob, block: Block, folder: Path) -> BlockRecord:
    """Localize the frames of a block and write it; see `blocks`."""
    _check_version(job)
    with _READY.of(job, folder) as (work, localizer):
        try:
            return _localize_block(job, block, folder, work, localizer)
        except RtsmlmError:
            _check_same(job, work)  # while a file is written anew it cannot be read, either
            raise


def _localize_block(
    job: MovieJob, block: Block, folder: Path, work: Reconstruction, localizer: Localizer
) -> BlockRecord:
    begun = time.perf_counter()
    counter = FrameCounter(work.movie.shape)
    if block.start:
        first, before = work.movie.read([0, block.start - 1])
        counter.go_on_from(block.start, first, before)
    sigma_nm = _known(job.psf).sigma_nm
    findings = Findings(work.settings, work.calibration, sigma_nm, counter, lambda _: None)
    blocks = BlockFolder(folder / BLOCKS, job.made_of)
    rows_path = blocks.partial(block)
    localizers = OfflineLocalizers(lambda: localizer, threads=1)
    with ArrowStreamFile(rows_path, work.table_metadata(sigma_nm)) as table:
        for batch, rows in localize_part(
            work.movie, localizers, findings.fail, block.start, block.stop
        ):
            table.put(rows)
            findings.add(batch, rows)
    record = BlockRecord(
        block.start,
        block.stop,
        job.made_of,
        findings.n_rows,
        localizer.name,
        platform.node(),
        time.perf_counter() - begun,
        findings.failed,
    )
    blocks.commit(block, rows_path, record, findings.as_arrays())
    return record


def finish_movie(job: MovieJob, blocks: list[Block], folder: Path) -> Finished:
    """Put all blocks of a movie together, and write whatever a run leaves."""
    _check_version(job)
    started = time.perf_counter()
    with _opened(job, folder) as work:
        sigma_nm = work.measure(job.psf).sigma_nm
        _check_same(job, work)
        work.keep_wrong_pixels()
        done = BlockFolder(folder / BLOCKS, job.made_of)
        index = work.movie.frame_index
        if index is None:
            index = np.arange(work.n_frames, dtype=np.int64)
        records = [_record(done, block) for block in blocks]
        localizers = sorted({record.localizer for record in records})
        findings = work.findings(sigma_nm, ", ".join(localizers))
        with ArrowStreamFile(work.folder.localizations, work.table_metadata(sigma_nm)) as table:
            for block, record in zip(blocks, records, strict=True):
                for rows in done.rows(block, record.n_rows):
                    table.put(rows)
                numbers = index[block.start : block.stop]
                findings.add_block(numbers, record.n_rows, done.findings(block), record.failed)
        if len(localizers) > 1:
            work.notes.append(
                f"blocks were localized by {', '.join(localizers)}, on machines that "
                "differ: last digits do, too; set localizer.engine and localizer.precision"
            )
        begun = datetime.fromtimestamp((done.path / MOVIE).stat().st_mtime, tz=UTC).astimezone()
        work.run_entries["started"] = begun.isoformat(timespec="seconds")
        work.run_entries["made_of"] = job.made_of
        verdict = work.complete(findings, sigma_nm, lambda _: None)
        return Finished(verdict, work.notes, time.perf_counter() - started)


def _record(done: BlockFolder, block: Block) -> BlockRecord:
    record = done.record(block)
    if record is None:
        raise RtsmlmError(
            f"frames {block.start} to {block.stop - 1} are gone from {done.path}; give the same "
            "command again"
        )
    return record


def _known(psf: PsfWidth | None) -> PsfWidth:
    if psf is None:
        raise ValueError("this movie has not been planned")
    return psf


def _opened(job: MovieJob, folder: Path) -> Reconstruction:
    return Reconstruction(job.paths, job.settings, lambda: RunFolder(folder))


def _check_version(job: MovieJob) -> None:
    if job.version != VERSION:
        raise RtsmlmError(
            f"the worker on {platform.node()} has rtsmlm {VERSION}, the command {job.version}: "
            "install one version on all machines"
        )


def _check_same(job: MovieJob, work: Reconstruction) -> None:
    if _digest(work) != job.made_of:
        raise RtsmlmError(
            f"{work.movie.path} has changed since it was begun, or {platform.node()} finds other "
            "settings, models or values of the camera than the worker that began it"
        )


def _digest(work: Reconstruction) -> str:
    """Return what tells rows of a movie from those of another one, or of other settings."""
    settings = work.settings
    model = settings.localizer.name
    manifest = manifest_of(network_of(settings) if model == "auto" else model)
    made_of = {
        "version": VERSION,
        "settings": settings.model_dump(
            mode="json", exclude={"run": True, "results": {"out", "name"}}
        ),
        "model": None if manifest is None else manifest.model_dump(mode="json"),
        "files": [_identity(path) for path in work.movie.files],
        "movie": [str(work.movie.path), work.n_frames, *work.movie.shape],
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()


def _identity(path: Path) -> list[object]:
    """Return name, size and time of a file; of a folder those of all that is in it."""
    files = [path]
    if path.is_dir():
        files = [Path(root, name) for root, _, names in os.walk(path) for name in names]
    stats = [file.stat() for file in files]
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    return [str(path), len(stats), sum(stat.st_size for stat in stats), newest]


class _ReadyMovies:
    """Movies that are open with their localizers, kept for the next block of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all_cores = threading.Lock()
        self._spare: list[tuple[str, Reconstruction, Localizer]] = []
        self._one_by_one: set[str] = set()
        """Movies whose localizer fills all cores: a second one would only be in its way."""

    @contextmanager
    def of(self, job: MovieJob, folder: Path) -> Iterator[tuple[Reconstruction, Localizer]]:
        """Lend an open movie and a localizer to one thread; kept for the next unless it fails."""
        key = f"{job.made_of} {folder}"
        with ExitStack() as held:
            found = None
            with self._lock:
                if key not in self._one_by_one:
                    found = self._taken(key) or self._made(job, folder)
                    if found[1].uses_all_cores:
                        self._one_by_one.add(key)
            if key in self._one_by_one:
                held.enter_context(self._all_cores)
            if found is None:
                with self._lock:
                    found = self._taken(key) or self._made(job, folder)
            try:
                yield found
            except BaseException:
                found[0].close()
                raise
            with self._lock:
                self._spare.append((key, *found))
                while len(self._spare) > _MOST_READY * usable_cores():
                    self._spare.pop(0)[1].close()

    def _taken(self, key: str) -> tuple[Reconstruction, Localizer] | None:
        for k, (other, work, localizer) in enumerate(self._spare):
            if other == key:
                del self._spare[k]
                return work, localizer
        return None

    def _made(self, job: MovieJob, folder: Path) -> tuple[Reconstruction, Localizer]:
        work = _opened(job, folder)
        try:
            sigma_nm = work.measure(job.psf).sigma_nm
            _check_same(job, work)
            return work, open_localizer(work.settings, work.calibration, sigma_nm)
        except BaseException:
            work.close()
            raise


_READY = _ReadyMovies()
