"""The picture is drawn beside the event loop: the window takes what is finished and never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rtsmlm.localizations import Localizations
from rtsmlm.viewer.drawing_thread import DrawingThread, Shown
from rtsmlm.viewer.live_picture import Appearance, LivePicture, Picture
from rtsmlm.viewer.widgets.viewport import Viewport

_S = 60.0
CANVAS = (64, 48)


class Brake:
    """Holds the drawing back until the test lets go of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.may_go_on = threading.Event(), threading.Event()
        render = LivePicture.render

        def slow(picture: LivePicture, *given: Any, **more: Any) -> Picture | None:
            self.began.set()
            assert self.may_go_on.wait(_S)
            return render(picture, *given, **more)

        monkeypatch.setattr(LivePicture, "render", slow)


@pytest.fixture
def drawing() -> Iterator[DrawingThread]:
    made = DrawingThread()
    yield made
    made.close()
    made.close()


def some_rows(n: int) -> Localizations:
    return Localizations.from_columns(
        {"frame": np.arange(n), "x_nm": np.full(n, 3000.0), "y_nm": np.full(n, 2000.0)}
    )


def shown(nm_per_px: float = 100.0) -> Shown:
    return Shown(Viewport(3200.0, 3200.0, nm_per_px), CANVAS, Appearance())


def begun(drawing: DrawingThread, n_rows: int = 100) -> None:
    drawing.begin((64, 64), 100.0)
    drawing.add([some_rows(n_rows)])
    drawing.show(shown())


def test_the_picture_has_all_rows_that_were_handed_over_before(drawing: DrawingThread) -> None:
    begun(drawing, 100)
    drawing.add([some_rows(20)])

    assert drawing.finish(_S)
    drawn = drawing.take()
    assert drawn is not None
    assert drawn.n_inside == 120
    assert drawn.rgb.shape == (48, 64, 3)
    assert drawing.n_waiting == 0
    assert drawing.take() is None, "a picture is taken once"


def test_while_a_picture_is_being_drawn_the_window_goes_on(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], status: Any, app: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    window = open_window()
    brake = Brake(monkeypatch)
    source.next = {"rows": [rows()]}
    window.refresher.request()
    assert window.refresher.reading.finish(_S)
    window.refresher.show_newest()
    assert brake.began.wait(_S)

    source.next = {"status": status(frames_per_s=321.0)}
    window.refresher.request()
    assert window.refresher.reading.finish(_S)
    window.refresher.show_newest()
    app.processEvents()
    assert window.header.rate.text().startswith("321 frames/s")
    brake.may_go_on.set()


def test_a_picture_of_the_run_before_is_not_shown_in_the_next(
    drawing: DrawingThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    brake = Brake(monkeypatch)
    begun(drawing, 100)
    assert brake.began.wait(_S)
    drawing.begin((32, 32), 50.0)
    brake.may_go_on.set()

    assert drawing.finish(_S)
    drawn = drawing.take()
    assert drawn is not None
    assert drawn.n_inside == 0
    assert drawing.field is not None
    assert drawing.field.shape_px == (32, 32)


def test_a_change_of_the_viewport_is_drawn_without_new_rows(drawing: DrawingThread) -> None:
    begun(drawing)
    assert drawing.finish(_S)
    drawing.take()
    drawing.show(shown(20.0))

    assert drawing.finish(_S)
    drawn = drawing.take()
    assert drawn is not None
    assert drawn.viewport.nm_per_px == 20.0


def test_nothing_is_drawn_of_what_is_not_on_screen(drawing: DrawingThread) -> None:
    begun(drawing)
    assert drawing.finish(_S)
    drawing.take()
    drawing.show(None)
    drawing.add([some_rows(10)])

    assert drawing.finish(_S)
    assert drawing.take() is None


def test_rows_wait_in_order_and_are_counted_until_they_are_in_the_picture(
    drawing: DrawingThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    brake = Brake(monkeypatch)
    begun(drawing)
    assert brake.began.wait(_S)
    drawing.add([some_rows(30)])
    drawing.add([some_rows(40)])
    n_inside = drawing.submit(lambda picture: picture.pyramid and picture.pyramid.n_inside)
    assert drawing.n_waiting == 70

    brake.may_go_on.set()
    assert n_inside.result(_S) == 170
    assert drawing.n_waiting == 0


def test_what_cannot_be_drawn_is_a_sentence_and_the_next_picture_is_drawn(
    drawing: DrawingThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OverflowError("too wide")

    with monkeypatch.context() as patch:
        patch.setattr(LivePicture, "render", fail)
        begun(drawing)
        assert drawing.finish(_S)
    assert drawing.take_problem() == "not shown: OverflowError: too wide"
    assert drawing.take_problem() is None

    drawing.show(shown(20.0))
    assert drawing.finish(_S)
    assert drawing.take() is not None


def test_what_is_asked_of_a_picture_that_is_closed_is_cancelled(drawing: DrawingThread) -> None:
    drawing.close()

    assert drawing.submit(lambda picture: picture.version).cancelled()
