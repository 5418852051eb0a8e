"""A sink of a lab gets every row, and can neither stop nor slow the run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rtsmlm import plugins
from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.read import read_table
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline import sinks
from rtsmlm.pipeline.sinks import SinkThread, check_sinks
from rtsmlm.plugins import RunFacts
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings


def rows(frame: int, n: int = 2) -> Localizations:
    zero = np.zeros(n, np.float32)
    return Localizations.from_columns(
        {"frame": np.full(n, frame, np.int64), "x_nm": zero, "y_nm": zero}
    )


class Collector:
    """A sink in memory."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.threads: set[str] = set()
        self.closed = 0
        self.fails_at: set[int] = set()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def put(self, localizations: Localizations) -> None:
        self.may_go_on.wait(30)
        if not len(localizations):
            return
        self.threads.add(threading.current_thread().name)
        frame = int(localizations.frame[0])
        if frame in self.fails_at:
            raise OSError(f"no space for frame {frame}")
        self.frames += localizations.frame.tolist()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def warnings() -> list[str]:
    return []


def test_rows_arrive_in_order_on_a_thread_of_the_sinks_own(warnings: list[str]) -> None:
    sink = Collector()
    thread = SinkThread("mine", sink, warnings.append)

    for frame in range(50):
        thread.put(rows(frame))
    thread.close()

    assert sink.frames == np.repeat(np.arange(50), 2).tolist()
    assert sink.threads == {"rtsmlm-sink-mine"}
    assert sink.closed == 1
    assert warnings == []


def test_a_failing_sink_is_reported_once_counted_and_given_the_next_rows(
    warnings: list[str],
) -> None:
    sink = Collector()
    sink.fails_at = {3, 4}
    thread = SinkThread("mine", sink, warnings.append)

    for frame in range(10):
        thread.put(rows(frame, 1))
    thread.close()

    assert sink.frames == [0, 1, 2, 5, 6, 7, 8, 9]
    assert warnings == [
        "the sink mine failed: OSError: no space for frame 3; the run goes on",
        "the sink mine lacks 2 of 10 batches (2 failed, 0 dropped)",
    ]


def test_a_slow_sink_misses_rows_and_holds_nothing_up(
    warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "_MOST_BATCHES", 4)
    sink = Collector()
    sink.may_go_on.clear()
    thread = SinkThread("mine", sink, warnings.append)

    for frame in range(40):
        thread.put(rows(frame, 1))
    sink.may_go_on.set()
    thread.close()

    assert thread.taken + thread.dropped == 40
    assert thread.taken in (4, 5), "what was in the queue, and what it was working on"
    assert sink.frames == sorted(sink.frames)
    assert len(warnings) == 2
    assert "is too slow" in warnings[0]
    assert f"{thread.dropped} dropped" in warnings[1]


def test_a_sink_that_hangs_is_left_behind(warnings: list[str]) -> None:
    sink = Collector()
    sink.may_go_on.clear()
    thread = SinkThread("mine", sink, warnings.append)
    thread.put(rows(0))

    thread.close(0.05)

    assert warnings == ["the sink mine did not end within 0.05 s; it was left"]
    sink.may_go_on.set()
    thread._thread.join(10)


def test_a_sink_that_fails_to_close_is_reported(warnings: list[str]) -> None:
    class Stuck(Collector):
        def close(self) -> None:
            raise OSError("disk full")

    SinkThread("mine", Stuck(), warnings.append).close()

    assert warnings == ["the sink mine could not be closed: OSError: disk full"]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Collector:
    """Install two sinks: `good`, which is returned, and `broken`, which does not open."""
    good = Collector()
    module = ModuleType("my_lab_sinks")

    def open_good(settings: RunSettings, run: RunFacts) -> Collector:
        vars(module)["run"] = run
        return good

    def open_broken(settings: RunSettings, run: RunFacts) -> Collector:
        raise OSError("no database")

    vars(module).update(open_good=open_good, open_broken=open_broken)
    monkeypatch.setitem(sys.modules, "my_lab_sinks", module)
    theirs = [
        EntryPoint(name, f"my_lab_sinks:open_{name}", "rtsmlm.sink") for name in ("good", "broken")
    ]
    ours = list(plugins.entry_points(group="rtsmlm.localizer"))
    monkeypatch.setattr(
        plugins, "entry_points", lambda **wanted: EntryPoints([*ours, *theirs]).select(**wanted)
    )
    return good


def test_a_session_hands_every_row_to_the_sinks_that_its_settings_name(
    lab: Collector, quick_settings: Callable[..., RunSettings], spot_camera: Any, tmp_path: Path
) -> None:
    settings = quick_settings("results.sinks=['good', 'broken']", "acquisition.frames=60")

    with Session(spot_camera(), settings) as session:
        assert session.wait(60)

    run = vars(sys.modules["my_lab_sinks"])["run"]
    table = read_table(session.folder.path).localizations
    assert lab.frames == table.frame.tolist()
    assert lab.closed == 1
    assert (run.folder, run.shape) == (session.folder.path, (64, 48))
    assert (run.pixel_nm, run.sigma_nm) == (100.0, 130.0)
    assert session.report.ok, session.report.failures
    assert "the sink broken could not be opened: OSError: no database; the run goes on" in (
        session.report.warnings
    )


def test_a_misspelt_sink_ends_the_run_before_it_begins(
    lab: Collector, quick_settings: Callable[..., RunSettings], spot_camera: Any
) -> None:
    session = Session(spot_camera(), quick_settings("results.sinks=['god']"))

    with pytest.raises(ConfigError, match=r"no sink named 'god'; installed: broken, good"):
        session.start()

    check_sinks(["good", "broken"])
