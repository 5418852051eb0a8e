"""A run as a program without a window asks for it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from rtsmlm.localizations import Localizations
from rtsmlm.stream.messages import RunMessage
from rtsmlm.viewer.outside_view import OutsideView
from rtsmlm.viewer.sources.updates import CameraImage, RunUpdate

RUN = RunMessage(run="cell", run_id="a", shape=(40, 20), pixel_nm=100.0)


def rows(x_nm: list[float], y_nm: list[float]) -> Localizations:
    return Localizations.from_columns(
        {"frame": np.zeros(len(x_nm), np.int64), "x_nm": np.array(x_nm), "y_nm": np.array(y_nm)}
    )


class Script:
    """A source that says what it is told, and then that it is live."""

    name = "script"

    def __init__(self, *updates: RunUpdate) -> None:
        self.updates = list(updates)
        self.closed = False

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        return self.updates.pop(0) if self.updates else RunUpdate(connection="live")

    def close(self) -> None:
        self.closed = True


def follow(*updates: RunUpdate, until: Callable[[OutsideView], bool]) -> OutsideView:
    view = OutsideView(Script(*updates))
    deadline = time.monotonic() + 20
    while not until(view):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return view


def pixels_of(png: bytes) -> np.ndarray:
    """The gray values of a PNG of three equal colours."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    start = png.index(b"IDAT")
    size = int.from_bytes(png[start - 4 : start], "big")
    raw = np.frombuffer(zlib.decompress(png[start + 4 : start + 4 + size]), np.uint8)
    return raw.reshape(height, 3 * width + 1)[:, 1::3]


def test_the_image_has_each_localization_at_its_place() -> None:
    view = follow(
        RunUpdate(connection="live", run=RUN, rows=[rows([0.0, 1900.0], [0.0, 3900.0])]),
        until=lambda one: one._n_rows == 2,
    )
    image = pixels_of(view.last_image())
    view.close()

    assert image.shape == (400, 200)  # 4 by 2 um, 10 nm a pixel
    # The centres of the first and the last camera pixel, 50 nm from the corners.
    assert [tuple(place) for place in np.argwhere(image)] == [(5, 5), (395, 195)]


def test_another_run_begins_with_an_empty_image_and_no_old_status() -> None:
    other = RUN.model_copy(update={"run_id": "b", "run": "next"})
    view = follow(
        RunUpdate(connection="live", run=RUN, rows=[rows([0.0], [0.0])]),
        RunUpdate(connection="live", run=other),
        until=lambda one: one.status().get("run") == "next",
    )
    with pytest.raises(LookupError, match="no image of the localizations"):
        view.last_image()
    view.close()


def test_the_newest_camera_frame_is_shown_in_grays() -> None:
    frame = CameraImage(7, np.arange(200, dtype=np.uint16).reshape(10, 20), 2)
    view = follow(
        RunUpdate(connection="live", run=RUN, frame=frame),
        until=lambda one: one.status().get("run") == "cell",
    )
    image = pixels_of(view.last_image("camera"))
    view.close()

    assert image.shape == (10, 20)
    assert image[0, 0] == 0
    assert image[-1, -1] == 255


def test_before_anything_has_come_it_says_so_and_closing_closes_the_source() -> None:
    view = OutsideView(source := Script())

    assert view.status()["status"] == "nothing has come yet"
    assert view.resolution()["resolution"] is None
    assert view.ledger() == {"totals": None}
    view.close()
    view.close()
    assert source.closed
