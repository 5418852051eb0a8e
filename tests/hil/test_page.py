"""The page of the drills: nothing executed, nothing fetched, every result told."""

from __future__ import annotations

import json
import math
from pathlib import Path

from rtsmlm.hil.page import write_page
from rtsmlm.hil.result import DrillResult

COURSE = {"t_s": [1.0, 2.0], "per_um2": [0.1, 0.2], "target_per_um2": [0.2, 0.2], "power": [1, 2]}
RESULTS = [
    DrillResult("latency", True, "fast", {"latency_ms": {"total": dict.fromkeys(
        ("p50", "p95", "p99", "max"), 7.25)}}),
    DrillResult("step-response", True, "ok", {"laser": "uv", "unit": "mW", "course": COURSE}),
    DrillResult("serial-error", False, "it took <inf> s", {"dark_s": math.inf}, 1.25),
    DrillResult("killed", None, "not run: needs --arm"),
]  # fmt: skip


def test_page_and_figures_tell_every_result(tmp_path: Path) -> None:
    write_page(tmp_path, "rig <1>", RESULTS)

    page = (tmp_path / "hil.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in page
    assert "rig &lt;1&gt;" in page
    assert "it took &lt;inf&gt; s" in page
    assert "failed: serial-error" in page
    assert page.count("<polyline") == 2
    assert page.count("<polygon") == 1, "the target band"
    assert "7.25" in page
    data = json.loads((tmp_path / "hil.json").read_text(encoding="utf-8"))
    assert data["passed"] is False
    assert [r["result"] for r in data["results"]] == ["passed", "passed", "failed", "not run"]
    assert data["results"][2]["details"]["dark_s"] is None


def test_what_was_not_run_is_no_failure(tmp_path: Path) -> None:
    write_page(tmp_path, "rig", [RESULTS[3]])

    assert json.loads((tmp_path / "hil.json").read_text(encoding="utf-8"))["passed"] is True
    assert "nothing failed" in (tmp_path / "hil.html").read_text(encoding="utf-8")
