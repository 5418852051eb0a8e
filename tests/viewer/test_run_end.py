"""The end of a run: final counts, its report, and its recorded frames beside the image."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import Notice, RunReport
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.files.tables.arrow_schema import table_metadata
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.session.notices import Notices
from rtsmlm.settings.load import load
from rtsmlm.viewer.panels.run_end import verdict

N_FRAMES = 6


def until(run: Callable[[], None], holds: Callable[[], bool], limit_s: float = 30.0) -> None:
    end_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come about in time"
        run()


@pytest.fixture
def run_folder(tmp_path: Path, rows: Any) -> Path:
    """A run that is over, of a movie of six frames with three rows in frame 4."""
    movie = tmp_path / "movie.tif"
    pixels = np.arange(N_FRAMES, dtype=np.uint16)[:, None, None] + np.full((64, 64), 100, np.uint16)
    tifffile.imwrite(movie, pixels)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    settings = load(overrides=['experiment.sample="beads"'])
    notice = {"time_s": 1.7e9, "level": "information", "text": "target reached"}
    folder.write_settings(
        settings,
        {"camera": {"name": "movie", "path": str(movie)}, "failures": [], "warnings": [],
         "notices": [notice]},
    )  # fmt: skip
    metadata = table_metadata("run", (64, 64), 100.0, None, experiment=settings.experiment.stated())
    with ArrowStreamFile(folder.localizations, metadata) as table:
        table.put(rows(3, frame=np.full(3, 4)))
    folder.write_json(
        folder.ledger,
        {"camera": 6, "received": 6, "recorded": 0, "localized": 6, "skipped": 0, "lost": 0,
         "in_ring": 0, "state": "finished"},
    )  # fmt: skip
    folder.report.write_text("<p>report", encoding="utf-8")
    return folder.path


def test_a_finished_run_plays_its_frames_with_the_detections_of_each(
    open_window: Callable[..., Any], run_on: Any, run_folder: Path
) -> None:
    from rtsmlm.viewer.sources.folder_source import FolderSource

    window = open_window(source=FolderSource(run_folder))
    playback, camera = window.camera.playback, window.camera
    until(lambda: run_on(window, 1), playback.isVisible)
    assert playback.slider.maximum() == N_FRAMES - 1
    assert camera.image.pixels[0, 0] == 100

    playback.slider.setValue(4)
    until(lambda: run_on(window, 1), lambda: camera.places_px().shape == (2, 3))
    assert camera.image.pixels[0, 0] == 104
    assert "frame 4" in camera.caption.text()

    playback.play.click()
    until(lambda: run_on(window, 1), lambda: camera.image.pixels[0, 0] == 105)
    until(lambda: run_on(window, 1), lambda: not playback.play.isChecked())


def test_the_end_of_a_folder_shows_its_ledger_its_report_and_its_messages(
    open_window: Callable[..., Any], run_on: Any, run_folder: Path
) -> None:
    from rtsmlm.viewer.sources.folder_source import FolderSource

    window = open_window(source=FolderSource(run_folder))
    until(lambda: run_on(window, 1), window.run_end.isVisible)
    assert "Every frame is accounted for: 6 frames received" in window.run_end.text.text()
    assert window.run_end.report.isEnabled()
    assert window.lights.colors["localized"] == "green"
    [notice] = window.messages.notices
    assert (notice.text, notice.level) == ("target reached", "information")
    assert "●" in window.messages.item(0).text()
    assert ":" in window.messages.item(0).text(), "with its time"
    assert window.experiment.sample.text() == "beads"


def test_a_stream_that_ends_before_its_accounts_shows_those_of_the_folder(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any, run_folder: Path
) -> None:
    window = open_window()
    window.final_account.folder = run_folder
    data = status()
    data["totals"] |= {"received": 6, "camera": 6, "recorded": 0, "localized": 4, "in_ring": 2}
    source.next = {"status": data}
    run_on(window, 1)
    source.connection = "ended"
    until(lambda: run_on(window, 1), lambda: "accounted for" in window.run_end.text.text())

    assert "<b>6</b>" in window.lights.lights["localized"].text()
    assert window.run_end.report.isEnabled()
    source.connection, source.about = "live", source.about | {"run": "next"}
    source.next = {"status": status()}
    run_on(window, 1)
    assert not window.run_end.isVisible()
    assert not window.camera.playback.isVisible()


@pytest.mark.parametrize(
    ("counts", "is_good", "words"),
    [
        ((6, 6, 6, 6, 0, 0, 0), True, "Every frame is accounted for"),
        ((6, 6, 6, 4, 0, 0, 2), False, "2 not finished"),
        ((9, 6, 6, 6, 0, 3, 0), False, "3 lost"),
        ((6, 6, 0, 5, 1, 0, 0), False, "1 not localized"),
        ((0, 0, 0, 0, 0, 0, 0), False, "No frame came"),
    ],
)
def test_the_verdict_names_what_is_missing(
    counts: tuple[int, ...], is_good: bool, words: str
) -> None:
    found, sentence = verdict(LedgerTotals(*counts))

    assert found is is_good
    assert words in sentence


def test_what_went_as_wanted_is_no_warning_and_keeps_its_time() -> None:
    report = RunReport(Path("run"))
    notices = Notices(report)
    before_s = time.time()
    notices.inform("target reached")
    notices.warn("the disk is slow")
    notices.fail("the camera failed")

    assert report.warnings == ["the disk is slow"]
    assert [(n.level, n.text) for n in notices.newest(2)] == [
        ("warning", "the disk is slow"), ("error", "the camera failed"),
    ]  # fmt: skip
    assert all(isinstance(n, Notice) and n.time_s >= before_s for n in report.notices)
