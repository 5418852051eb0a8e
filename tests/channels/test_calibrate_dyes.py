"""The command that measures dyes: from single-dye samples to the settings of a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import tomli_w
from typer.testing import CliRunner

from rtsmlm.cli.calibrate import app
from rtsmlm.errors import ConfigError
from rtsmlm.settings.load import load


@pytest.fixture
def camera(tmp_path: Path, two_colours: Any) -> Path:
    views = two_colours.channels.model_dump(mode="json", include={"views"})
    camera = {"offset_adu": 100.0, "e_per_adu": 1.0, "read_noise_e": 1.6, "pixel_nm": 100.0}
    path = tmp_path / "rig.toml"
    path.write_text(tomli_w.dumps({"camera": camera, "channels": views}), encoding="utf-8")
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["dyes", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_shares_of_single_dye_samples_become_the_settings_that_tell_them_apart(
    tmp_path: Path, camera: Path, two_colours: Any
) -> None:
    movies = []
    for dye, name in enumerate(("AF647", "CF680")):
        scene = two_colours.draw(np.random.default_rng(dye), 10, 1500.0, only=dye)
        tifffile.imwrite(tmp_path / f"{name}.tif", scene.batch.pixels)
        movies.append(f"{name}={tmp_path / name}.tif")
    out = tmp_path / "dyes.toml"

    output = run(*movies, "-c", str(camera), "--out", str(out), "--set", "psf.sigma_nm=130")

    channels = load([camera, out]).channels
    assert channels.names == ("AF647", "CF680")
    assert np.array(channels.fractions) == pytest.approx(np.array(two_colours.fractions), abs=0.01)
    assert channels.spread < 0.02
    crosstalk = re.search(r"AF647: ([0-9.]+) % taken for CF680", output)
    assert crosstalk is not None
    assert float(crosstalk.group(1)) < 2.0


def test_dyes_need_views(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run rtsmlm calibrate channels first"):
        run(f"AF647={tmp_path / 'a.tif'}")


def test_a_movie_without_the_name_of_its_dye_is_refused(camera: Path) -> None:
    with pytest.raises(ConfigError, match="is not NAME=MOVIE"):
        run("af647.tif", "-c", str(camera))
