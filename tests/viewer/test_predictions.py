"""Predictions of a run that goes on: offered, shown over the rows, labelled, replaced by more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tifffile import TiffFile

from rtsmlm.errors import FileFormatError
from rtsmlm.protocols import ImageLayer
from rtsmlm.render.layer_file import write_layer
from rtsmlm.stream.messages import FrameMessage, LayerMessage
from rtsmlm.viewer.sources.stream_inbox import StreamInbox
from rtsmlm.viewer.sources.updates import layer_from_message


def layer(x_px: int, n_frames: int) -> ImageLayer:
    """Return a prediction of fine pixels of 50 nm with light in one place."""
    image = np.zeros((128, 128), np.float32)
    image[90:100, x_px : x_px + 10] = 7.0
    return ImageLayer("tubes", 50.0, image, n_frames=n_frames)


def test_a_prediction_is_shown_as_it_grows_and_the_file_of_the_whole_takes_its_place(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    window = open_window()
    source.next = {"rows": [rows()], "layers": [layer(20, 12)]}
    run_on(window, 5)
    tools, canvas = window.super_res.tools, window.super_res.canvas
    tools.strip.buttons["layers"].click()
    box, opacity = tools.layers.predictions["tubes"]
    box.click()
    opacity.setValue(100)
    run_on(window, 5)
    assert canvas.labels == ("predicted by tubes, 12 frames",)

    def light(x_nm: float) -> int:
        at = canvas.point_at(x_nm, 4700)
        return int(canvas.picture.rgb[round(at.y()), round(at.x())].max())

    assert light(1200) > 200
    source.next = {"layers": [layer(40, 30)]}
    run_on(window, 5)
    assert canvas.labels == ("predicted by tubes, 30 frames",)
    assert light(1200) == 0
    assert light(2200) > 200
    assert len(tools.layers.predictions) == 1

    window.export(tmp_path / "seen.tif")
    window.exporter.close()
    with TiffFile(tmp_path / "seen.tif") as file:
        stated = json.loads(file.pages[0].description)
    assert stated["predictions_in_png"] == ["predicted by tubes, 30 frames"]

    # That of all rows begins 500 nm left of the frames, at -100 nm: these begin at -50 nm.
    write_layer(tmp_path, replace(layer(60, 50), corner_nm=(-550.0, -50.0)))
    source.connection = "ended"
    source.next = {"folder": tmp_path}
    run_on(window, 8)
    assert canvas.labels == ("predicted by tubes, 50 frames",)
    assert light(2700) > 200
    assert light(3200) == 0


def test_how_unsure_a_prediction_is_has_a_switch_and_a_label_of_its_own(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    made = replace(layer(20, 0), n_localizations=3400)
    unsure = replace(made, image=0.5 * made.image, quantity="uncertainty")
    source.next = {"rows": [rows()], "layers": [made, unsure]}
    run_on(window, 5)
    tools, canvas = window.super_res.tools, window.super_res.canvas
    tools.strip.buttons["layers"].click()
    box, opacity = tools.layers.predictions["tubes: uncertainty"]
    assert box.text() == "uncertainty: tubes"
    box.click()
    opacity.setValue(100)
    run_on(window, 5)

    assert canvas.labels == ("uncertainty of what tubes predicts, 3400 localizations",)
    at = canvas.point_at(1200, 4700)
    red, green, blue = canvas.picture.rgb[round(at.y()), round(at.x())].tolist()
    assert red > 2 * max(green, blue)
    assert 90 < red < 220, "half as bright as what it belongs to, whose white level it has"


def test_a_label_is_written_into_the_picture_and_changes_nothing_else(app: Any) -> None:
    from rtsmlm.viewer.widgets.picture_labels import labelled

    rgb = np.full((200, 501, 3), 90, np.uint8)

    written = labelled(rgb, ("predicted by tubes",))

    assert labelled(rgb, ()) is rgb
    assert (rgb == 90).all()
    changed = np.argwhere((written != rgb).any(axis=2))
    assert len(changed) > 100
    assert changed[:, 0].max() < 50, "at the top"
    assert changed[:, 1].min() > 250, "on the right"


def test_the_newest_of_each_prediction_waits_for_the_window_and_their_number_is_bounded() -> None:
    inbox = StreamInbox("tcp://127.0.0.1:1")
    pixels = np.arange(6, dtype="<u2").tobytes()
    for k in range(40):
        stated = LayerMessage(
            name=f"net {k % 20}", n_frames=k, shape=(2, 3), pixel_nm=25.0, step=0.5
        )
        inbox.note_message(stated, pixels)

    layers = inbox.take("live", 0, 1000).layers

    assert len(layers) == 16
    assert layers[0].n_frames == 20
    np.testing.assert_allclose(layers[0].image, [[0.0, 0.5, 1.0], [1.5, 2.0, 2.5]])
    assert not inbox.take("live", 0, 1000).layers
    with pytest.raises(FileFormatError, match="2 x 3 pixels"):
        layer_from_message(stated, pixels[:-2])
    with pytest.raises(FileFormatError):
        inbox.note_message(FrameMessage(index=1, shape=(2, 3), binning=1), pixels[:-2])
