"""`statistics.json` holds the figures of each kind, and one kind leaves the others alone."""

from __future__ import annotations

import json
import math
from pathlib import Path

from rtsmlm.files.run.statistics import state_statistics


def test_each_kind_replaces_itself_and_leaves_the_others(tmp_path: Path) -> None:
    state_statistics(tmp_path, "drift", {"range_x_nm": 3.0, "method": "likelihood"})
    state_statistics(tmp_path, "linking", {"emitters": 7, "on_time_frames": math.nan})
    state_statistics(tmp_path, "drift", {"range_x_nm": 4.0})

    stated = json.loads((tmp_path / "statistics.json").read_text())
    assert stated == {"drift": {"range_x_nm": 4.0}, "linking": {"emitters": 7}}


def test_the_last_kind_that_is_taken_out_takes_the_file_along(tmp_path: Path) -> None:
    state_statistics(tmp_path, "drift", {"range_x_nm": 3.0})

    state_statistics(tmp_path, "drift", None)
    state_statistics(tmp_path, "drift", None)

    assert not (tmp_path / "statistics.json").exists()


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "statistics.json").write_text("[1, 2")

    state_statistics(tmp_path, "linking", {"emitters": 1})

    assert json.loads((tmp_path / "statistics.json").read_text()) == {"linking": {"emitters": 1}}
