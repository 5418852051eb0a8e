"""Micro-Manager's own C++ DemoCamera at its full speed, through core, ring, recorder and fit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mm_test_adapters", reason="needs the package mm-test-adapters")


def test_the_cxx_camera_at_full_speed_is_recorded_without_a_loss(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rtsmlm.cli", "live", "mm_demo.toml", "--headless",
         "--frames", "1200", "--out", str(tmp_path / "run"), "--set", "stream.enabled=false"],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    ledger = json.loads((tmp_path / "run" / "ledger.json").read_text())
    assert ledger["balances"]
    assert (ledger["received"], ledger["recorded"], ledger["lost"]) == (1200, 1200, 0)
    assert (ledger["localized"], ledger["skipped"]) == (1200, 0), "catch-up completes the table"
