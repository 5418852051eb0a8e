"""The resolution beside the window: new figures arrive, and the death of its thread is logged."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

import numpy as np
import pytest

from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.localizations import Localizations
from rtsmlm.viewer import live_resolution
from rtsmlm.viewer.live_resolution import LiveResolution

WAIT_S = 20.0


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_resolution, "EVERY_S", 0.001)


def rows(n: int) -> Localizations:
    x = np.linspace(100.0, 900.0, n)
    return Localizations.from_columns(
        {"frame": np.zeros(n), "x_nm": x, "y_nm": x, "photons": np.full(n, 500.0)}
    )


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_figure_is_given_once_and_measured_again_only_for_new_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[float] = []

    def measure(self: ResolutionMeter) -> float:
        measured.append(math.nan if not measured else 20.0 + len(measured))
        return measured[-1]

    monkeypatch.setattr(ResolutionMeter, "resolution_nm", measure)
    resolution = LiveResolution((10, 10), 100.0)
    try:
        resolution.add([rows(50)])
        until(lambda: len(measured) == 1)
        assert resolution.take() is None  # not finite: no figure
        resolution.add([rows(50)])
        found: list[float] = []

        def take() -> list[float]:
            if (message := resolution.take()) is not None:
                found.append(message.resolution_nm)
            return found

        until(take)
    finally:
        resolution.close()
        resolution.close()

    assert found == [21.0]
    assert resolution.take() is None
    assert len(measured) == 2


def test_the_death_of_its_thread_is_logged_as_an_error_and_closing_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: ResolutionMeter) -> float:
        raise MemoryError("no room for a map")

    monkeypatch.setattr(ResolutionMeter, "resolution_nm", fail)
    resolution = LiveResolution((10, 10), 100.0)
    resolution.add([rows(50)])
    until(lambda: any(r.levelno >= logging.ERROR for r in caplog.records))
    resolution.close()

    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.getMessage() == "the resolution is no longer measured"
    assert record.exc_info is not None
    assert "MemoryError: no room for a map" in caplog.text
