"""The window's own resolution, measured only where the run measures none."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rtsmlm.analysis.resolution import ResolutionFigures
from rtsmlm.localizations import Localizations
from rtsmlm.stream.messages import ResolutionMessage
from rtsmlm.viewer import live_resolution
from rtsmlm.viewer.live_resolution import LiveResolution

PATIENCE_S = 20.0


class Meter:
    """A meter that measures when the test lets it, and what the test says."""

    figure_nm = 40.0
    fails_with: Exception | None = None

    def __init__(self, shape_px: tuple[int, int], pixel_nm: float, *, repeats: bool) -> None:
        self.n_inside = 0
        self.measured = threading.Event()
        Meter.newest = self

    newest: Meter

    def add(self, rows: Localizations) -> None:
        self.n_inside += len(rows)

    def figures(self) -> ResolutionFigures:
        self.measured.set()
        if Meter.fails_with is not None:
            raise Meter.fails_with
        return ResolutionFigures(Meter.figure_nm)


@pytest.fixture
def resolution(monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveResolution]:
    monkeypatch.setattr(live_resolution, "ResolutionMeter", Meter)
    monkeypatch.setattr(live_resolution, "EVERY_S", 0.005)
    monkeypatch.setattr(Meter, "figure_nm", 40.0)
    monkeypatch.setattr(Meter, "fails_with", None)
    made = LiveResolution((64, 64), 100.0)
    yield made
    made.close()
    made.close()


def rows(*frames: int) -> Localizations:
    columns = {
        "frame": np.array(frames),
        "x_nm": np.ones(len(frames)),
        "y_nm": np.ones(len(frames)),
    }
    return Localizations.from_columns(columns)


def until(take: Callable[[], Any]) -> Any:
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.005)):
        if (found := take()) is not None:
            return found
        pause.wait(0.005)
    return pytest.fail("no resolution came")


def test_a_figure_comes_once_with_the_newest_frame_that_counts(
    resolution: LiveResolution,
) -> None:
    resolution.add([rows(3, 70, 20), rows()])

    assert until(resolution.take) == ResolutionMessage(frame=70, resolution_nm=40.0)
    assert resolution.take() is None


def test_without_new_rows_nothing_is_measured_again(resolution: LiveResolution) -> None:
    resolution.add([rows(1, 2)])
    until(resolution.take)
    Meter.newest.measured.clear()

    assert not Meter.newest.measured.wait(0.1)
    resolution.add([rows(9)])
    assert until(resolution.take).frame == 9


def test_a_resolution_that_has_not_converged_is_none(
    resolution: LiveResolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Meter, "figure_nm", math.nan)
    resolution.add([rows(1, 2)])

    assert Meter.newest.measured.wait(PATIENCE_S)
    assert resolution.take() is None


def test_a_measurement_that_fails_is_logged_and_the_window_goes_on(
    resolution: LiveResolution, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Meter, "fails_with", MemoryError("no room for two images"))
    resolution.add([rows(1, 2)])

    assert resolution._worker.wait(PATIENCE_S)
    resolution.add([rows(3)])
    assert resolution.take() is None
    assert "the resolution is no longer measured" in caplog.text
