"""Recordings that we did not make: they open, and what is found is plausible or true."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.localizations import Localizations

Data = Callable[[str], Path]


def rtsmlm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rtsmlm.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def reconstruct(movie: Path, out: Path, *settings: str) -> tuple[Localizations, str]:
    options = [text for setting in settings for text in ("--set", setting)]
    done = rtsmlm("reconstruct", movie, "--out", out, *options)
    return read_arrow_table(out / "localizations.arrows")[0], done.stdout + done.stderr


def test_the_2013_tubulins_agree_with_their_truth(data_dir: Data, tmp_path: Path) -> None:
    folder = data_dir("tubulins1_2013")
    run = tmp_path / "run"
    reconstruct(
        folder / "frames.tif", run,
        "camera.pixel_nm=150", "camera.offset_adu=100",
    )  # fmt: skip

    rtsmlm(
        "evaluate", run, folder / "truth.csv", "--pixel-nm", "150", "--json", tmp_path / "f.json"
    )

    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["jaccard"] >= 0.95
    assert figures["rmse_lateral_nm"] <= 20


def test_dna_paint_from_micro_manager_takes_its_camera_from_the_metadata(
    data_dir: Data, tmp_path: Path
) -> None:
    folder = data_dir("dnapaint_micromanager")
    movie = next(folder.glob("*.ome.raw"))

    table, said = reconstruct(movie, tmp_path / "run")

    assert "100 frames of 30x30" in said
    assert len(table) > 50
    assert np.nanmedian(table.photons) > 200


def test_storm_on_an_scmos_with_its_maps(data_dir: Data, tmp_path: Path) -> None:
    folder = data_dir("storm_scmos")

    table, said = reconstruct(
        folder / "sample.dax", tmp_path / "run", "camera.pixel_nm=160",
        f"camera.maps.stack={folder / 'calib.npy'}", "camera.maps.order=offset,variance,gain",
        "camera.maps.transpose=true",
    )  # fmt: skip

    assert "11 frames of 256x256" in said
    assert len(table) > 100
    assert np.nanmedian(table.std_x_nm) < 60


def test_single_dyes_from_an_spe_file(data_dir: Data, tmp_path: Path) -> None:
    table, said = reconstruct(data_dir("af647_spe") / "movie.SPE", tmp_path / "run")

    assert "10 frames of 128x128" in said
    assert len(table) > 10


def test_the_test_movie_of_picasso(data_dir: Data, tmp_path: Path) -> None:
    movie = data_dir("picasso_raw") / "testdata.raw"
    frames = np.fromfile(movie, "<u2").reshape(100, 32, 32)
    with_emitter = np.flatnonzero(frames.max(axis=(1, 2)) > 400)  # the background ends at 320

    table, said = reconstruct(movie, tmp_path / "run")

    assert "100 frames of 32x32" in said
    assert "PSF sigma 131 nm" in said, "simulated with 0.82 px of 160 nm"
    assert set(with_emitter.tolist()) <= set(table.frame.tolist())
    assert len(with_emitter) <= len(table) <= 1.5 * len(with_emitter)
