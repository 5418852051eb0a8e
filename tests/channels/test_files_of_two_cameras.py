"""Recordings of two cameras, a file each: the commands make of them what they make of one chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import tomli_w
from typer.testing import CliRunner

from rtsmlm.cli import app
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.settings.load import load

OFFSETS = (100, 340)
"""Dark values of the two cameras."""


def command(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture
def movies(tmp_path: Path, two_colours: Any) -> dict[str, Path]:
    """One movie of the whole frame, and one of each half; `bright` has another dark value."""
    pixels = two_colours.draw(np.random.default_rng(5), 6, 1500.0).batch.pixels
    left, right = np.split(pixels, 2, axis=2)
    parts = {
        "whole": pixels,
        "short": left,
        "long": right,
        "bright": right + np.uint16(OFFSETS[1] - OFFSETS[0]),
        "cut": right[:5],
    }
    paths = {name: tmp_path / f"{name}.tif" for name in parts}
    for name, part in parts.items():
        tifffile.imwrite(paths[name], part, photometric="minisblack")
    return paths


@pytest.fixture
def rig(tmp_path: Path, two_colours: Any) -> Path:
    channels = two_colours.channels.model_dump(mode="json", include={"names", "views", "fractions"})
    camera = {"offset_adu": 100.0, "e_per_adu": 1.0, "read_noise_e": 1.6, "pixel_nm": 100.0}
    settings = {"camera": camera, "channels": channels, "psf": {"sigma_nm": 130.0}}
    path = tmp_path / "rig.toml"
    path.write_text(tomli_w.dumps(settings), encoding="utf-8")
    return path


def reconstructed(out: Path, rig: Path, *arguments: object) -> dict[str, np.ndarray]:
    command("reconstruct", *arguments, "-c", rig, "--out", out)
    rows, _ = read_arrow_table(out / "localizations.arrows")
    assert len(rows) > 100
    names = ("frame", "x_nm", "y_nm", "photons", "background", "std_x_nm", "channel")
    return {name: getattr(rows, name) for name in names} | dict(rows.extras)


def test_two_files_give_the_rows_of_the_one_movie_that_holds_both(
    tmp_path: Path, rig: Path, movies: dict[str, Path]
) -> None:
    one = reconstructed(tmp_path / "one", rig, movies["whole"])

    two = reconstructed(tmp_path / "two", rig, movies["short"], movies["long"], "--side-by-side")

    for name, values in one.items():
        np.testing.assert_array_equal(two[name], values, err_msg=name)


def test_each_camera_has_a_dark_value_of_its_own(
    tmp_path: Path, rig: Path, movies: dict[str, Path]
) -> None:
    one = reconstructed(tmp_path / "one", rig, movies["whole"])
    each = [{"offset_adu": float(offset)} for offset in OFFSETS]
    more = tmp_path / "each.toml"
    more.write_text(tomli_w.dumps({"camera": {"each": each}}), encoding="utf-8")
    files = (movies["short"], movies["bright"], "--side-by-side")

    two = reconstructed(tmp_path / "two", rig, *files, "-c", more)

    for name in ("frame", "channel"):
        np.testing.assert_array_equal(two[name], one[name])
    for name in ("x_nm", "y_nm", "photons", "background"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4)
    camera = load(tmp_path / "two" / "run.toml").camera
    assert [(one.offset_adu, one.size) for one in camera.each] == [
        (100.0, (96, 96)),
        (340.0, (96, 96)),
    ]


def test_files_of_different_length_are_one_sentence_and_no_folder(
    tmp_path: Path, rig: Path, movies: dict[str, Path]
) -> None:
    with pytest.raises(FileFormatError, match=r"has 6 frames, .*cut\.tif 5, .* save both movies"):
        reconstructed(tmp_path / "two", rig, movies["short"], movies["cut"], "--side-by-side")

    assert not (tmp_path / "two").exists()


@pytest.fixture
def beads(tmp_path: Path, two_colours: Any) -> dict[str, list[Path]]:
    """Two places of beads: a file of the whole frame of each, or one of each half."""
    files: dict[str, list[Path]] = {"whole": [], "halves": []}
    for place in range(2):
        scene = two_colours.draw(np.random.default_rng(place), 1, 40_000.0)
        [frame] = scene.batch.pixels
        parts = {"whole": [frame], "halves": np.split(frame, 2, axis=1)}
        for kind, images in parts.items():
            for k, image in enumerate(images):
                path = tmp_path / f"{kind}{place}{k}.tif"
                tifffile.imwrite(path, image[None], photometric="minisblack")
                files[kind].append(path)
    return files


def test_beads_of_two_files_a_place_register_the_views_as_those_of_one(
    tmp_path: Path, beads: dict[str, list[Path]]
) -> None:
    named = ("calibrate", "channels", "--names", "short,long", "--set", "camera.offset_adu=100")

    command(*named, *beads["whole"], "--out", tmp_path / "one")
    command(*named, *beads["halves"], "--side-by-side", "--out", tmp_path / "two")

    one, two = (load(tmp_path / name / "channels.toml").channels for name in ("one", "two"))
    assert two == one


def test_a_place_without_the_file_of_a_camera_is_refused(beads: dict[str, list[Path]]) -> None:
    with pytest.raises(ConfigError, match="3 files are no whole places of 2 cameras"):
        command("calibrate", "channels", *beads["halves"][:3], "--side-by-side")


def test_dyes_are_measured_on_two_files_as_on_one(
    tmp_path: Path, rig: Path, two_colours: Any
) -> None:
    whole, halves = [], []
    for dye, name in enumerate(("AF647", "CF680")):
        pixels = two_colours.draw(np.random.default_rng(dye), 6, 1500.0, only=dye).batch.pixels
        for part, images in zip("wlr", (pixels, *np.split(pixels, 2, axis=2)), strict=True):
            path = tmp_path / f"{name}-{part}.tif"
            tifffile.imwrite(path, images, photometric="minisblack")
            (whole if part == "w" else halves).append(f"{name}={path}")

    command("calibrate", "dyes", *whole, "-c", rig, "--out", tmp_path / "one.toml")
    command(
        "calibrate", "dyes", *halves, "-c", rig, "--side-by-side", "--out", tmp_path / "two.toml"
    )

    assert (tmp_path / "one.toml").read_text() == (tmp_path / "two.toml").read_text()
