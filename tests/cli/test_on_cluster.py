"""`rtsmlm reconstruct --cluster` as a user gives it: addresses, folders of movies, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("distributed")

from rtsmlm.cli.on_cluster import _is_address

RTSMLM = [sys.executable, "-P", "-m", "rtsmlm.cli"]
QUICK = ["--set", "localizer.name=gaussian-mle", "--set", "psf.sigma_nm=130"]


def movie(path: Path, n: int, side: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(n)
    dark = 100 + random.poisson(15, (n, side, side))
    dark[:, side // 2, side // 2] += 2000
    tifffile.imwrite(path, dark.astype(np.uint16), photometric="minisblack")
    return path


def is_there(group: int) -> bool:
    """Tell whether a group of processes has one."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("text", ["tcp://gateway:8786", "gateway:8786", "4", "scheduler.json"])
def test_what_may_follow_the_option(text: str) -> None:
    assert _is_address(text)


@pytest.mark.parametrize("text", ["movie.tif", "", "--out", "data/cell"])
def test_a_movie_after_the_option_is_no_address(text: str) -> None:
    assert not _is_address(text)


def test_folders_are_searched_and_one_that_fails_is_listed_at_the_end(tmp_path: Path) -> None:
    movie(tmp_path / "data" / "a" / "one.tif", 40)
    movie(tmp_path / "data" / "b" / "two.tif", 40)
    (tmp_path / "data" / "b" / "bad.tif").write_bytes(b"II*\x00 and nothing")

    done = subprocess.run(
        [*RTSMLM, "reconstruct", "--cluster", tmp_path / "data", "--out", tmp_path / "out", *QUICK],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 of 3 movies are localized" in done.stdout
    assert "planning" in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error:")
    assert "bad.tif" in last
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"one", "two"}
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals to a group")
def test_ctrl_c_ends_all_processes_keeps_what_is_done_and_says_how_to_go_on(
    tmp_path: Path,
) -> None:
    path, out = movie(tmp_path / "cell.tif", 1024, side=256), tmp_path / "out"
    command = [*RTSMLM, "reconstruct", path, "--cluster", "1", "--out", out, *QUICK]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 200
    while not list((out / "blocks").glob("*.npz")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no block was finished"
        time.sleep(0.005)

    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers, too
    stdout, stderr = process.communicate(timeout=60)

    while is_there(process.pid):  # for a second: until init has taken note of its end
        assert time.monotonic() < deadline, "a process is left running"
        time.sleep(0.1)
    assert "Traceback" not in stdout + stderr
    if process.returncode == 0:  # it was done before the signal came
        return
    assert process.returncode == 130, stdout + stderr
    assert "give the same command again to go on" in stderr
    again = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "localizations in 1024 of 1024 frames" in again.stdout
