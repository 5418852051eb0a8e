"""`rtsmlm bench control`: the page says what is compared, and what another law is better at."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rtsmlm.cli.bench_control as bench_control
from rtsmlm.bench.control.comparison import ROWS, LawTable, behind
from rtsmlm.bench.control.scenarios import LAWS
from rtsmlm.cli.bench import app


def made_up(**of_the_peer: float) -> LawTable:
    ours = dict.fromkeys(ROWS, 1.0)
    peer = dict.fromkeys(ROWS, math.inf) | of_the_peer
    return LawTable((0,), {name: [ours if name == "rtsmlm" else peer] for name in LAWS})


def test_what_another_law_is_better_at_is_told() -> None:
    lines = behind(made_up(settle_s=0.5, bias=-0.2, spread=2.0))

    assert len(lines) == 2
    assert lines[0].startswith("- from 1/20 of the power: there for good, s: rtsmlm 1.0 (1.0), ")
    assert "htSMLM 0.5 (0.5)" in lines[0]
    assert "bias" in lines[1]


def test_a_power_that_fell_further_is_not_better() -> None:
    assert behind(made_up(inverted_power=0.0)) == []


def test_the_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(seeds: Any, on_run: Callable[[str], None]) -> LawTable:
        assert list(seeds) == [0, 1]
        on_run("rtsmlm, seed 0: start low")
        return made_up(reach_s=0.5)

    monkeypatch.setattr(bench_control, "compare_laws", compare)
    out = tmp_path / "docs" / "control.md"

    done = CliRunner().invoke(app, ["control", "--seeds", "2", "--out", str(out)])

    assert done.exit_code == 0, done.output
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# Control")
    assert text.index("| same: there for good, s |") < text.index("## What rtsmlm is worse at")
    assert "first there, s: rtsmlm 1.0 (1.0), htSMLM 0.5 (0.5)" in text
