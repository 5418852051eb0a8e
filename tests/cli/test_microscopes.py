"""`rtsmlm microscopes`: what is listed, shown of a file, and saved as one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from rtsmlm.cli import app
from rtsmlm.microscopes.database import OWN_FOLDER_VARIABLE, known_cameras

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(OWN_FOLDER_VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["microscopes", *map(str, arguments)])
    assert result.exit_code == 0, result.exception
    return result.output


def test_cameras_and_the_folder_of_ones_own_are_listed(own_folder: Path) -> None:
    listed = run()

    assert "Hamamatsu" in listed
    assert str(own_folder) in listed.replace("\n", "")


def test_the_lasers_of_a_configuration_are_shown_without_loading_it(tmp_path: Path) -> None:
    path = tmp_path / "rig.cfg"
    path.write_text("Device,L405,Omicron,Omicron\nDevice,AO,NIDAQ,NIDAQAO-Dev1/ao0\n")

    shown = run(path)

    assert "omicron" in shown
    assert "nidaq" in shown


def test_the_camera_of_a_movie_is_saved_and_known_from_then_on(
    tmp_path: Path, own_folder: Path
) -> None:
    movie = tmp_path / "cell.ome.tif"
    tags = {
        "Camera": "Cam", "Cam-CameraName": "C11440-22CU", "Cam-CameraID": "S/N: 9",
        "Cam-CONVERSION FACTOR COEFF": "0.48", "Cam-Binning": "2x2",
    }  # fmt: skip
    import json

    tifffile.imwrite(
        movie,
        np.zeros((3, 32, 32), np.uint16) + 100,
        metadata=None,
        extratags=[(51123, "s", 0, json.dumps(tags), True)],
    )

    run(movie, "--save", "left")

    mine = [(camera, origin) for camera, origin in known_cameras() if camera.name == "left"]
    assert [origin for _, origin in mine] == [str(own_folder / "left.toml")]
    assert mine[0][0].when == {"CameraID": "S/N: 9"}
    assert mine[0][0].modes[0].when == {"Binning": "2x2"}
    assert mine[0][0].modes[0].figures["e_per_adu"] == 0.48
