"""What is left to do after the last frame: the image, the exports, the accounts, whatever fails."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import SinkError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_table
from rtsmlm.localizations import Localizations
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.results import draw_table, keep_table, write_accounts
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.session.notices import Notices
from rtsmlm.settings.run import RunSettings


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "run")


@pytest.fixture
def rows(rng: np.random.Generator) -> Localizations:
    n = 300
    return Localizations.from_columns(
        {
            "frame": np.sort(rng.integers(0, 50, n)),
            "x_nm": rng.uniform(0, 3000, n),
            "y_nm": rng.uniform(0, 2000, n),
            "photons": rng.uniform(300, 900, n),
            "std_x_nm": np.full(n, 12.0),
            "std_y_nm": np.full(n, 12.0),
        }
    )


def draw(folder: RunFolder) -> TableSummary:
    summary = TableSummary()
    draw_table(
        folder.localizations, (20, 30), summary, pixel_nm=100.0, image_pixel_nm=20.0
    )  # fmt: skip
    return summary


def test_image_and_summary_hold_every_row_of_the_table(
    folder: RunFolder, rows: Localizations
) -> None:
    with ArrowStreamFile(folder.localizations, {"pixel_nm": 100.0}) as file:
        for k in range(0, 300, 70):
            file.put(rows.take(slice(k, k + 70)))

    summary = draw(folder)

    assert summary.n_rows == 300
    np.testing.assert_array_equal(summary.per_bin[:50], np.bincount(rows.frame, minlength=50))
    assert (folder.path / "image.png").stat().st_size > 0


def test_a_table_without_rows_still_has_an_image(folder: RunFolder) -> None:
    keep_table(folder.localizations, (20, 30), 100.0)

    summary = draw(folder)

    assert summary.n_rows == 0
    assert (folder.path / "image.png").exists()


def test_an_analysis_that_never_came_leaves_an_empty_table_and_one_that_did_its_own(
    folder: RunFolder, rows: Localizations
) -> None:
    keep_table(folder.localizations, (20, 30), 108.0)
    empty, metadata = read_arrow_table(folder.localizations)
    assert len(empty) == 0
    assert (metadata["pixel_nm"], metadata["shape"], metadata["run"]) == (108.0, [20, 30], "run")

    with ArrowStreamFile(folder.localizations, {}) as file:
        file.put(rows)
    keep_table(folder.localizations, (20, 30), 108.0)

    assert len(read_arrow_table(folder.localizations)[0]) == 300


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    for index in [*range(20), *range(22, 30)]:
        made.receive(index, queued=index != 5)
    made.release(27)
    return made


def account(
    folder: RunFolder, ledger: Ledger, settings: RunSettings, report: RunReport
) -> RunReport:
    write_accounts(
        folder, report, ledger, settings, camera={"name": "Sim <1>"}, summary=TableSummary(),
        run_step=Notices(report).run_step,
    )  # fmt: skip
    return report


def test_the_accounts_of_a_run_agree_with_its_ledger(
    folder: RunFolder, ledger: Ledger, quick_settings: Callable[..., RunSettings]
) -> None:
    report = RunReport(folder.path, verdict="ledger balances", warnings=["the disk is slow"])
    report.latency_ms = {"total": {"p50": 4.0, "p95": 5.0, "p99": 6.0, "max": 9.0}}

    account(folder, ledger, quick_settings(), report)

    written = json.loads(folder.ledger.read_text())
    assert (written["camera"], written["received"], written["lost"]) == (30, 28, 2)
    assert written["ranges"]["lost"] == [[20, 21]]
    run = tomllib.loads(folder.settings.read_text(encoding="utf-8"))["run"]
    assert run["totals"]["localized"] == 27
    assert run["warnings"] == ["the disk is slow"]
    assert run["camera"] == {"name": "Sim <1>"}
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    assert "Sim &lt;1&gt;" in page
    assert "the disk is slow" in page
    assert not folder.validity.exists(), "nothing was measured"
    assert report.failures == []


def test_a_file_that_cannot_be_written_costs_itself_alone(
    folder: RunFolder, ledger: Ledger, quick_settings: Callable[..., RunSettings]
) -> None:
    folder.latency.mkdir()
    report = RunReport(folder.path)
    report.validity = dict.fromkeys(
        ("verdict", "spots", "width_ratio", "chi2", "noise_ratio", "repeat_std", "gridding")
    )

    account(folder, ledger, quick_settings(), report)

    (failure,) = report.failures
    assert "latency.json" in failure
    for path in (folder.ledger, folder.validity, folder.settings, folder.path / "report.html"):
        assert path.is_file()


def test_an_image_that_cannot_be_written_is_a_sink_error_and_the_summary_is_whole(
    folder: RunFolder, rows: Localizations
) -> None:
    with ArrowStreamFile(folder.localizations, {"pixel_nm": 100.0}) as file:
        file.put(rows)
    (folder.path / "image.png").mkdir()
    summary = TableSummary()

    with pytest.raises(SinkError, match=r"image\.png"):
        draw_table(folder.localizations, (20, 30), summary, pixel_nm=100.0, image_pixel_nm=20.0)

    assert summary.n_rows == 300


def test_the_picture_is_written_where_the_disk_has_no_room_for_the_image_to_measure_in(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_table(folder.localizations, (20, 30), 100.0)

    def full(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rtsmlm.render.write.tifffile.imwrite", full)
    with pytest.raises(SinkError, match="No space left"):
        draw(folder)

    names = sorted(path.name for path in folder.path.iterdir())
    assert names == ["image.png", "localizations.arrows", "run.lock"]
