"""A reconstruction: what differs is said or an error, what was assumed is compared and noted."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from rtsmlm.cli.reconstruct import folder_for
from rtsmlm.errors import FileFormatError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.frames import Pixels
from rtsmlm.offline.reconstruct import Reconstruction
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

QUICK = ("localizer.name=gaussian-mle", "psf.sigma_nm=130", "pipeline.validity=false")


def frames(n: int = 6, offset: float = 100.0, ceiling: int = 65535) -> Pixels:
    """One emitter of 3000 photons in each."""
    random = np.random.default_rng(5)
    mean = render_spots((24, 24), np.array([12.0]), np.array([12.0]), np.array([3000.0]), 1.3, 15.0)
    moved = np.array([np.roll(mean, random.integers(-5, 6, 2), axis=(0, 1)) for _ in range(n)])
    adu = random.poisson(moved) + offset + random.normal(0, 1.6, (n, 24, 24))
    return np.clip(np.round(adu), 0, ceiling).astype(np.uint16)


def images(folder: Path, pixels: Pixels, numbers: list[int]) -> Path:
    folder.mkdir()
    for number in numbers:
        tifffile.imwrite(folder / f"img_time{number:09d}.tif", pixels[number])
    return folder


Run = Callable[..., tuple[list[str], dict[str, Any], Path]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that reconstructs movies and returns notes, run.toml and the folder."""

    def reconstruct(
        *paths: Path, more: tuple[str, ...] = ()
    ) -> tuple[list[str], dict[str, Any], Path]:
        settings = load(None, [*QUICK, *more])
        folder = tmp_path / "out"
        with Reconstruction(paths, settings, lambda: RunFolder.create(tmp_path, "out")) as work:
            work.run(lambda done, found: None, lambda step: None)
            return work.notes, tomllib.loads((folder / "run.toml").read_text()), folder

    return reconstruct


def test_a_gap_in_image_files_keeps_the_numbers_and_stands_in_every_account(
    run: Run, tmp_path: Path
) -> None:
    movie = images(tmp_path / "cell", frames(8), [0, 1, 2, 5, 6, 7])

    notes, noted, folder = run(movie)

    table, _ = read_arrow_table(folder / "localizations.arrows")
    ledger = json.loads((folder / "ledger.json").read_text())
    assert np.unique(table.frame).tolist() == [0, 1, 2, 5, 6, 7]
    assert (ledger["localized"], ledger["lost"], ledger["ranges"]["lost"]) == (6, 2, [[3, 4]])
    said = "2 image files are missing: 3 to 4"
    assert any(said in note for note in notes)
    assert said in noted["run"]["movie"]["difference"]
    assert said in (folder / "report.html").read_text()


def test_what_differs_is_an_error_where_it_is_asked_to_be_and_leaves_no_folder(
    run: Run, tmp_path: Path
) -> None:
    gapped = images(tmp_path / "cell", frames(8), [0, 1, 2, 5, 6, 7])
    whole = images(tmp_path / "whole", frames(8), [0, 1, 2])

    with pytest.raises(FileFormatError, match=r"--strict.*2 image files are missing: 3 to 4"):
        run(gapped, more=("movie.strict=true",))
    assert not (tmp_path / "out").exists()
    run(whole, more=("movie.strict=true",))


def test_a_dark_value_above_the_pixels_is_said_before_the_run(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", frames(offset=2))

    with Reconstruction(
        [tmp_path / "movie.tif"], load(None, QUICK), lambda: RunFolder.create(tmp_path, "out")
    ) as work:
        assert any("below the dark value of 100 ADU that was assumed" in n for n in work.notes)
        assert not any("read noise of" in n and "was measured" in n for n in work.notes)


def test_saturated_pixels_are_counted_into_notes_run_toml_and_report(
    run: Run, tmp_path: Path
) -> None:
    pixels = frames(40, ceiling=300)
    tifffile.imwrite(tmp_path / "movie.tif", pixels, photometric="minisblack")

    notes, noted, folder = run(tmp_path / "movie.tif")

    n_full = int(np.count_nonzero(pixels == 300))
    assert noted["run"]["pixels"]["saturated_pixels"] == n_full
    assert any(f"{n_full} pixels are saturated (at 300 ADU)" in note for note in notes)
    assert f"<td>{n_full}</td>" in (folder / "report.html").read_text()


def test_a_movie_claims_no_microscope_and_its_run_toml_is_a_configuration(
    run: Run, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", frames())

    _, noted, folder = run(tmp_path / "movie.tif", more=("camera.offset_adu=99",))

    page = (folder / "report.html").read_text()
    for claim in ("micromanager", "sim_microscope", "driver", "safety", "lasers"):
        assert claim not in json.dumps(noted).replace("pymmcore", "")
        assert claim not in page
    assert load(folder / "run.toml").camera.offset_adu == 99
    assert isinstance(load(folder / "run.toml"), RunSettings)


def test_a_setting_that_replaces_what_the_movie_states_is_said(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(path, frames(), ome=True, metadata={"axes": "TYX", "PhysicalSizeX": 0.16})

    notes, *_ = run(path, more=("camera.pixel_nm=100",))

    assert "camera.pixel_nm = 100 replaces the 160 that is stated" in notes


def test_a_contradiction_of_the_metadata_is_settled_by_the_setting(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(
        path,
        frames(),
        ome=True,
        metadata={"axes": "TYX", "PhysicalSizeX": 0.1},
        resolution=(62500, 62500),
        resolutionunit="CENTIMETER",
    )

    with pytest.raises(FileFormatError, match="100 nm, the TIFF resolution one of 160 nm"):
        run(path, more=("movie.strict=true",))
    notes, noted, _ = run(path, more=("movie.strict=true", "camera.pixel_nm=160"))

    assert "camera.pixel_nm = 160 replaces the 100 that is stated" in notes
    assert "difference" not in noted["run"]["movie"]


def test_several_movies_are_one_run(run: Run, tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, frames(4), photometric="minisblack")

    _, noted, folder = run(tmp_path / "a.tif", tmp_path / "b.tif")

    table, _ = read_arrow_table(folder / "localizations.arrows")
    assert np.unique(table.frame).tolist() == list(range(8))
    assert "b.tif (4 frames)" in noted["run"]["movie"]["movies"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("2026.03.01 cell 1 50% ü.tif", "2026.03.01 cell 1 50% ü"),
        ("2026.03.02 cell 2 1.5mW.ome.tif", "2026.03.02 cell 2 1.5mW"),
        ("v1.2.raw", "v1.2"),
        ("cell.ome.zarr", "cell"),
        ("a.b.TIFF", "a.b"),
        ("no suffix", "no suffix"),
    ],
)
def test_the_whole_stem_of_a_name_is_that_of_the_folder(
    tmp_path: Path, name: str, folder: str
) -> None:
    settings = load(None, [f"results.out={tmp_path}"])

    made = folder_for(tmp_path / name, settings, None)

    assert made.path.name == folder
    made.release()


def test_a_drift_that_cannot_be_known_is_said_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", frames())

    notes, _, folder = run(tmp_path / "movie.tif", more=("drift.correct=true",))

    assert any("the drift is not known and none is taken off" in note for note in notes)
    assert not (folder / "drift.csv").exists()


def test_wrong_pixels_are_masked_said_and_kept_for_the_next_time(run: Run, tmp_path: Path) -> None:
    pixels = frames(40)
    pixels[:, 5, 7] += 300
    tifffile.imwrite(tmp_path / "movie.tif", pixels)
    notes, settings, folder = run(tmp_path / "movie.tif")
    rows, _ = read_arrow_table(folder / "localizations.arrows")

    assert any("1 pixel is masked: 1 hot" in note for note in notes)
    assert settings["camera"]["wrong_pixels"] == "wrong_pixels.csv"
    assert "7,5,hot" in (folder / "wrong_pixels.csv").read_text()
    assert load(folder / "run.toml").camera.wrong_pixels == folder / "wrong_pixels.csv"
    at_pixel = np.hypot(rows.x_nm - 700.0, rows.y_nm - 500.0) < 50.0
    assert np.count_nonzero(at_pixel) < 3


def test_wrong_pixels_are_left_as_they_are_where_that_is_asked_for(
    run: Run, tmp_path: Path
) -> None:
    pixels = frames(40)
    pixels[:, 5, 7] += 300
    tifffile.imwrite(tmp_path / "movie.tif", pixels)
    notes, settings, folder = run(tmp_path / "movie.tif", more=("camera.wrong_pixels=off",))

    assert not any("masked" in note for note in notes)
    assert settings["camera"]["wrong_pixels"] == "off"
    assert not (folder / "wrong_pixels.csv").exists()


def blinking(e_per_adu: float, offset: float) -> Pixels:
    """Emitters that are on for four frames, of a camera of which nothing is stated."""
    random = np.random.default_rng(6)
    mean = np.empty((64, 64, 64), dtype=np.float32)
    for k in range(0, 64, 4):
        x, y = random.uniform(2, 61, (2, 8))
        mean[k : k + 4] = render_spots((64, 64), x, y, np.full(8, 2500.0), 1.3, 20.0)
    adu = (random.poisson(mean) + random.normal(0, 1.6, mean.shape)) / e_per_adu + offset
    return np.clip(np.round(adu), 0, 65535).astype(np.uint16)


def test_gain_and_dark_value_that_nothing_states_are_measured_and_said(
    run: Run, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", blinking(0.46, 10.0))
    notes, settings, _ = run(tmp_path / "movie.tif")

    assert settings["camera"]["e_per_adu"] == pytest.approx(0.46, rel=0.2)
    assert settings["camera"]["offset_adu"] == pytest.approx(10.0, abs=10.0)
    assert any("not stated" in note and "by the noise of the frames" in note for note in notes)
    assert not any("assumed: " in n and "electrons per ADU" in n for n in notes)


def test_no_verdict_is_good_on_a_calibration_that_the_frames_contradict(
    run: Run, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", blinking(0.46, 100.0))
    stated = ("camera.e_per_adu=1.5", "camera.offset_adu=100", "pipeline.validity=true")
    notes, settings, folder = run(tmp_path / "movie.tif", more=stated)
    verdict = json.loads((folder / "validity.json").read_text())

    assert settings["camera"]["e_per_adu"] == 1.5
    assert verdict["verdict"] == "model: camera calibration"
    assert sum("stay in force" in note for note in notes) == 1


def test_of_a_short_movie_that_is_said(run: Run, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", blinking(0.46, 100.0)[:20])
    notes, _, _ = run(tmp_path / "movie.tif")

    assert any("20 frames are too few to tell the gain" in note for note in notes)
