"""`rtsmlm bench render`: every way of drawing is measured; a missing peer is a note."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rtsmlm.bench.speed.rendering as render_speed
from rtsmlm.cli.bench import app
from rtsmlm.render.splat import MODES


def test_all_modes_are_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_speed, "REPEATS", 2)
    monkeypatch.setattr(render_speed, "ZOOM_STEPS", 4)
    out = tmp_path / "new" / "render.json"
    here = ["--peers", "--smappy-python", sys.executable]

    done = CliRunner().invoke(app, ["render", "--n", "2000", *here, "--json", str(out)])

    assert done.exit_code == 0, done.output
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert [measured["mode"] for measured in figures["modes"]] == list(MODES)
    assert all(measured["n_localizations"] == 2000 for measured in figures["modes"])
    assert all(
        measured[step] > 0 for measured in figures["modes"] for step in figures["targets_ms"]
    )
    assert "smappy" in figures["note"]
    assert figures["smappy_first_image_ms"] == {}
    assert "target" in done.output
