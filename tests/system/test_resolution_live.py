"""A run that stops at a resolution and the window that watches it show the same number."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from rtsmlm.analysis.resolution import ResolutionFigures
from rtsmlm.feedback import resolution_monitor
from rtsmlm.session.session import Session
from rtsmlm.viewer import update_reader
from rtsmlm.viewer.series import RunSeries
from rtsmlm.viewer.sources.stream_source import StreamSource
from rtsmlm.viewer.update_reader import UpdateReader

FIGURES_NM = (61.0, 40.0, 33.3, 24.87, 20.0)


class Meter:
    """Measures what the test says, one figure after another."""

    def __init__(self, shape_px: tuple[int, int], pixel_nm: float, *, repeats: bool) -> None:
        self._figures = iter(FIGURES_NM)
        self._last = FIGURES_NM[-1]

    n_inside = 0

    def add(self, rows: Any) -> None:
        self.n_inside += len(rows)

    def figures(self) -> ResolutionFigures:
        return ResolutionFigures(next(self._figures, self._last), 50.0, 8.0, 6.5)


class CompiledAlready:
    """Stands in for the compiling: nothing is drawn here."""

    is_done = True

    def close(self) -> None: ...


class NoMeasurement:
    """The window's own measurement; must not give anything here."""

    def __init__(self, shape_px: tuple[int, int], pixel_nm: float) -> None: ...

    def add(self, batches: Any) -> None: ...

    def take(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("process", ["false", "true"])
def test_the_number_that_ends_the_run_is_the_last_one_in_the_window(
    spot_camera: Callable[..., Any],
    quick_settings: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    process: str,
) -> None:
    monkeypatch.setattr(resolution_monitor, "ResolutionMeter", Meter)
    monkeypatch.setattr(resolution_monitor, "_PAUSE_S", 0.7)
    # The first reading of a table loads libraries, for which the next measurement would wait.
    monkeypatch.setattr(resolution_monitor, "_SHARE", 1.0)
    monkeypatch.setattr(update_reader, "LiveResolution", NoMeasurement)
    monkeypatch.setattr(update_reader, "WarmUp", CompiledAlready)
    settings = quick_settings(
        "feedback.stop.resolution_nm=25", "feedback.tick_s=0.2", "record.raw=false",
        f"pipeline.process={process}",
    )  # fmt: skip
    series, reader = RunSeries(), UpdateReader()
    session = Session(spot_camera(period_s=0.002), settings)
    shown: list[float] = []
    try:
        session.start()
        source = StreamSource(str(session.stream_address))
        try:
            end_s = time.monotonic() + 60
            connection = "waiting"
            closed = False
            while connection != "ended" and time.monotonic() < end_s:
                if not closed and session.camera_ended.is_set():
                    session.close()
                    closed = True
                update = reader.read(source)
                assert update is not None
                connection = update.connection
                series.add(update)
                if update.resolution is not None:
                    shown.append(update.resolution.resolution_nm)
                time.sleep(0.02)
        finally:
            source.close()
    finally:
        session.stop()
        report = session.close()
        reader.close()

    assert report.ok, report.failures
    assert report.ended_by == "a resolution of 24.9 nm, 25 were asked for"
    assert shown[-1] == series.curves["resolution_nm"].last == 24.87
    assert series.curves["decorrelation_nm"].last == 50
    assert series.curves["nyquist_nm"].last == 8
    assert series.curves["nena_nm"].last == 6.5
    assert shown == sorted(shown, reverse=True)
    assert set(shown) <= set(FIGURES_NM)
