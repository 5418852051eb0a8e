"""The analysis process seen from its supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtsmlm.analysis_child import ChildProcess
from rtsmlm.analysis_job import AnalysisJob
from rtsmlm.config import RunSettings
from rtsmlm.files.run_folder import RunFolder


def test_a_job_crosses_as_one_line(tmp_path: Path) -> None:
    job = AnalysisJob("ring", tmp_path, RunSettings(), resume_before=7)

    text = job.to_json()

    assert "\n" not in text
    assert AnalysisJob.from_json(text) == job


def test_what_is_told_to_a_dead_process_is_lost_and_harms_nothing(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    folder = RunFolder.create(tmp_path, "run")
    child = ChildProcess(AnalysisJob("no such ring", folder.path, RunSettings()), events.append)
    child.kill()
    child._process.wait(30)

    for _ in range(3):
        child.tell({"frames": 1})
    child.join()

    assert child.exit_code() not in {None, 0}
