"""A run killed at any moment: `rtsmlm recover` accounts for every frame that its files know of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.state import run_state
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.settings.camera import MovieSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="kills a group of processes"),
]
RTSMLM = [sys.executable, "-P", "-m", "rtsmlm.cli"]
WAIT_S = 120


def start_live(out: Path) -> subprocess.Popen[bytes]:
    """Start an endless run of small frames, in a group of its own, and wait for frames."""
    settings = (
        "acquisition.frames=none", "stream.enabled=false", "localizer.name=gaussian-mle",
        "micromanager.roi=[0, 0, 64, 48]",
    )  # fmt: skip
    process = subprocess.Popen(
        [*RTSMLM, "live", "--headless", "--out", str(out), *(f"--set={text}" for text in settings)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_S
    while not received(out):
        assert process.poll() is None
        assert time.monotonic() < deadline, "no frames came"
        time.sleep(0.02)
    return process


def received(out: Path) -> int:
    try:
        return int(json.loads((out / "ledger.json").read_text())["received"])
    except (OSError, ValueError):
        return 0


@pytest.mark.parametrize("whole_group", [True, False])
def test_after_kill_9_at_a_random_moment_the_recovered_run_balances(
    tmp_path: Path, whole_group: bool
) -> None:
    out = tmp_path / "run"
    process = start_live(out)
    time.sleep(float(np.random.default_rng().uniform(0, 2.5)))
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait(WAIT_S)
    known = received(out)
    assert run_state(out).stage == "cut"

    for _ in range(2):  # the second changes nothing
        done = subprocess.run(
            [*RTSMLM, "recover", str(out)], capture_output=True, text=True, timeout=WAIT_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "was cut at frame" in done.stdout

    ledger = json.loads((out / "ledger.json").read_text())
    assert ledger["balances"]
    assert ledger["received"] >= known
    assert ledger["received"] == ledger["localized"] + ledger["lost_in_cut"]
    with open_movie(out, MovieSettings()) as movie:
        recorded = set(range(movie.n_frames))
    table, _ = read_arrow_table(out / "localizations.arrows")
    assert len(recorded) == ledger["recorded"]
    frames = np.unique(table.frame)
    assert len(frames) > 0.5 * ledger["localized"]
    assert frames[-1] < ledger["camera"]
    rows = np.unique(np.stack([table.frame, table.x_nm, table.y_nm]), axis=1)
    assert rows.shape[1] == len(table), "no row is there twice"
    folder = RunFolder(out)
    assert folder.report.exists()
    assert (out / "image.png").exists()
    assert not list(out.glob("*.partial")) + list(out.glob("*.reserve")) + list(out.glob("*.lock"))
