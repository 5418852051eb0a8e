"""What is compiled before a run is seen: a bar in a terminal, one line for each step elsewhere."""

from __future__ import annotations

import io
import threading

import pytest

from rtsmlm.cli import run_output, start_progress
from rtsmlm.cli.start_progress import StartProgress
from rtsmlm.cli.terminal import PrintableConsole
from rtsmlm.pipeline.start_events import Preparing

STEPS = [
    Preparing("localizer flagship-2d", 1, 5),
    Preparing("localizer flagship-2d", 1, 5, "find_rows"),
    Preparing("localizer flagship-2d", 1, 5, "fit_gaussian_mle"),
    Preparing("rate of flagship-2d", 2, 5),
]


@pytest.fixture(params=[False, True], ids=["file", "terminal"])
def out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    console = PrintableConsole(file=text, force_terminal=request.param, width=100)
    for module in (start_progress, run_output):
        monkeypatch.setattr(module, "console", console)
    monkeypatch.setattr("rtsmlm.cli.console.console", console)
    return text


def test_every_step_is_shown_and_none_after_the_end(out: io.StringIO) -> None:
    told: list[str] = []
    progress = StartProgress(lambda: told.append("compiling"))
    thread = threading.Thread(target=lambda: [progress.show(step) for step in STEPS])
    thread.start()
    thread.join()
    progress.close()
    progress.close()
    progress.show(Preparing("after the end", 4, 5))

    shown = out.getvalue()
    assert "rate of flagship-2d" in shown
    assert "after the end" not in shown
    assert told == ["compiling"], "once, however many functions there are"
    if not start_progress.console.is_terminal:
        assert shown.count("localizer flagship-2d") == 1


def test_what_is_compiled_while_a_camera_is_opened_is_shown(out: io.StringIO) -> None:
    import numba

    told: list[str] = []
    progress = StartProgress(lambda: told.append("compiling"))
    with progress.opening("camera"):
        numba.njit(lambda value: value + 1)(1)
        assert told == [], "that of other packages is none of ours"
        ours = numba.njit(_doubled)
        ours(2)
    progress.close()

    assert told == ["compiling"]
    assert "camera" in out.getvalue()


def _doubled(value: int) -> int:
    return 2 * value


_doubled.__module__ = "rtsmlm.tests"
