"""The camera driver that plays a recording of any format."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
import tifffile

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.session.devices import open_camera
from rtsmlm.settings.load import from_mapping


def test_the_frames_of_a_file_come_as_from_a_camera_that_belongs_to_no_core(tmp_path: Path) -> None:
    frames = np.arange(3 * 8 * 10, dtype=np.uint16).reshape(3, 8, 10)
    tifffile.imwrite(tmp_path / "cell.tif", frames, photometric="minisblack")
    replay = {"movie": str(tmp_path / "cell.tif"), "timing": "fast"}

    camera = open_camera(from_mapping({"camera": {"driver": "replay"}, "replay": replay}))
    played = [(frame.index, frame.pixels.tolist()) for frame in camera.stream(Event())]
    camera.close()
    camera.close()

    assert played == [(k, frames[k].tolist()) for k in range(3)]
    assert camera.core is None


def test_the_settings_of_the_movie_reach_its_reader(tmp_path: Path) -> None:
    pixels = np.arange(2 * 16 * 8, dtype="<u2")
    (tmp_path / "cell.raw").write_bytes(pixels.tobytes())
    settings = {
        "camera": {"driver": "replay"},
        "replay": {"movie": str(tmp_path / "cell.raw"), "timing": "fast"},
        "movie": {"height": 16, "width": 8, "dtype": "<u2"},
    }

    camera = open_camera(from_mapping(settings))
    shapes = [frame.pixels.shape for frame in camera.stream(Event())]
    camera.close()

    assert shapes == [(16, 8), (16, 8)]


@pytest.mark.parametrize(
    ("replay", "error", "says"),
    [
        ({}, ConfigError, r"set replay\.movie"),
        ({"movie": "nowhere.tif"}, (ConfigError, FileFormatError), "nowhere.tif"),
    ],
)
def test_replay_without_a_recording_is_a_wrong_setting(
    replay: dict[str, str], error: type[Exception], says: str
) -> None:
    settings = from_mapping({"camera": {"driver": "replay"}, "replay": replay})

    with pytest.raises(error, match=says):
        open_camera(settings)


def test_a_recording_that_is_followed_comes_as_from_a_camera_and_ends(tmp_path: Path) -> None:
    frames = np.arange(3 * 8 * 10, dtype=np.uint16).reshape(3, 8, 10)
    tifffile.imwrite(tmp_path / "cell.tif", frames, photometric="minisblack")
    replay = {"movie": str(tmp_path / "cell.tif"), "timing": "follow", "idle_s": 0.7}

    camera = open_camera(from_mapping({"camera": {"driver": "replay"}, "replay": replay}))
    played = [(frame.index, frame.pixels.tolist()) for frame in camera.stream(Event())]
    two = [frame.index for frame in camera.stream(Event(), 2)]
    camera.close()

    assert camera.name == "follow"
    assert played == [(k, frames[k].tolist()) for k in range(3)]
    assert two == [0, 1]
