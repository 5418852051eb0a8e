"""The command line as a person uses it: as processes, with signals."""

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
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.settings.camera import MovieSettings

RTSMLM = [sys.executable, "-P", "-m", "rtsmlm.cli"]
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def rtsmlm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RTSMLM, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False
    )


def start_live(out: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start an endless run and wait until frames come in."""
    process = subprocess.Popen(
        [*RTSMLM, "live", "--headless", "--out", str(out), "--set", "acquisition.frames=none",
         "--set", "stream.enabled=false", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    index = out / "raw_index.bin"
    deadline = time.monotonic() + 120
    while not (index.exists() and index.stat().st_size > 24 * 150):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no frames came"
        time.sleep(0.05)
    return process


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the packaged demo, whose localizer is named: none steps in when it is busy."""
    out = tmp_path_factory.mktemp("cli") / "demo"
    done = rtsmlm(
        "live", "--headless", "--frames", "300", "--out", out, "--export", "csv",
        "--set", "localizer.name=flagship-2d",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ledger balances: 300 received = 300 localized + 0 skipped" in done.stdout
    assert str(out) in done.stdout
    return out


def test_the_demo_run_leaves_a_balanced_ledger_and_an_image(demo_run: Path) -> None:
    ledger = json.loads((demo_run / "ledger.json").read_text())

    assert ledger["balances"]
    assert (ledger["received"], ledger["recorded"], ledger["lost"]) == (300, 300, 0)
    assert (demo_run / "image.png").stat().st_size > 1000
    assert (demo_run / "localizations.csv").stat().st_size > 10_000


def test_reconstructing_the_recording_gives_the_same_rows(demo_run: Path, tmp_path: Path) -> None:
    done = rtsmlm("reconstruct", demo_run, "--out", tmp_path / "again")

    assert done.returncode == 0, done.stdout + done.stderr
    live, _ = read_arrow_table(demo_run / "localizations.arrows")
    again, _ = read_arrow_table(tmp_path / "again" / "localizations.arrows")
    assert len(live) > 1000
    for name, column in live.columns().items():
        assert np.array_equal(column, again.columns()[name], equal_nan=True), name


def test_a_replay_of_the_recording_gives_the_same_rows(demo_run: Path, tmp_path: Path) -> None:
    done = rtsmlm(
        "live", demo_run / "run.toml", "--out", tmp_path / "replay",
        "--set", "camera.driver=replay", "--set", f"replay.movie={demo_run / 'raw.ome.zarr'}",
        "--set", "replay.timing=fast", "--set", "pipeline.when_behind=wait",
        "--set", "stream.enabled=false",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    live, _ = read_arrow_table(demo_run / "localizations.arrows")
    again, _ = read_arrow_table(tmp_path / "replay" / "localizations.arrows")
    for name, column in live.columns().items():
        assert np.array_equal(column, again.columns()[name], equal_nan=True), name


def test_evaluating_a_table_against_itself_is_perfect(demo_run: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"

    done = rtsmlm("evaluate", demo_run, demo_run / "localizations.csv", "--json", figures)

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert found["jaccard"] == pytest.approx(1.0)
    assert found["rmse_lateral_nm"] < 0.1


@posix_only
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_an_open_run_in_order(tmp_path: Path, name: str) -> None:
    process = start_live(tmp_path / "run")

    process.send_signal(getattr(signal, name))
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 0, stdout + stderr
    assert "ledger balances" in stdout
    ledger = json.loads((tmp_path / "run" / "ledger.json").read_text())
    assert ledger["received"] == ledger["recorded"] == ledger["localized"] > 150


@posix_only
def test_a_signal_before_the_frames_asked_for_is_not_a_success(tmp_path: Path) -> None:
    process = start_live(tmp_path / "run", "--set", "acquisition.frames=100000")

    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stdout + stderr
    assert "ledger balances" in stdout


@posix_only
def test_what_was_recorded_before_everything_was_killed_can_be_read(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start_live(run)

    process.kill()
    process.communicate(timeout=30)

    deadline = time.monotonic() + 30  # the analysis process notices, finishes and leaves
    while analysis_of(run) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not analysis_of(run), "the analysis process outlived its owner"
    table, _ = read_arrow_table(run / "localizations.arrows")
    assert len(np.unique(table.frame)) > 100
    with open_movie(run, MovieSettings()) as movie:
        assert movie.n_frames >= 96
        assert 90 < movie.read(np.arange(movie.n_frames)).mean() < 2000
    done = rtsmlm("reconstruct", run, "--out", tmp_path / "rescued")
    assert done.returncode == 0, done.stdout + done.stderr


def analysis_of(run: Path) -> list[int]:
    """Process numbers of analyses that still write into this run."""
    table = os.stat(run / "localizations.arrows")
    found = []
    for fds in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.path.samestat(os.stat(fd), table) for fd in fds.iterdir()):
                found.append(int(fds.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["live", "nowhere.toml"], "nowhere.toml"),
        (["live", "--set", "camera.driver=hamamatsu"], "no camera named 'hamamatsu'"),
        (["live", "--set", "camera.pixel_nm=-1"], "camera.pixel_nm"),
        (["live", "--set", "micromanager.config=nowhere.cfg"], "nowhere.cfg"),
        (["live", "--set", "localizer.name=magic"], "no localizer named 'magic'"),
        (["reconstruct", "nowhere.tif"], "nowhere.tif"),
        (["evaluate", "nowhere.csv", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_mistake_is_one_sentence_and_not_a_traceback(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    out = [] if arguments[0] == "evaluate" else ["--out", str(tmp_path / "run")]

    done = rtsmlm(*arguments, *out)

    assert done.returncode == 1
    assert sentence in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stdout + done.stderr
    assert "fault of rtsmlm" not in done.stderr


def test_the_doctor_finds_the_simulated_microscope(tmp_path: Path) -> None:
    done = rtsmlm("doctor", "--out", tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "simulated microscope" in done.stdout
    assert "MB/s" in done.stdout
