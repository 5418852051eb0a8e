"""A whole run is killed at a random moment: no frame and no row older than a second is lost."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.offline.report.rebuild import rebuild_report

CHILD = Path(__file__).with_name("recording_child.py")
LARGE_ROWS_S = 5.0
"""A row is on disk when it is made; a busy machine makes those of large frames late, with their
pixels on disk."""
RATES = [((64, 64), 100), ((512, 512), 50), ((128, 128), 3)]


@dataclass
class Loss:
    """What a kill has cost: the age of the oldest frame without pixels, and without rows."""

    raw_s: float
    rows_s: float
    n_frames: int


def kill_at_random(out: Path, shape: tuple[int, int], per_s: int, rng: random.Random) -> Loss:
    """Start a run, kill all of its processes at once, and say what is not on disk."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(CHILD), str(out), *map(str, (*shape, per_s))],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    folder = RunFolder(out)
    try:
        deadline = time.monotonic() + 120
        while not (folder.localizations.exists() and folder.localizations.stat().st_size > 4000):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no rows came"
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 2.5))
        killed_ns = time.perf_counter_ns()
    finally:
        if sys.platform == "win32":
            process.kill()  # the analysis ends with its owner
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return loss(folder, killed_ns, 1e9 / per_s)


def loss(folder: RunFolder, killed_ns: int, period_ns: float) -> Loss:
    with open_movie(folder.path) as movie:
        assert movie.frame_index is not None
        assert movie.t_exposure_end_ns is not None
        n, times_ns = movie.n_frames, movie.t_exposure_end_ns
        assert movie.frame_index.tolist() == list(range(n)), "a frame is missing before the last"
        for batch in movie.batches(64):
            assert (batch.pixels[:, 0, 0] == batch.index).all(), "pixels of another frame"
    rows, _ = read_arrow_table(folder.localizations)
    # A busy machine may skip frames, which a ledger of at most a second ago books.
    ledger = json.loads(folder.ledger.read_text())
    without = set(range(min(int(rows.frame.max()), ledger["camera"]))) - set(rows.frame.tolist())
    for first, last in ledger["ranges"]["skipped"]:
        without -= set(range(first, last + 1))
    assert without == set(), "a row is missing before the last"
    page = rebuild_report(folder.path).read_text(encoding="utf-8")
    shown = re.search(r"<b>([\d\u202f]+)</b><span>localizations</span>", page)
    assert shown is not None
    # The analysis outlives the program by what is in the ring, and may still add rows.
    assert int(shown[1].replace("\u202f", "")) >= len(rows)
    assert "the run was cut at" in page, "the page says so"
    next_row = int(rows.frame.max()) + 1
    next_row_ns = times_ns[next_row] if next_row < n else times_ns[-1] + period_ns
    return Loss(
        raw_s=max(0.0, killed_ns - times_ns[-1] - period_ns) / 1e9,
        rows_s=max(0.0, killed_ns - next_row_ns) / 1e9,
        n_frames=n,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "per_s"), RATES, ids=lambda value: str(value))
def test_a_killed_run_loses_no_frame_and_no_row_older_than_a_second(
    tmp_path: Path, shape: tuple[int, int], per_s: int
) -> None:
    rng = random.Random(per_s)

    for k in range(3):
        lost = kill_at_random(tmp_path / f"run{k}", shape, per_s, rng)

        assert lost.n_frames > 3
        assert lost.raw_s < 1.0, lost
        assert lost.rows_s < (LARGE_ROWS_S if max(shape) > 128 else 1.0), lost
