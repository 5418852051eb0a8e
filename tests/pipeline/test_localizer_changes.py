"""Another localizer takes over between two batches; no frame and no row is lost or done twice."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.errors import CalibrationError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline import in_force, start
from rtsmlm.pipeline.backlog_watch import GROWS_S
from rtsmlm.pipeline.events import Event, PsfMeasured, Ready, Warned
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.pipeline import Pipeline
from rtsmlm.pipeline.start_events import (
    CameraMeasured,
    Informed,
    LocalizerInForce,
    Preparing,
)
from rtsmlm.protocols import ALL, AS_FOUND
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.settings.run import RunSettings

Make = Callable[..., RunSettings]
SHAPE = (64, 48)
CAMERA_S = 0.01
"""Between two frames of the camera of these tests, on their clock."""


class Lab:
    """A camera, its ring and localizers of stated speed, on a clock that frames alone move on."""

    def __init__(self, n_frames: int, s_per_frame: dict[str, float], capacity: int = 400) -> None:
        self.ring = FrameRing.create(SHAPE, capacity, shared=False)
        self.s_per_frame = s_per_frame
        self.ledger = Ledger()
        self.events: list[Event] = []
        self.t_s = 0.0
        self.opened: list[tuple[str, float]] = []
        self.fails: type[Exception] | None = None
        self.holds_at = n_frames
        """The camera delivers no more than these before a PSF is in force, or refused."""
        self.calls: list[tuple[str, list[int]]] = []
        self._n_frames, self._n_sent = n_frames, 0
        self._pixels = np.random.default_rng(0).poisson(110, SHAPE).astype(np.uint16)
        self.pixels: Callable[[int], Any] = lambda k: self._pixels

    def pass_time(self, seconds: float) -> None:
        """Let the camera deliver what it exposes meanwhile; a full ring costs frames.

        What a thread prepares meanwhile is done by then, however busy this machine is.
        """
        for thread in threading.enumerate():
            if thread.name == "rtsmlm-next-localizer":
                thread.join(60)
        self.t_s += seconds
        most = self._n_frames if self.of_kind(PsfMeasured) else self.holds_at
        while self._n_sent < min(most, int(self.t_s / CAMERA_S + 1e-6)):
            queued = not self.ring.full
            self.ledger.receive(self._n_sent, queued=queued)
            if queued:
                self.ring.push(CameraFrame(self.pixels(self._n_sent), self._n_sent, 0))
            self._n_sent += 1
        if self._n_sent == self._n_frames:
            self.ring.close_input()

    def open(self, settings: RunSettings, _: object, sigma_nm: float) -> Any:
        self.opened.append((settings.localizer.name, sigma_nm))
        if len(self.opened) > 1 and self.fails is not None:
            self.holds_at = self._n_frames
            raise self.fails("refused")
        return LabLocalizer(self, settings.localizer.name, sigma_nm)

    def clock(self) -> int:
        return int(self.t_s * 1e9)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, LocalizerInForce):
            self.ledger.note_localizer(event.as_dict())

    def of_kind(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class LabLocalizer:
    """One row per frame, with the PSF width as its photons."""

    neighbours, uses_all_cores = 0, False
    max_local_per_um2, recall = math.inf, AS_FOUND

    def __init__(self, lab: Lab, name: str, sigma_nm: float) -> None:
        self._lab, self.name, self._sigma_nm = lab, name, sigma_nm

    def warm_up(self, shape: tuple[int, int]) -> None:
        assert shape == SHAPE

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        numbers = batch.index[targets]
        if numbers[0] >= 0:  # and not before the run
            self._lab.calls.append((self.name, numbers.tolist()))
            self._lab.pass_time(len(numbers) * self._lab.s_per_frame[self.name])
        place = np.full(len(numbers), 700.0, np.float32)
        return Localizations.from_columns(
            {"frame": numbers, "x_nm": place, "y_nm": place, "photons": place * 0 + self._sigma_nm}
        )


@pytest.fixture
def run(
    quick_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Localizations]:
    """Return a function that runs an analysis in this thread and returns its table."""

    def make(lab: Lab, *overrides: str, **job: Any) -> Localizations:
        folder = RunFolder(tmp_path / "run")
        folder.path.mkdir()
        monkeypatch.setattr(in_force, "open_localizer", lab.open)
        monkeypatch.setattr(start, "measure_rate", lambda found, _: 1 / lab.s_per_frame[found.name])
        settings = quick_settings(
            "camera.pixel_nm=100", "camera.offset_adu=100", "stream.enabled=false",
            "pipeline.validity=false", "pipeline.when_behind=skip", *overrides,
        )  # fmt: skip
        pipeline = Pipeline(
            PipelineJob("", folder.path, settings, **job), lab.ring, lab.emit, clock=lab.clock
        )
        stop = threading.Event()
        idle = stop.wait
        monkeypatch.setattr(stop, "wait", lambda s: (lab.pass_time(CAMERA_S), idle(0.0))[1])
        pipeline.run(stop)
        lab.ledger.release(lab.ring.released)
        return read_arrow_table(folder.localizations)[0]

    return make


AUTO = "localizer.name=auto"
ALL_RUNGS = {"flagship-2d": 0.0125, "flagship-2d-fast": 0.011, "gaussian-mle": 0.001}
"""Seconds per frame of a machine on which the fit alone keeps up."""


def test_the_best_that_keeps_up_is_taken_and_said_in_one_line(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(20, {"flagship-2d": 0.0125, "flagship-2d-fast": 0.002, "gaussian-mle": 0.001})

    run(lab, AUTO, camera_frames_per_s=100.0)

    assert [name for name, _ in lab.opened] == ["flagship-2d", "flagship-2d-fast"]
    (said,) = [event.text for event in lab.of_kind(Informed)]
    assert said == (
        "flagship-2d-fast localizes 500 frames/s of 48 x 64 pixels here, measured on simulated "
        "ones; the camera delivers 100 (flagship-2d 80 frames/s)"
    )
    (noted,) = lab.of_kind(LocalizerInForce)
    assert (noted.name, noted.from_frame) == ("flagship-2d-fast", 0)
    assert (noted.frames_per_s, noted.camera_frames_per_s) == (500.0, 100.0)
    assert {name for name, _ in lab.calls} == {"flagship-2d-fast"}


def test_one_that_is_named_is_kept_and_a_line_says_that_it_will_not_keep_up(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(900, ALL_RUNGS, capacity=100)

    table = run(lab, "localizer.name=flagship-2d", camera_frames_per_s=100.0)

    assert {name for name, _ in lab.calls} == {"flagship-2d"}
    (said,) = [event.text for event in lab.of_kind(Warned) if "frames/s" in event.text]
    assert "flagship-2d localizes 80 frames/s" in said
    assert "will hardly keep up" in said
    totals = lab.ledger.totals()
    assert totals.skipped > 0
    assert totals.received == totals.localized + totals.skipped == 900
    assert len(table) == totals.localized


def test_a_backlog_that_grows_for_two_seconds_brings_the_next_faster_one_and_never_back(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(2500, ALL_RUNGS)

    table = run(lab, AUTO)  # of a camera whose rate nobody states

    noted = lab.of_kind(LocalizerInForce)
    assert [event.name for event in noted] == ["flagship-2d", "flagship-2d-fast", "gaussian-mle"]
    used = [name for name, _ in lab.calls]
    changes = sum(a != b for a, b in pairwise(used))
    assert changes == 2, "none comes back"
    for event in noted[1:]:
        first = next(numbers[0] for name, numbers in lab.calls if name == event.name)
        assert event.from_frame == first
        assert f"grew for {GROWS_S:g} s" in event.reason
        assert any(f"from frame {first} on {event.name}" in w.text for w in lab.of_kind(Warned))
    assert lab.ledger.as_dict()["localizers"] == [event.as_dict() for event in noted]
    totals = lab.ledger.totals()
    assert totals.received == totals.localized + totals.skipped == 2500
    assert table.frame.tolist() == [k for _, numbers in lab.calls for k in numbers]
    assert len(np.unique(table.frame)) == len(table) == totals.localized


def test_a_backlog_is_let_grow_for_two_seconds_before_anything_is_changed(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(180, ALL_RUNGS)

    run(lab, AUTO)

    assert len(lab.of_kind(LocalizerInForce)) == 1


def test_a_source_that_waits_has_the_best_one_to_the_end(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(900, ALL_RUNGS)

    run(lab, AUTO, "pipeline.when_behind=wait")

    assert {name for name, _ in lab.calls} == {"flagship-2d"}


def test_where_the_next_one_cannot_be_opened_the_present_one_goes_on(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(1200, ALL_RUNGS)
    lab.fails = CalibrationError

    run(lab, AUTO)

    assert {name for name, _ in lab.calls} == {"flagship-2d"}
    assert sum("refused" in event.text for event in lab.of_kind(Warned)) == 1


# -- the PSF width -------------------------------------------------------------------------


def spots(sigma_px: float, n: int = 8) -> Callable[[int], Any]:
    """Return frames with six lone spots each; of n frames the first comes again."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    variance = sigma_px**2 + 1 / 12  # that of a pixel adds to that of the PSF
    near = 1 if n == 8 else 4
    frames = []
    for _ in range(n):
        mean = np.full(SHAPE, 110.0)
        for row in (12, 32, 52):
            for column in (12, 36):
                cy, cx = np.array([row, column]) + rng.uniform(-near, near, 2)
                mean += 160 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * variance))
        frames.append(rng.poisson(mean).astype(np.uint16))
    return lambda k: frames[k % n]


FIT = {"gaussian-mle": 0.002}


def test_frames_are_localized_at_once_and_the_measured_width_takes_over_between_two_batches(
    run: Callable[..., Localizations], tmp_path: Path
) -> None:
    lab = Lab(300, FIT)
    lab.pixels, lab.holds_at = spots(1.6), 100

    table = run(lab, "psf.sigma_nm=auto")

    (measured,) = lab.of_kind(PsfMeasured)
    assert measured.sigma_nm == pytest.approx(160, rel=0.05)
    assert 32 <= measured.from_frame <= 100, "the width of 32 frames is known after these"
    used = {130.0: table.photons == 130.0, measured.sigma_nm: table.photons != 130.0}
    assert table.frame[used[130.0]].tolist() == list(range(measured.from_frame))
    assert table.frame[used[measured.sigma_nm]].tolist() == list(range(measured.from_frame, 300))
    assert table.photons[-1] == pytest.approx(measured.sigma_nm)
    stated = read_arrow_table(tmp_path / "run" / "localizations.arrows")[1]
    assert stated["psf_sigma_nm"] == measured.sigma_nm
    assert [event.psf_sigma_nm for event in lab.of_kind(LocalizerInForce)] == [
        130.0, measured.sigma_nm,
    ]  # fmt: skip
    (said,) = [event.text for event in lab.of_kind(Informed) if "measured PSF width" in event.text]
    assert said.startswith(f"from frame {measured.from_frame} on gaussian-mle localizes")


def test_a_width_like_the_assumed_one_changes_nothing(run: Callable[..., Localizations]) -> None:
    lab = Lab(600, FIT)
    lab.pixels, lab.holds_at = spots(1.3), 100

    table = run(lab, "psf.sigma_nm=auto")

    assert [(e.sigma_nm, e.from_frame) for e in lab.of_kind(PsfMeasured)] == [(130.0, 0)]
    assert len(lab.opened) == 1
    assert np.all(table.photons == 130.0)


def test_a_run_that_is_over_before_its_width_is_known_states_it_all_the_same(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(20, FIT)
    lab.pixels = spots(1.6)

    table = run(lab, "psf.sigma_nm=auto")

    (measured,) = lab.of_kind(PsfMeasured)
    assert measured.sigma_nm == pytest.approx(160, rel=0.08)
    assert measured.from_frame == 20
    assert len(table) == 20


def test_frames_of_a_source_that_waits_are_all_localized_with_their_width(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(300, FIT)
    lab.pixels = spots(1.6)

    table = run(lab, "psf.sigma_nm=auto", "pipeline.when_behind=wait")

    (measured,) = lab.of_kind(PsfMeasured)
    assert measured.from_frame == 0
    assert table.frame.tolist() == list(range(300))
    assert np.allclose(table.photons, measured.sigma_nm)


def test_a_width_that_the_localizer_does_not_take_ends_the_analysis_with_its_words(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(300, FIT)
    lab.pixels, lab.holds_at, lab.fails = spots(1.6), 100, CalibrationError

    with pytest.raises(CalibrationError, match="refused"):
        run(lab, "psf.sigma_nm=auto")

    assert lab.of_kind(PsfMeasured) == [], "a restart measures it again"


def test_all_steps_come_before_the_first_frame_may(run: Callable[..., Localizations]) -> None:
    lab = Lab(20, ALL_RUNGS)

    run(lab, AUTO, "psf.sigma_nm=auto", camera_frames_per_s=100.0)

    steps = lab.of_kind(Preparing)
    done = [event.done for event in steps]
    assert done == sorted(done)
    assert all(event.done < event.total for event in steps)
    names = list(dict.fromkeys(event.step for event in steps))
    assert names[1:7] == [
        f"{what} {name}" for name in ALL_RUNGS for what in ("localizer", "rate of")
    ]
    assert {"measurement of the PSF", "table and sinks"} <= set(names)
    kinds = [type(event) for event in lab.events]
    assert kinds.index(Ready) > max(k for k, kind in enumerate(kinds) if kind is Preparing)


def test_wrong_pixels_and_gain_are_found_beside_the_first_frames_and_used_from_then_on(
    run: Callable[..., Localizations], tmp_path: Path
) -> None:
    lab = Lab(900, {"gaussian-mle": 0.001})
    random = np.random.default_rng(4)
    light = np.linspace(5.0, 60.0, SHAPE[1]) * np.ones(SHAPE)
    seen: dict[int, int] = {}

    def pixels(number: int) -> Any:
        adu = random.poisson(light) / 0.4 + random.normal(0.0, 3.0, SHAPE) + 100.0
        adu[30, 20] += 900.0
        return np.clip(np.rint(adu), 0, 65535).astype(np.uint16)

    class Watching(LabLocalizer):
        def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
            for number, frame in zip(batch.index.tolist(), batch.pixels, strict=True):
                seen[number] = int(frame[30, 20])
            return super().__call__(batch, targets)

    lab.pixels = pixels
    lab.open = lambda settings, _, sigma_nm: Watching(lab, settings.localizer.name, sigma_nm)
    run(
        lab, "localizer.name=gaussian-mle", "psf.sigma_nm=130", assumed=("e_per_adu",)
    )  # fmt: skip

    (found,) = lab.of_kind(CameraMeasured)
    assert found.has_wrong_pixels
    assert found.e_per_adu == pytest.approx(0.4, rel=0.15)
    assert 0 < found.from_frame < 900
    assert all((adu > 800) == (k < found.from_frame) for k, adu in seen.items() if k >= 0)
    assert "20,30,hot" in (tmp_path / "run" / "wrong_pixels.csv").read_text()
    said = [event.text for event in (*lab.of_kind(Informed), *lab.of_kind(Warned))]
    assert any("1 pixel is masked" in text for text in said)
    assert any("camera.e_per_adu not stated" in text for text in said)
    assert any(f"from frame {found.from_frame} on gaussian-mle" in text for text in said)


# -- the PSF that is stated ----------------------------------------------------------------


def test_a_stated_width_that_lone_emitters_contradict_is_replaced_and_said(
    run: Callable[..., Localizations], tmp_path: Path
) -> None:
    lab = Lab(300, FIT)
    lab.pixels, lab.holds_at = spots(1.6, 32), 100

    table = run(lab, "psf.sigma_nm=130")

    (measured,) = lab.of_kind(PsfMeasured)
    assert measured.sigma_nm == pytest.approx(160, rel=0.03)
    (said,) = [event.text for event in lab.of_kind(Warned) if "lone emitters" in event.text]
    assert "where psf.sigma_nm states 130 nm" in said
    assert "psf.refine = false" in said
    from_frame = measured.from_frame
    assert 32 <= from_frame <= 100, "frames do not wait where a width is stated"
    assert np.all(table.photons[:from_frame] == 130.0)
    assert np.allclose(table.photons[from_frame:], measured.sigma_nm)
    stated = read_arrow_table(tmp_path / "run" / "localizations.arrows")[1]
    assert stated["psf_sigma_nm"] == measured.sigma_nm


@pytest.mark.parametrize(("true_px", "more"), [(1.6, "psf.refine=false"), (1.3, "psf.refine=true")])
def test_a_stated_width_stays_where_it_is_right_or_is_to_stay(
    run: Callable[..., Localizations], true_px: float, more: str
) -> None:
    lab = Lab(300, FIT)
    lab.pixels, lab.holds_at = spots(true_px, 32), 300

    table = run(lab, "psf.sigma_nm=130", more)

    assert lab.of_kind(PsfMeasured) == []
    assert len(lab.opened) == 1
    assert np.all(table.photons == 130.0)


def test_a_psf_that_the_localizer_does_not_take_leaves_the_stated_one_in_force(
    run: Callable[..., Localizations],
) -> None:
    lab = Lab(300, FIT)
    lab.pixels, lab.holds_at, lab.fails = spots(1.6, 32), 100, CalibrationError

    table = run(lab, "psf.sigma_nm=130")

    assert lab.of_kind(PsfMeasured) == []
    assert np.all(table.photons == 130.0)
    (said,) = [e.text for e in lab.of_kind(Warned) if "goes on" in e.text]
    assert "with the PSF that was measured: refused" in said
