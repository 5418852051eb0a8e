"""The files of a run that was cut, as they are found: read, closed, and put in order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping

import numpy as np

from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.movies.raw_layout import read_index
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.reserve import RESERVE_NAME
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches
from rtsmlm.offline.cut_run import NO_TABLE, ranges_of
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.process_identity import ProcessIdentity, is_running
from rtsmlm.realtime.worker import one_line
from rtsmlm.settings.run import RunSettings

_LAST_FRAME = 2**63 - 1
_ANALYSIS_S = 120.0
_POLL_S = 0.1


def wait_for_analysis(so_far: Mapping[str, object]) -> None:
    """Wait until the analysis of the run has ended, which outlives it by what is in the ring.

    Parameters
    ----------
    so_far
        What the last ledger noted of the run.

    Raises
    ------
    FileFormatError
        If it does not end.
    """
    stated = so_far.get("analysis")
    if not isinstance(stated, Mapping):
        return
    try:
        analysis = ProcessIdentity(int(stated["pid"]), str(stated["host"]), str(stated["started"]))
    except (KeyError, TypeError, ValueError):
        return
    deadline_ns = now_ns() + int(_ANALYSIS_S * 1e9)
    pause = threading.Event()
    while is_running(analysis):
        if now_ns() > deadline_ns:
            raise FileFormatError(
                f"the analysis of the run (process {analysis.pid}) still writes its table; end it "
                "first"
            )
        pause.wait(_POLL_S)


def tidy(folder: RunFolder) -> None:
    """Remove what only a run that goes on needs, and files that were half written."""
    files = (*folder.run_files, folder.latency, folder.validity, folder.report)
    partial = (path.with_name(path.name + ".partial") for path in files)
    for path in (folder.path / RESERVE_NAME, *partial):
        with contextlib.suppress(OSError):
            path.unlink()


def open_recording(folder: RunFolder, settings: RunSettings, notes: list[str]) -> Movie | None:
    """Return the recording, None where no frame of one can be read; why is added to the notes."""
    if not folder.raw.exists():
        notes.append("no raw frames were recorded, or raw.ome.zarr is gone")
        return None
    try:
        return open_movie(folder.raw, settings.movie)
    except RtsmlmError as error:
        notes.append(f"no raw frame can be read: {one_line(error)}")
        return None


def finish_raw(folder: RunFolder, movie: Movie) -> None:
    """Make a recording one that other programs open; one with a gap stays as it is.

    Raises
    ------
    OSError, SinkError
        If the disk refuses.
    """
    # Not with this module: it needs zarr.
    from rtsmlm.files.movies.recording import RecordedMovie
    from rtsmlm.files.run.raw_store import finish_recording

    if isinstance(movie, RecordedMovie) and movie.is_gapless:
        finish_recording(folder.raw, movie.n_frames)


def frames_of(movie: Movie) -> FrameRanges:
    """Return the numbers of the frames of a recording."""
    numbers = movie.frame_index
    return FrameRanges([(0, movie.n_frames)]) if numbers is None else ranges_of(numbers)


def indexed(folder: RunFolder, notes: list[str]) -> FrameRanges:
    """Return the frames that the index of the recording lists, also without their pixels."""
    try:
        records, _ = read_index(folder.raw)
    except FileFormatError as error:
        notes.append(one_line(error))
        return FrameRanges()
    if records is None:
        return FrameRanges()
    numbers = np.asarray(records["index"], np.int64)
    return ranges_of(numbers[numbers >= 0])


def close_table(folder: RunFolder, notes: list[str]) -> tuple[FrameRanges, int]:
    """Let the table end after its last whole batch; return which frames it has, and its rows.

    The rows are `cut_run.NO_TABLE` where there is none. One that cannot be read is put aside, which
    is added to the notes.
    """
    table = folder.localizations
    frames, n_rows = FrameRanges(), 0
    if not table.exists():
        notes.append("localizations.arrows is missing and is made anew")
        return frames, NO_TABLE
    try:
        for rows in iter_arrow_batches(table):
            for start, stop in ranges_of(np.unique(rows.frame[rows.frame >= 0])):
                frames.add(start, stop)
            n_rows += len(rows)
        ArrowStreamFile.resume(table, before_frame=_LAST_FRAME).close()
    except FileFormatError as error:
        aside = table.with_name("localizations.damaged.arrows")
        table.replace(aside)
        notes.append(f"{one_line(error)}; it is kept as {aside.name}, and a new one is made")
        return FrameRanges(), NO_TABLE
    return frames, n_rows
