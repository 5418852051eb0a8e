"""Fixtures of the window: an application without a screen, a source that is fed by the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.localizations import Localizations
from rtsmlm.stream.messages import DensityMessage, RunMessage, StatusMessage
from rtsmlm.viewer.commands import Command
from rtsmlm.viewer.sources.updates import CameraImage, RunUpdate

# Before anything imports Qt.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

_COMPILE_S = 300.0
"""On a machine that has compiled nothing yet."""

_WAIT_S = 60.0

SHAPE, PIXEL_NM = (64, 64), 100.0
SETTINGS = {
    "acquisition": {"exposure_ms": 12.5},
    "micromanager": {"roi": None},
    "record": {"raw": True},
    "feedback": {"gain": 0.25, "max_local_per_um2": 0.3},
}


class FakeSource:
    """Returns what the test has put in `next`, as plain data or as records, with the next poll."""

    name = "fake run"

    def __init__(self) -> None:
        self.connection: Any = "live"
        self.about: dict[str, Any] = {
            "run": "fake", "shape": list(SHAPE), "pixel_nm": PIXEL_NM, "settings": SETTINGS,
        }  # fmt: skip
        self.next: dict[str, Any] = {}
        self.behind_bytes = 0
        self.polls, self.closed = 0, 0

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        self.polls += 1
        update, self.next = self.next, {}
        if isinstance(status := update.get("status"), dict):
            update["status"] = StatusMessage.model_validate(status)
        update["densities"] = [
            DensityMessage.model_validate(density) for density in update.get("densities", ())
        ]
        return RunUpdate(
            connection=self.connection,
            run=RunMessage.model_validate(self.about) if self.about else None,
            behind_bytes=self.behind_bytes,
            **update,
        )

    def close(self) -> None:
        self.closed += 1


class FakeControl:
    """Keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[Command] = []

    def ask(self, command: Command) -> None:
        self.asked.append(command)


@pytest.fixture(scope="session")
def app() -> Any:
    """Return the application, or skip where there is no toolkit."""
    pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)
    pytest.importorskip("pyqtgraph")
    from rtsmlm.viewer.app import application

    return application()


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def open_window(app: Any, tmp_path: Path, source: FakeSource) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a window of 1280 x 800, ready to draw, closed after the test."""
    from rtsmlm.viewer.live_widget import LiveWidget

    windows: list[Any] = []

    def make(
        control: Any = None, *, walk: bool = False, size: tuple[int, int] = (1280, 800), **more: Any
    ) -> Any:
        file = more.pop("settings_file", tmp_path / "window.ini")
        window = LiveWidget(more.pop("source", source), control, settings_file=file, **more)
        windows.append(window)
        if not walk:
            window.preferences.set("walk_through_seen", True)
        window.refresher.timer.stop()  # the test says when
        window.resize(*size)
        window.show()
        assert window.refresher.reader._warm_up._worker.wait(_COMPILE_S)
        settle(window, app)
        return window

    yield make
    for window in windows:
        window.shut_down()  # what goes on there may not be asked about any more
        window.close()
        window.deleteLater()
    app.sendPostedEvents(None, 0)
    app.processEvents()


def settle(window: Any, app: Any, ticks: int = 3) -> None:
    """Let a window take what is new and draw it."""
    for _ in range(ticks):
        window.refresher.plots_at_s = 0.0
        window.refresher.request()
        assert window.refresher.reading.finish(_WAIT_S)
        window.refresher.show_newest()
        assert window.super_res.drawing.finish(_WAIT_S)
        app.processEvents()


@pytest.fixture
def run_on(app: Any) -> Callable[..., None]:
    """Return a function that lets a window take what is new and draw it."""

    def run(window: Any, ticks: int = 3) -> None:
        settle(window, app, ticks)

    return run


def make_rows(n: int = 500, at_nm: tuple[float, float] = (3000.0, 2000.0), **more: Any) -> Any:
    """Return rows around a place."""
    rng = np.random.default_rng(n)
    columns: dict[str, Any] = {
        "frame": np.arange(n),
        "x_nm": rng.normal(at_nm[0], 60, n),
        "y_nm": rng.normal(at_nm[1], 60, n),
        "photons": rng.gamma(4, 250, n),
        "background": rng.gamma(9, 2, n),
        "std_x_nm": rng.gamma(9, 1, n),
        "std_y_nm": rng.gamma(9, 1, n),
        "probability": np.ones(n),
    }
    return Localizations.from_columns(columns | more)


@pytest.fixture
def rows() -> Callable[..., Localizations]:
    return make_rows


@pytest.fixture
def camera_image(rng: np.random.Generator) -> Callable[..., CameraImage]:
    """Return a function that makes a noisy frame."""

    def make(index: int = 0, scale: float = 1.0) -> CameraImage:
        pixels = rng.poisson(100 * scale, SHAPE).astype(np.uint16)
        return CameraImage(index, pixels, 1)

    return make


def make_status(**more: Any) -> dict[str, Any]:
    """Return the plain data of a status message."""
    loop = {
        "laser": "activation", "unit": "mW", "power": 4.5, "cap": 60.0, "wanted": 4.6,
        "armed": True, "tripped": None, "state": "steer", "dose": 12.0, "target_per_um2": 0.05,
        "powers": {"activation": 4.5, "readout": 84.0}, "not_dark": (), "data_age_s": 0.4,
        "seen_dark": False,
    }  # fmt: skip
    totals = {
        "camera": 1000, "received": 1000, "recorded": 990, "localized": 997, "skipped": 0,
        "lost": 0, "in_ring": 3,
    }  # fmt: skip
    status = {
        "totals": totals, "frames_per_s": 100.0, "localizations": 5000, "emitters_per_frame": 25.0,
        "p50_ms": 3.5, "p99_ms": 12.0, "backlog": 1, "recorder_backlog": 0, "model": "model ok",
        "loop": loop, "validity": {"verdict": "model ok", "findings": []}, "restarts": 0,
        "latency_ms": {"total": {"p50": 3.5, "p99": 12.0}},
        "recording": True, "disk_free_mb": 60_000.0, "disk_mb_per_s": 12.5, "exposure_ms": 10.0,
        "warnings": [],
    }  # fmt: skip
    return status | more


@pytest.fixture
def status() -> Callable[..., dict[str, Any]]:
    return make_status
