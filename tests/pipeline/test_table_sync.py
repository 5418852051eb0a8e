"""Rows are in the file with their batch, and forced to the disk off the localizing thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import SinkError
from rtsmlm.files.run import disk_sync
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches
from rtsmlm.frames import CameraFrame
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.pipeline import Pipeline
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.settings.run import RunSettings

Make = Callable[..., RunSettings]
SETTINGS = ("camera.pixel_nm=100", "camera.offset_adu=100", "stream.enabled=false")


def pipeline_of(
    camera: Any, settings: RunSettings, folder: Path, n_frames: int
) -> tuple[Pipeline, FrameRing]:
    ring = FrameRing.create(camera.shape, n_frames + 1, shared=False)
    for k in range(n_frames):
        ring.push(CameraFrame(camera.pixels(k), k, 0))
    ring.close_input()
    return Pipeline(PipelineJob("", folder, settings), ring, lambda event: None), ring


def test_a_batch_leaves_the_ring_after_its_rows_can_be_read_and_the_disk_is_waited_for_elsewhere(
    spot_camera: Any, quick_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, forced, threads = RunFolder(tmp_path / "run"), [], set()
    folder.path.mkdir()

    def note(path: Path) -> None:
        forced.append(path)
        threads.add(threading.current_thread().name)

    monkeypatch.setattr(disk_sync, "sync_file", note)
    settings = quick_settings(
        "camera.pixel_nm=100", "camera.offset_adu=100", "stream.enabled=false"
    )
    pipeline, ring = pipeline_of(spot_camera(), settings, folder.path, 30)
    late: list[int] = []
    release = ring.release

    def check(n_frames: int) -> None:
        release(n_frames)
        last = max(int(rows.frame.max()) for rows in iter_arrow_batches(folder.localizations))
        if last != ring.released - 1:
            late.append(last)

    monkeypatch.setattr(ring, "release", check)

    pipeline.run(threading.Event())

    assert ring.released == 30
    assert late == []
    assert set(forced) == {folder.localizations}
    assert threads == {"rtsmlm-table-sync"}


def test_a_table_that_cannot_be_written_leaves_no_thread_behind(
    spot_camera: Any, quick_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: ArrowStreamFile, rows: object) -> None:
        raise SinkError("cannot write: No space left on device")

    (tmp_path / "run").mkdir()
    monkeypatch.setattr(ArrowStreamFile, "put", refuse)
    settings = quick_settings(
        "camera.pixel_nm=100", "camera.offset_adu=100", "stream.enabled=false"
    )
    pipeline, ring = pipeline_of(spot_camera(), settings, tmp_path / "run", 5)

    with pytest.raises(SinkError, match="No space"):
        pipeline.run(threading.Event())

    assert ring.released == 0, "its frames stay in the ring"
    assert not any("table-sync" in thread.name for thread in threading.enumerate())
