"""Whole sessions: every frame is accounted for, whatever goes wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rtsmlm.errors import CameraStalledError, ConfigError, LocalizerError, RecordingError, SinkError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.raw_store import RawStore
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline import in_force, outputs
from rtsmlm.protocols import ALL
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.subscriber import Subscriber

Make = Callable[..., RunSettings]
Spots = Callable[..., Any]


def run(camera: Any, settings: RunSettings) -> RunReport:
    session = Session(camera, settings)
    try:
        session.start()
        assert session.wait(60)
    finally:
        report = session.close()
    return report


def test_a_run_localizes_every_frame_and_leaves_what_the_design_promises(
    spot_camera: Spots, quick_settings: Make
) -> None:
    settings = quick_settings("results.export=csv,picasso,parquet")

    report = run(
        camera := spot_camera(),
        settings.model_copy(
            update={"acquisition": settings.acquisition.model_copy(update={"frames": 200})}
        ),
    )

    assert report.ok, report.failures
    ledger = json.loads((report.folder / "ledger.json").read_text())
    assert ledger["received"] == ledger["recorded"] == ledger["localized"] == 200
    assert (ledger["skipped"], ledger["lost"]) == (0, 0)
    table, metadata = read_arrow_table(report.folder / "localizations.arrows")
    assert metadata["pixel_nm"] == 100
    assert np.unique(table.frame).tolist() == list(range(200))
    assert 2.0 < len(table) / 200 < 3.5, "three emitters per frame"
    with open_movie(report.folder / "raw.ome.zarr", settings.movie) as movie:
        assert movie.n_frames == 200
        expected = np.stack([camera.pixels(k) for k in range(200)])
        assert np.array_equal(movie.read(np.arange(200)), expected)
    left = {path.name for path in report.folder.iterdir()}
    assert left >= {
        "run.toml", "localizations.arrows", "localizations.csv", "localizations.hdf5",
        "localizations.yaml", "localizations.parquet", "image.png", "image.tif", "ledger.json",
        "latency.json", "raw.ome.zarr", "raw_index.bin",
    }  # fmt: skip
    latency = json.loads((report.folder / "latency.json").read_text())
    assert latency["total"]["count"] == 200
    assert 0 < latency["total"]["p50"] <= latency["total"]["p99"]


def test_the_analysis_process_does_the_same_as_the_thread(
    spot_camera: Spots, quick_settings: Make
) -> None:
    tables = {}
    for where in ("true", "false"):
        settings = quick_settings(
            f"pipeline.process={where}", f"results.name=process_{where}", "acquisition.frames=60"
        )
        report = run(spot_camera(), settings)
        assert report.ok, report.failures
        tables[where] = read_arrow_table(report.folder / "localizations.arrows")[0].columns()

    for name, column in tables["true"].items():
        assert np.array_equal(column, tables["false"][name], equal_nan=True), name


def test_gaps_of_the_camera_are_lost_frames_with_their_ranges(
    spot_camera: Spots, quick_settings: Make
) -> None:
    camera = spot_camera(index=lambda k: k + 3 * (k >= 10))

    report = run(camera, quick_settings("acquisition.frames=30"))

    ledger = json.loads((report.folder / "ledger.json").read_text())
    assert (ledger["camera"], ledger["received"], ledger["lost"]) == (33, 30, 3)
    assert ledger["ranges"]["lost"] == [[10, 12]]
    assert report.totals is not None
    assert report.totals.balances


def test_what_inference_skips_is_recorded_and_caught_up_in_order(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = run(spot_camera(), quick_settings("acquisition.frames=120", "results.name=all"))
    slow_down(monkeypatch, 0.05)

    report = run(
        spot_camera(),
        quick_settings(
            "acquisition.frames=120", "pipeline.when_behind=skip", "pipeline.ring_mb=0.05",
            "pipeline.batch_frames=1",
        ),
    )  # fmt: skip

    assert report.ok, report.failures
    ledger = json.loads((report.folder / "ledger.json").read_text())
    assert ledger["caught_up"] > 0, "the localizer was never behind: the test did not try"
    assert (ledger["localized"], ledger["skipped"]) == (120, 0)
    rows = read_arrow_table(report.folder / "localizations.arrows")[0].columns()
    expected = read_arrow_table(complete.folder / "localizations.arrows")[0].columns()
    for name, column in expected.items():
        assert np.array_equal(rows[name], column, equal_nan=True), name


def test_without_a_recording_skipped_frames_stay_skipped_and_are_told(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, 0.05)

    report = run(
        spot_camera(),
        quick_settings(
            "acquisition.frames=60", "pipeline.when_behind=skip", "pipeline.ring_mb=0.05",
            "record.raw=false",
        ),
    )  # fmt: skip

    assert report.totals is not None
    assert report.totals.skipped > 0
    assert report.totals.balances
    assert f"{report.totals.skipped} skipped" in report.verdict
    assert any("skipped" in text for text in report.warnings)


@pytest.mark.parametrize(
    "fault",
    [
        lambda pixels: pixels[:-1],
        lambda pixels: pixels.astype(np.uint8),
        lambda pixels: pixels.astype(np.float32),
    ],
    ids=["shape", "uint8", "float"],
)
def test_a_frame_of_another_kind_ends_the_run_with_what_came_before_safe(
    spot_camera: Spots, quick_settings: Make, fault: Callable[[np.ndarray], np.ndarray]
) -> None:
    report = run(spot_camera(fault_at=40, fault=fault), quick_settings())

    assert not report.ok
    assert "frame 40 is" in report.failures[0]
    assert report.totals is not None
    assert (report.totals.localized, report.totals.recorded) == (40, 40)
    assert report.totals.received == 40 + report.totals.other_size
    assert report.totals.other_size >= 1
    assert report.totals.balances
    assert "received but of another size" in report.verdict


@pytest.mark.parametrize("error", [CameraStalledError("no frame for 10 s"), ValueError("firmware")])
def test_a_camera_that_fails_ends_the_run_with_what_came_before_safe(
    spot_camera: Spots, quick_settings: Make, error: Exception
) -> None:
    report = run(spot_camera(fault_at=25, fault=error), quick_settings())

    assert not report.ok
    assert str(error) in report.failures[0]
    assert report.totals is not None
    assert (report.totals.localized, report.totals.recorded) == (25, 25)


@pytest.mark.parametrize("numbers", [lambda k: min(k, 12), lambda k: k if k < 12 else 24 - k])
def test_frames_whose_numbers_repeat_or_fall_are_localized_and_named_once(
    spot_camera: Spots, quick_settings: Make, numbers: Callable[[int], int]
) -> None:
    report = run(spot_camera(index=numbers), quick_settings("acquisition.frames=40"))

    assert report.ok
    assert report.totals is not None
    assert (report.totals.localized, report.totals.recorded) == (40, 40)
    assert len([text for text in report.warnings if "repeat or fall" in text]) == 1


def test_a_full_disk_pauses_the_recording_and_not_the_localization(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = RawStore._append_to_chunk
    refused: list[int] = []

    def full_for_a_while(self: RawStore, pixels: np.ndarray, records: np.ndarray) -> None:
        if 50 <= records["index"][-1] < 200:
            refused.append(int(records["index"][0]))
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, pixels, records)

    monkeypatch.setattr(RawStore, "_append_to_chunk", full_for_a_while)
    monkeypatch.setattr("rtsmlm.files.run.disk_space._RETRY_NS", 10_000_000)

    report = run(
        spot_camera(period_s=0.002),
        quick_settings("acquisition.frames=300", "record.buffer_mb=0.06", "record.chunk_mb=0.05"),
    )

    assert refused, "the disk was never full: the test did not try"
    assert not report.ok
    totals = report.totals
    assert totals is not None
    assert (totals.received, totals.localized) == (300, 300)
    assert totals.balances
    assert any("recording paused at frame" in text for text in report.warnings)
    assert any("recording continues with frame" in text for text in report.warnings)
    assert f"{300 - totals.recorded} frames were not recorded" in report.failures[0]
    ledger = json.loads((report.folder / "ledger.json").read_text())
    ((first, last),) = ledger["ranges"]["not_recorded"]
    assert last - first + 1 == 300 - totals.recorded
    with open_movie(report.folder / "raw.ome.zarr", quick_settings().movie) as movie:
        assert movie.frame_index is not None
        assert movie.frame_index.tolist() == [*range(first), *range(last + 1, 300)]


def test_a_disk_that_is_too_small_is_told_before_the_first_frame(
    spot_camera: Spots, quick_settings: Make
) -> None:
    session = Session(spot_camera(), quick_settings("acquisition.frames=2000000000"))

    with pytest.raises(RecordingError, match="MB free"):
        session.start()

    assert not session.folder.path.exists(), "the name of a run that never was is free again"


def test_localizations_that_cannot_be_written_do_not_stop_the_recording(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, localizations: Localizations) -> None:
        raise SinkError("cannot write to localizations.arrows: No space left on device")

    monkeypatch.setattr(outputs.ArrowStreamFile, "put", refuse)

    report = run(
        spot_camera(period_s=0.001),
        quick_settings(
            "acquisition.frames=100", "pipeline.max_restarts=1", "results.catch_up=false"
        ),
    )

    assert not report.ok
    assert any("No space left on device" in text for text in report.failures)
    assert report.totals is not None
    assert (report.totals.recorded, report.totals.skipped) == (100, 100)
    assert report.totals.balances


def test_a_frame_that_the_localizer_fails_on_costs_that_frame_alone(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap(monkeypatch, lambda batch: 17 in batch.index, LocalizerError("NaN in frame 17"))

    report = run(spot_camera(), quick_settings("acquisition.frames=40", "results.catch_up=false"))

    ledger = json.loads((report.folder / "ledger.json").read_text())
    assert (ledger["localized"], ledger["skipped"]) == (39, 1)
    assert ledger["ranges"]["skipped"] == [[17, 17]]
    assert any("NaN in frame 17" in text for text in report.warnings)
    assert not report.ok


def test_an_analysis_that_always_dies_is_given_up_and_everything_is_recorded(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap(monkeypatch, lambda batch: True, ZeroDivisionError("bug in a plug-in"))

    report = run(
        spot_camera(period_s=0.001),
        quick_settings(
            "acquisition.frames=80", "pipeline.max_restarts=2", "results.catch_up=false"
        ),
    )

    assert not report.ok
    assert any("bug in a plug-in" in text for text in report.failures)
    assert report.totals is not None
    assert (report.totals.recorded, report.totals.skipped) == (80, 80)
    assert report.totals.balances


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_an_analysis_process_that_is_killed_or_frozen_is_restarted_without_losing_a_frame(
    spot_camera: Spots, quick_settings: Make, how: str
) -> None:
    overrides = [
        "acquisition.frames=600",
        "pipeline.process=true",
        "pipeline.heartbeat_timeout_s=3",
    ]
    expected = run(spot_camera(), quick_settings(*overrides, "results.name=undisturbed"))
    session = Session(spot_camera(period_s=0.004), quick_settings(*overrides))
    try:
        session.start()
        while session.status().totals.localized < 100:
            assert not session.wait(0.02)
        os.kill(child_of(session), getattr(signal, how))
        assert session.wait(60)
    finally:
        report = session.close()

    assert report.ok, report.failures
    assert any("restarted" in text for text in report.warnings)
    assert report.totals is not None
    assert (report.totals.localized, report.totals.skipped) == (600, 0)
    rows = read_arrow_table(report.folder / "localizations.arrows")[0].columns()
    wanted = read_arrow_table(expected.folder / "localizations.arrows")[0].columns()
    for name, column in wanted.items():
        assert np.array_equal(rows[name], column, equal_nan=True), name


def test_a_subscriber_sees_the_rows_that_stand_in_the_file(
    spot_camera: Spots, quick_settings: Make
) -> None:
    session = Session(
        spot_camera(period_s=0.002),
        quick_settings("acquisition.frames=150", "pipeline.process=true"),
    )
    session.start()
    try:
        while session.stream_address is None:
            assert not session.wait(0.01)
        with Subscriber(session.stream_address, timeout_s=20) as reader:
            parts = list(reader)
    finally:
        session.wait(60)
        report = session.close()

    heard = Localizations.concatenate([part.localizations for part in parts])
    table = read_arrow_table(report.folder / "localizations.arrows")[0]
    later = table.take(table.frame >= parts[0].first_frame)
    assert len(heard) > 100
    assert np.array_equal(heard.x_nm, later.x_nm)
    assert reader.ended is not None
    assert reader.settings["pixel_nm"] == 100


def test_two_runs_of_one_name_do_not_overwrite_each_other(
    spot_camera: Spots, quick_settings: Make
) -> None:
    run(spot_camera(), quick_settings("acquisition.frames=5"))

    with pytest.raises(ConfigError, match="holds a run already"):
        Session(spot_camera(), quick_settings("acquisition.frames=5"))


def test_the_psf_width_measured_live_is_the_one_in_force(
    spot_camera: Spots, quick_settings: Make
) -> None:
    settings = quick_settings("psf.sigma_nm=auto", "acquisition.frames=100")

    report = run(spot_camera(), settings)

    assert report.ok, report.failures
    text = (report.folder / "run.toml").read_text()
    sigma_nm = float(next(x for x in text.splitlines() if x.startswith("sigma_nm")).split("=")[1])
    assert sigma_nm == pytest.approx(130, rel=0.06)


@pytest.mark.parametrize("raw", ["true", "false"])
def test_the_table_of_a_run_has_one_psf_width_or_says_from_which_frame_on(
    spot_camera: Spots, quick_settings: Make, raw: str
) -> None:
    def wider(pixels: np.ndarray) -> np.ndarray:
        """Return a frame as a PSF of 160 nm makes it, its noise aside."""
        return gaussian_filter(pixels.astype(float), 0.93).round().astype(np.uint16)

    n_frames = 1600
    settings = quick_settings(
        "psf.sigma_nm=auto", f"acquisition.frames={n_frames}", "pipeline.when_behind=skip",
        f"record.raw={raw}", "pipeline.validity=false",
    )  # fmt: skip

    report = run(spot_camera(period_s=0.002, fault_at=0, fault=wider), settings)

    assert report.ok, report.failures
    ledger = json.loads((report.folder / "ledger.json").read_text())
    first, last = ledger["localizers"]
    before, sigma_nm = last["from_frame"], last["psf_sigma_nm"]
    assert (first["from_frame"], first["psf_sigma_nm"]) == (0, 130.0)
    assert sigma_nm == pytest.approx(160, rel=0.05)
    assert 32 <= before < n_frames
    table, metadata = read_arrow_table(report.folder / "localizations.arrows")
    assert metadata["psf_sigma_nm"] == sigma_nm
    assert np.all(np.diff(table.frame) >= 0)
    assert np.unique(table.frame).tolist() == list(range(n_frames))
    again = ledger["ranges"]["localized_again"]
    assert again == ([[0, before - 1]] if raw == "true" else [])
    said = [text for text in report.warnings if "assumed PSF width" in text]
    assert len(said) == (raw == "false")
    # The camera repeats its frames: those of one image have the same rows, early or late.
    early = table.take(table.frame == 3)
    late = table.take(table.frame == n_frames - 5)
    assert (np.array_equal(early.photons, late.photons)) == (raw == "true")
    noted = tomllib.loads((report.folder / "run.toml").read_text())
    assert noted["run"]["localizers"] == ledger["localizers"]
    assert noted["psf"]["sigma_nm"] == sigma_nm
    assert first["label"] in (report.folder / "report.html").read_text()


def child_of(session: Session) -> int:
    assert session.analysis_pid is not None
    return session.analysis_pid


def wrap(
    monkeypatch: pytest.MonkeyPatch, when: Callable[[FrameBatch], bool], error: Exception
) -> None:
    """Let the localizer fail on some batches."""
    original = in_force.open_localizer

    def opened(*arguments: Any) -> Any:
        localizer = original(*arguments)

        class Failing:
            name = "failing"
            neighbours = 0
            uses_all_cores = False
            max_local_per_um2, recall = localizer.max_local_per_um2, localizer.recall
            warm_up = localizer.warm_up

            def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
                if when(batch.frames(*targets.indices(len(batch))[:2])):
                    raise error
                return localizer(batch, targets)

        return Failing()

    monkeypatch.setattr(in_force, "open_localizer", opened)


def slow_down(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the live localizer take its time."""
    original = in_force.open_localizer

    def opened(*arguments: Any) -> Any:
        localizer = original(*arguments)

        class Slow:
            name = "slow"
            neighbours = 0
            uses_all_cores = False
            max_local_per_um2, recall = localizer.max_local_per_um2, localizer.recall
            warm_up = localizer.warm_up

            def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
                threading.Event().wait(seconds)
                return localizer(batch, targets)

        return Slow()

    monkeypatch.setattr(in_force, "open_localizer", opened)


def test_room_is_kept_for_the_accounts_until_all_that_is_larger_is_written(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: dict[str, bool] = {}

    def note(name: str) -> Callable[..., None]:
        def step(table: Path, *_: object, **__: object) -> None:
            held[name] = (table.parent / "accounts.reserve").exists()
            raise SinkError(f"no room for the {name}")

        return step

    monkeypatch.setattr("rtsmlm.session.finalize.export", note("export"))
    monkeypatch.setattr("rtsmlm.session.finalize.draw_table", note("image"))

    report = run(spot_camera(), quick_settings("acquisition.frames=30", 'results.export=["csv"]'))

    assert held == {"export": True, "image": False}
    assert {"no room for the export", "no room for the image"} <= set(report.failures)
    left = {path.name for path in report.folder.iterdir()}
    assert {"ledger.json", "latency.json", "report.html", "run.toml"} <= left
    assert not left & {"accounts.reserve", "run.lock"}


def test_a_second_session_of_one_name_takes_nothing_from_the_first(
    spot_camera: Spots, quick_settings: Make
) -> None:
    settings = quick_settings("acquisition.frames=30")
    first = Session(spot_camera(), settings)

    with pytest.raises(ConfigError, match="in use by another run"):
        Session(spot_camera(), settings)
    first.start()
    with pytest.raises(ConfigError, match="holds a run already"):
        Session(spot_camera(), settings)
    assert first.wait(60)
    report = first.close()

    assert report.ok, report.failures
    assert report.totals is not None
    assert (report.totals.recorded, report.totals.localized) == (30, 30)
