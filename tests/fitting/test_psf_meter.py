"""The PSF width of a run: measured on few frames if they show enough, on more if they do not."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting import psf_meter
from rtsmlm.fitting.psf_meter import ASSUMED_SIGMA_PX, PSF_FRAMES, PsfMeter, PsfWidth

CALIBRATION = CameraCalibration(
    pixel_nm=110.0, offset_adu=100.0, e_per_adu=1.0, em_gain=1.0, read_noise_e=1.0
)


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make so many frames, the first entry, show enough spots; returns how many were tried."""
    tried = [64]

    def estimate(photons: np.ndarray) -> float:
        tried.append(len(photons))
        if len(photons) < tried[0]:
            raise LocalizerError(f"found 3 bright isolated spots in {len(photons)} frames")
        return 1.5

    monkeypatch.setattr(psf_meter, "estimate_sigma_px", estimate)
    return tried


def frames(n: int) -> np.ndarray:
    return np.full((n, 4, 4), 100, np.uint16)


def run(meter: PsfMeter, available: int) -> PsfWidth:
    """Give it what it wants, as far as there is so much."""
    width = None
    while width is None:
        n = min(meter.n_wanted, available)
        width = meter.measure(frames(n), are_all=n == available)
    return width


def test_it_begins_with_few_frames_and_doubles_them(enough: list[int]) -> None:
    meter = PsfMeter(CALIBRATION, most_frames=10_000)
    assert meter.n_wanted == 32

    assert meter.measure(frames(32)) is None
    assert meter.n_wanted == 64
    assert meter.measure(frames(64)) == PsfWidth(165.0)

    assert enough[1:] == [32, 64]


@pytest.mark.parametrize(
    ("available", "tried"),
    [(10, [10]), (40, [32, 40]), (64, [32, 64]), (2000, list(PSF_FRAMES))],
)
def test_where_all_frames_show_too_little_a_width_is_assumed_and_stated(
    enough: list[int], available: int, tried: list[int]
) -> None:
    enough[0] = 1_000_000

    width = run(PsfMeter(CALIBRATION, most_frames=10_000), available)

    assert enough[1:] == tried
    assert width.sigma_nm == ASSUMED_SIGMA_PX * 110.0
    assert width.note == (
        f"found 3 bright isolated spots in {tried[-1]} frames; 143 nm is assumed, "
        "set psf.sigma_nm to be sure"
    )


@pytest.mark.parametrize("available", [64, 100, 5000])
def test_a_live_run_and_a_movie_of_the_same_frames_try_the_same(
    enough: list[int], available: int
) -> None:
    live = run(PsfMeter(CALIBRATION, most_frames=1023), available)  # of a ring
    n_live = len(enough)
    offline = run(PsfMeter(CALIBRATION, most_frames=available), available)  # of a movie

    assert live == offline
    assert enough[1:n_live] == enough[n_live:]


def test_a_ring_of_few_slots_gives_what_it_holds_and_no_more_is_wanted(enough: list[int]) -> None:
    meter = PsfMeter(CALIBRATION, most_frames=20)
    assert meter.n_wanted == 20

    width = meter.measure(frames(20))  # more would never come

    assert width is not None
    assert width.note
    assert enough[1:] == [20]
