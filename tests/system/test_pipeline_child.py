"""The analysis process seen from its supervisor."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.pipeline.__main__ import _read_job, _watch_owner
from rtsmlm.pipeline.child import ChildProcess
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.settings.run import RunSettings


def test_a_job_crosses_as_one_line(tmp_path: Path) -> None:
    job = PipelineJob("ring", tmp_path, RunSettings(), resume_before=7)

    text = job.to_json()

    assert "\n" not in text
    assert PipelineJob.from_json(text) == job


def test_what_is_told_to_a_dead_process_is_lost_and_harms_nothing(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    folder = RunFolder.create(tmp_path, "run")
    child = ChildProcess(PipelineJob("no such ring", folder.path, RunSettings()), events.append)
    child.kill()
    child._process.wait(30)

    for _ in range(3):
        child.tell({"frames": 1})
    child.join()

    assert child.exit_code() not in {None, 0}


def test_a_status_right_behind_the_job_is_heard_and_does_no_harm(tmp_path: Path) -> None:
    job = PipelineJob("ring", tmp_path, RunSettings())
    reader, writer = os.pipe()
    heard: list[dict[str, Any]] = []
    stop = threading.Event()
    os.write(writer, f'{job.to_json()}\n{{"k": 1}}\n{{"k": '.encode())

    read, rest = _read_job(reader)
    os.write(writer, b"2}\n")
    os.close(writer)
    _watch_owner(reader, rest, stop, heard.append)
    os.close(reader)

    assert read.folder == tmp_path
    assert heard == [{"k": 2}]  # only the newest counts
    assert stop.is_set()
