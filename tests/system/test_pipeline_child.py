"""The analysis process seen from its supervisor, and its owner seen from it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import PipelineError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.pipeline import child as child_module
from rtsmlm.pipeline.child import PipelineProcess
from rtsmlm.pipeline.events import Died, Event, PublishStatus
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.owner_pipe import read_job, watch_owner
from rtsmlm.realtime.child_process import ChildProcess
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

WAIT_S = 60.0


def test_a_job_crosses_as_one_line(tmp_path: Path) -> None:
    job = PipelineJob("ring", tmp_path, RunSettings(), resume_before=7)

    text = job.to_json()

    assert "\n" not in text
    assert PipelineJob.from_json(text) == job


class Owner:
    """Keeps what a process reports."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.unknown: list[str] = []

    def start(self, root: Path) -> PipelineProcess:
        job = PipelineJob("no such ring", RunFolder.create(root, "run").path, RunSettings())
        return PipelineProcess(job, self.events.append, self.unknown.append)


def test_a_status_for_a_dead_process_is_lost_and_harms_nothing(tmp_path: Path) -> None:
    child = Owner().start(tmp_path)
    child.kill()
    assert child._child.wait(WAIT_S)

    for _ in range(3):
        child.publish(PublishStatus({"frames": 1}))
    child.close()

    assert child.exit_code() not in {None, 0}


def test_a_process_that_cannot_begin_dies_with_a_reason(tmp_path: Path) -> None:
    owner = Owner()
    child = owner.start(tmp_path)
    assert child._child.wait(WAIT_S)
    child.close()

    [died] = owner.events
    assert isinstance(died, Died)
    assert "no such ring" in died.reason
    assert child.exit_code() == 1
    assert owner.unknown == []
    assert "Traceback" in (tmp_path / "run" / "analysis.log").read_text()


def test_a_line_that_is_no_event_is_handed_over_as_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
import sys
sys.stdin.readline()
print('{"event": "Ready"}')
print('{"event": "Sneezed", "how_often": 3}')
print('{"event": "Warned", "text": "the end"}')
"""
    command = [*child_module.module_command("x")[:2], "-c", program]
    monkeypatch.setattr(child_module, "module_command", lambda module: command)
    owner = Owner()

    child = owner.start(tmp_path)
    assert child._child.wait(WAIT_S)
    child.close()

    assert [type(event).__name__ for event in owner.events] == ["Ready", "Warned"]
    [sentence] = owner.unknown
    assert sentence.startswith("the analysis process sent the unknown event 'Sneezed'")


def test_what_a_library_prints_does_not_get_among_the_events(tmp_path: Path) -> None:
    program = """
import os
from rtsmlm.pipeline.owner_pipe import EventOutput
from rtsmlm.pipeline.events import Warned
output = EventOutput()
print('a line of Python', flush=True)
os.write(1, b'a line of C\\n')
output.emit(Warned('an event'))
"""
    with (tmp_path / "log").open("w+b") as log:
        child = ChildProcess("helper", [sys.executable, "-P", "-c", program], stderr=log)
        lines = [child.read_line(WAIT_S), child.read_line(WAIT_S)]
        child.close(WAIT_S)

    assert lines == ['{"event": "Warned", "text": "an event"}', None]
    assert (tmp_path / "log").read_bytes().split(b"\n")[:2] == [b"a line of Python", b"a line of C"]


def test_an_analysis_of_another_version_costs_the_live_image_and_no_frame(
    monkeypatch: pytest.MonkeyPatch,
    spot_camera: Callable[..., Any],
    quick_settings: Callable[..., RunSettings],
) -> None:
    program = """
import sys
sys.stdin.readline()
for event in ('{"event": "Ready"}', '{"event": "Localizing"}', '{"event": "Progress", "rows": 1}'):
    print(event, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-P", "-c", program]
    monkeypatch.setattr(child_module, "module_command", lambda module: command)
    settings = quick_settings("pipeline.process=true", "acquisition.frames=40")

    with Session(spot_camera(), settings) as session:
        assert session.wait(WAIT_S)
    report = session.report

    [failure] = report.failures
    assert failure.startswith(
        "the analysis was given up: the event Progress lacks blinking, counts"
    )
    assert session.folder.localizations.stat().st_size > 1000
    assert report.totals is not None
    assert (report.totals.recorded, report.totals.localized, report.totals.skipped) == (40, 40, 0)


def test_of_several_lines_behind_the_job_only_the_newest_counts(tmp_path: Path) -> None:
    job = PipelineJob("ring", tmp_path, RunSettings())
    reader, writer = os.pipe()
    handled: list[str] = []
    stop = threading.Event()
    os.write(writer, f'{job.to_json()}\n{{"k": 1}}\n{{"k": '.encode())

    read, rest = read_job(reader)
    os.write(writer, b"2}\n")
    os.close(writer)
    watch_owner(reader, rest, stop, handled.append)
    os.close(reader)

    assert read.folder == tmp_path
    assert handled == ['{"k": 2}']
    assert stop.is_set()


def test_an_owner_that_ends_before_the_job_is_named() -> None:
    reader, writer = os.pipe()
    os.write(writer, b'{"ring": ')
    os.close(writer)

    with pytest.raises(PipelineError, match="ended before it had sent the job"):
        read_job(reader)
    os.close(reader)


def test_a_status_that_cannot_be_handled_still_ends_the_analysis_in_order() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"{}\n")
    os.close(writer)
    stop = threading.Event()

    def fail(line: str) -> None:
        raise KeyError(line)

    with pytest.raises(KeyError):
        watch_owner(reader, b"", stop, fail)
    os.close(reader)

    assert stop.is_set()
