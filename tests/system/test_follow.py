"""A recording is followed while it is written, and its rows are those of the finished file."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.files.tables.arrow_file import read_arrow_table

N_FRAMES = 240
STATED = [
    "--set", "camera.pixel_nm=100", "--set", "camera.offset_adu=100",
    "--set", "camera.e_per_adu=1", "--set", "camera.read_noise_e=1",
    "--set", "psf.sigma_nm=130", "--set", "localizer.name=gaussian-mle",
]  # fmt: skip


def frame(k: int) -> np.ndarray:
    rng = np.random.default_rng(k)
    y, x = np.mgrid[:64, :64]
    light = np.full((64, 64), 8.0)
    for cx, cy in rng.uniform(5, 58, (4, 2)):
        light += 140 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.69))
    return (100 + rng.poisson(light)).astype(np.uint16)


def rtsmlm(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rtsmlm.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rows_are_those_of_the_finished_file(tmp_path: Path) -> None:
    movie, pause = tmp_path / "movie.tif", threading.Event()

    def record() -> None:
        with tifffile.TiffWriter(movie, bigtiff=True) as writer:
            for k in range(N_FRAMES):
                writer.write(frame(k), contiguous=False, metadata=None, photometric="minisblack")
                pause.wait(0.02)

    writer = threading.Thread(target=record)
    writer.start()
    said = rtsmlm("follow", movie, "--headless", "--idle", "5", "--out", tmp_path / "live", *STATED)
    writer.join()
    rtsmlm("reconstruct", movie, "--out", tmp_path / "again", *STATED)

    assert f"{N_FRAMES} received = {N_FRAMES} localized + 0 skipped; not recorded, 0 lost" in said
    live, _ = read_arrow_table(tmp_path / "live" / "localizations.arrows")
    again, _ = read_arrow_table(tmp_path / "again" / "localizations.arrows")
    assert len(live) > 500
    for name, column in live.columns().items():
        assert np.array_equal(column, again.columns()[name], equal_nan=True), name
    assert not (tmp_path / "live" / "raw.ome.zarr").exists()
