"""What the command line writes, and the state of a run in one line."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.cli import console
from rtsmlm.cli.console import log_to, stop_log
from rtsmlm.cli.status import latency_line, status_line
from rtsmlm.feedback.records import LoopStatus
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.session.status import RunStatus


@pytest.mark.parametrize(("say", "word"), [(console.warn, "note:"), (console.fail, "error:")])
def test_brackets_in_a_message_are_printed_and_not_taken_for_markup(
    say: object, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say("no [lasers] in rig.toml [bold]")  # type: ignore[operator]

    shown = capsys.readouterr()
    assert shown.err.strip() == f"{word} no [lasers] in rig.toml [bold]"
    assert shown.out == ""


def test_a_long_message_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn("word " * 100)

    assert capsys.readouterr().err.count("\n") == 1


def test_the_log_of_a_run_ends_with_it_and_an_empty_one_makes_no_file(tmp_path: Path) -> None:
    logger = logging.getLogger("rtsmlm.somewhere")
    silent = log_to(tmp_path / "silent.log")
    stop_log(silent)
    handler = log_to(tmp_path / "run.log")

    logger.info("laser %s armed", "uv")
    stop_log(handler)
    logger.info("after the run")

    lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("INFO MainThread rtsmlm.somewhere: laser uv armed")
    assert not (tmp_path / "silent.log").exists()
    assert handler not in logging.getLogger("rtsmlm").handlers


def loop(**changes: object) -> LoopStatus:
    facts: dict[str, object] = {
        "laser": "activation", "unit": "mW", "power": 1.25, "cap": 50.0, "wanted": 3.0,
        "armed": True, "tripped": None, "state": "steer", "dose": 0.0, "target_per_um2": 0.1,
        "estimate": None, "powers": {},
    }  # fmt: skip
    return LoopStatus(**{**facts, **changes})  # type: ignore[arg-type]


def status(**changes: object) -> RunStatus:
    facts: dict[str, object] = {
        "totals": LedgerTotals(
            camera=120, received=118, recorded=118, localized=110, skipped=0, lost=2, in_ring=8
        ),
        "frames_per_s": 99.7, "localizations": 500, "emitters_per_frame": 4.56, "p50_ms": 22.0,
        "p99_ms": 6800.0, "recent_p50_ms": 11.04, "recent_p99_ms": 40.0,
        "backlog": 8, "recorder_backlog": 0,
    }  # fmt: skip
    return RunStatus(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_run_without_a_laser_is_its_frames_and_its_latency() -> None:
    assert status_line(status()) == (
        "118 frames 100/s, 4.6/frame, p50 11 p99 40 ms, backlog 8 lost 2"
    )


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (loop(), ", 1.25 mW"),
        (loop(armed=False), ", 3 mW?"),
        (loop(tripped="interlock open"), " LASER TRIPPED"),
        (None, "lost 2"),
    ],
    ids=["armed", "what would be sent", "tripped", "no laser"],
)
def test_the_line_ends_with_the_laser(state: LoopStatus | None, shown: str) -> None:
    assert status_line(status(loop=state)).endswith(shown)


def test_a_laser_that_is_not_confirmed_dark_comes_first_in_the_line() -> None:
    line = status_line(status(loop=loop(tripped="key", not_dark=("activation", "readout"))))

    assert line.startswith("NOT CONFIRMED DARK: activation, readout; 118 frames")
    assert len(line) <= 80


@pytest.mark.parametrize(
    ("tick_s", "age_s", "changes", "is_old"),
    [
        (1.0, 1.9, {}, False), (1.0, 3.2, {}, True), (5.0, 9.0, {}, False), (0.2, 0.5, {}, True),
        (1.0, math.nan, {}, False), (1.0, 60.0, {"armed": False}, False),
        (1.0, 60.0, {"tripped": "interlock open"}, False),
    ],
)  # fmt: skip
def test_data_older_than_two_ticks_come_first_in_the_line_while_they_steer(
    tick_s: float, age_s: float, changes: dict[str, object], is_old: bool
) -> None:
    line = status_line(status(loop=loop(data_age_s=age_s, **changes)), tick_s)

    assert line.startswith("steering on data") is is_old
    if is_old:
        assert f"{age_s:.2g} s old" in line
        assert len(line) <= 80


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("model ok", " model ok"),
        ("model: PSF too wide", " model !"),
        ("model: no verdict yet", ""),
        ("model: too few lone spots", " few spots"),
    ],
)
def test_a_finding_about_the_model_is_a_sign_in_the_line(model: str, shown: str) -> None:
    assert status_line(status(model=model)) == status_line(status()) + shown


def test_skipped_frames_are_in_the_line_once_there_are_some() -> None:
    totals = LedgerTotals(
        camera=9, received=9, recorded=9, localized=5, skipped=4, lost=0, in_ring=0
    )

    assert "skipped 4" in status_line(status(totals=totals))
    assert "skipped" not in status_line(status())


@given(
    frames=st.integers(0, 99_999), rate=st.floats(0, 999), light=st.floats(1e-3, 999),
    ms=st.floats(0, 99),
)  # fmt: skip
def test_the_line_of_a_usual_run_fits_a_terminal_of_80_columns(
    frames: int, rate: float, light: float, ms: float
) -> None:
    totals = LedgerTotals(
        camera=frames, received=frames, recorded=frames, localized=frames, skipped=0, lost=0,
        in_ring=0,
    )  # fmt: skip
    line = status_line(
        status(
            totals=totals,
            frames_per_s=rate,
            recent_p50_ms=ms,
            recent_p99_ms=ms,
            loop=loop(power=light),
        )
    )

    assert len(line) <= 80


def test_the_latency_of_the_run_stands_beside_that_of_the_last_ten_seconds() -> None:
    line = latency_line(status())

    assert line == "latency: last 10 s p50 11 p99 40 ms, whole run p50 22 ms p99 6.8 s"
    assert len(line) <= 80


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device to write to")
def test_a_full_disk_costs_the_log_and_prints_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = log_to(Path("/dev/full"))
    logging.getLogger("rtsmlm.tests").warning("the disk is full")

    stop_log(handler)

    assert "Traceback" not in capsys.readouterr().err
