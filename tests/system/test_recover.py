"""A run that was cut: its accounts are made of what is left, balance, and say what is missing."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.owner import owner_of
from rtsmlm.files.run.state import cut_note, run_state
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.offline.recover import Recovery
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings
from rtsmlm.viewer.sources.folder_source import FolderSource

Make = Callable[..., RunSettings]
N = 60


@pytest.fixture
def cut_run(spot_camera: Callable[..., Any], quick_settings: Make) -> Path:
    """A run of `N` frames whose last ledger was written when 40 were localized."""
    camera = spot_camera()
    session = Session(camera, quick_settings(f"acquisition.frames={N}"))
    session.start()
    assert session.wait(60)
    report = session.close()
    assert report.ok, report.failures
    folder = RunFolder(report.folder)
    ledger = json.loads(folder.ledger.read_text())
    ledger |= {"state": "running", "camera": 50, "run": {"messages": ["the disk is slow"]}}
    ledger["ranges"]["in_ring"] = [[40, 49]]
    folder.ledger.write_text(json.dumps(ledger))
    for name in ("report.html", "image.png", "image.tif", "latency.json"):
        (folder.path / name).unlink()
    (folder.path / "accounts.reserve").write_bytes(b"room")
    (folder.path / "report.html.partial").write_bytes(b"half")
    cut_table(folder.localizations)
    return folder.path


def cut_table(path: Path) -> None:
    """Leave a bit more than half of the table, which ends within a batch."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])


def recover(path: Path, **options: Any) -> tuple[dict[str, Any], Recovery, str]:
    with Recovery(path, **options) as work:
        verdict = work.run(lambda done, total: None, lambda step: None)
    return json.loads((path / "ledger.json").read_text()), work, verdict


def frames_in(path: Path) -> list[int]:
    return [int(f) for f in np.unique(read_arrow_table(path / "localizations.arrows")[0].frame)]


def test_every_recorded_frame_is_in_the_table_once_and_the_ledger_balances(cut_run: Path) -> None:
    ledger, work, verdict = recover(cut_run)

    assert work.failures == []
    assert frames_in(cut_run) == list(range(N))
    rows = read_arrow_table(cut_run / "localizations.arrows")[0]
    assert 2.0 < len(rows) / N < 3.5, "no frame has its rows twice"
    assert ledger["balances"]
    assert (ledger["received"], ledger["localized"], ledger["lost_in_cut"]) == (N, N, 0)
    assert "was cut at frame 59 and recovered" in verdict
    page = (cut_run / "report.html").read_text()
    assert "was cut at frame 59" in page
    assert "the disk is slow" in page
    names = {path.name for path in cut_run.iterdir()}
    assert {"image.png", "latency.json", "report.html"} <= names
    assert not names & {"accounts.reserve", "report.html.partial", "run.lock"}


def test_other_programs_open_the_recording_of_a_recovered_run(cut_run: Path) -> None:
    array, group = cut_run / "raw.ome.zarr" / "0" / "zarr.json", cut_run / "raw.ome.zarr/zarr.json"
    data = json.loads(array.read_text())
    height, width = data["shape"][1:]
    data["shape"][0] = 2**31 - 1
    data["chunk_grid"]["configuration"]["chunk_shape"][0] = 1000  # one chunk, still open
    array.write_text(json.dumps(data))
    data = json.loads(group.read_text())
    del data["attributes"]["rtsmlm"]["n_frames"]
    group.write_text(json.dumps(data))
    os.truncate(array.parent / "c" / "0" / "0" / "0", 50 * height * width * 2 + 100)

    ledger, _, _ = recover(cut_run)

    frames: Any = zarr.open_group(cut_run / "raw.ome.zarr", mode="r")["0"]
    assert frames.shape == (50, height, width)
    assert frames[49].mean() > 100
    assert ledger["recorded"] == 50


def test_the_frames_of_an_assumed_psf_width_are_localized_again_and_who_localized_stays_known(
    cut_run: Path,
) -> None:
    path = cut_run / "ledger.json"
    data = json.loads(path.read_text())
    data["run"] |= {"assumed_before": 12, "psf_sigma_nm": 130.0}
    path.write_text(json.dumps(data))
    noted = data["localizers"]
    assert [n["name"] for n in noted] == ["gaussian-mle"]

    for _ in range(2):
        ledger, work, _ = recover(cut_run)

        assert work.failures == []
        assert ledger["ranges"]["localized_again"] == [[0, 11]]
        assert ledger["localizers"] == noted
        assert frames_in(cut_run) == list(range(N))
        assert len(read_arrow_table(cut_run / "localizations.arrows")[0]) / N < 3.5
        assert ledger["balances"]


def test_recovering_twice_changes_nothing(cut_run: Path) -> None:
    first = recover(cut_run)
    rows = read_arrow_table(cut_run / "localizations.arrows")[0]

    second = recover(cut_run)

    again = read_arrow_table(cut_run / "localizations.arrows")[0]
    assert len(again) == len(rows)
    counts = (
        "camera", "received", "localized", "caught_up", "lost", "lost_in_cut", "cut_at_frame",
        "state", "ranges",
    )  # fmt: skip
    assert first[0]["caught_up"] > 0
    assert first[1].notes == second[1].notes
    assert first[2] == second[2]
    assert [first[0][name] for name in counts] == [second[0][name] for name in counts]
    assert run_state(cut_run).stage == "recovered"


def test_a_run_that_was_cut_is_named_to_who_reads_it(cut_run: Path) -> None:
    assert run_state(cut_run).stage == "cut"
    note = cut_note(cut_run / "raw.ome.zarr")
    assert note is not None
    assert "was cut at frame 49" in note
    assert f"rtsmlm recover {cut_run}" in note


def test_the_window_says_that_the_run_was_cut(cut_run: Path) -> None:
    os.utime(cut_run / "ledger.json", (time.time() - 60, time.time() - 60))
    source = FolderSource(cut_run)

    update = source.poll()

    assert update.problem is not None
    assert "was cut at frame 49" in update.problem


@pytest.mark.parametrize(
    ("gone", "received", "localized"),
    [
        (("raw.ome.zarr", "raw_index.bin"), 50, None),
        (("localizations.arrows",), N, N),
        (("ledger.json",), N, N),
        (("ledger.json", "localizations.arrows"), N, N),
        (("raw.ome.zarr", "raw_index.bin", "localizations.arrows"), 50, 0),
        (("raw.ome.zarr",), N, None),
    ],
)
def test_any_part_may_be_missing(
    cut_run: Path, gone: tuple[str, ...], received: int, localized: int | None
) -> None:
    for name in gone:
        path = cut_run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    ledger, work, _ = recover(cut_run)

    assert ledger["balances"]
    assert ledger["received"] == received
    assert ledger["received"] == ledger["localized"] + ledger["lost_in_cut"]
    if localized is not None:
        assert ledger["localized"] == localized
    assert work.notes
    assert (cut_run / "report.html").exists()


def test_a_table_that_cannot_be_read_is_put_aside_and_made_anew(cut_run: Path) -> None:
    (cut_run / "localizations.arrows").write_bytes(b"\0" * 5000)

    recover(cut_run)

    assert frames_in(cut_run) == list(range(N))
    assert (cut_run / "localizations.damaged.arrows").stat().st_size == 5000


def test_without_its_settings_a_run_is_not_recovered_but_with_others_given(
    cut_run: Path, tmp_path: Path
) -> None:
    (cut_run / "run.toml").rename(tmp_path / "settings.toml")

    with pytest.raises(ConfigError, match=r"run\.toml is missing.*--config"):
        Recovery(cut_run)
    assert owner_of(cut_run) is None

    ledger, _, _ = recover(cut_run, config=tmp_path / "settings.toml")
    assert ledger["localized"] == N


def test_a_run_that_goes_on_is_not_recovered(cut_run: Path) -> None:
    owner = RunFolder(cut_run)
    owner.claim_existing()
    before = (cut_run / "ledger.json").read_bytes()

    with pytest.raises(ConfigError, match="goes on"):
        Recovery(cut_run)

    assert (cut_run / "ledger.json").read_bytes() == before
    owner.release()


@pytest.mark.parametrize("state", ["finished", None])
def test_a_run_that_ended_in_order_is_left_alone(cut_run: Path, state: str | None) -> None:
    ledger: dict[str, Any] = {"camera": 3}
    if state is not None:
        ledger["state"] = state
    (cut_run / "ledger.json").write_text(json.dumps(ledger))

    with pytest.raises(ConfigError, match="ended in order"):
        Recovery(cut_run)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        Recovery(tmp_path / "nothing")
