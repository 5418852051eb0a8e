"""The validity meter finds what is wrong and by how much, and is silent where all is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.analysis.validity import WINDOW, ValidityMeter
from rtsmlm.analysis.validity_monitor import ValidityMonitor
from rtsmlm.analysis.validity_verdict import ENOUGH, Verdict
from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.localizer import open_gaussian_mle
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.camera import SensorType, make_sensor
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf
from rtsmlm.physics.pupil import Optics, pupil_psf
from rtsmlm.physics.sampling import new_state
from rtsmlm.settings.load import load

SIDE_PX = 128
N_FRAMES = 240
ON_FRAMES = 3
ROUND = GaussianPsf(1.3)
STEP = 8


def movie(
    seed: int, camera: SensorType = "sCMOS", psf: Psf = ROUND
) -> tuple[CameraCalibration, FrameBatch]:
    """Emitters that stay on for three frames each."""
    rng = np.random.default_rng(seed)
    shape = (SIDE_PX, SIDE_PX)
    chip, state = make_sensor(camera, shape, rng), new_state(np.random.SeedSequence(seed))
    pixels = np.empty((N_FRAMES, *shape), np.uint16)
    for k in range(N_FRAMES):
        if k % ON_FRAMES == 0:
            x, y = rng.uniform(5, SIDE_PX - 6, (2, 14))
            photons = rng.uniform(800, 3000, 14)
        mean = np.full(shape, 20.0, np.float32)
        psf.render(mean, x, y, np.zeros(14), photons)
        chip.expose(mean, pixels[k], state)
    return chip.calibration(100.0), FrameBatch.from_pixels(pixels)


@pytest.fixture(scope="module")
def right() -> tuple[CameraCalibration, FrameBatch]:
    """A movie that is what it is said to be, for tests of what the meter does with any."""
    return movie(15)


def judged(
    calibration: CameraCalibration,
    batch: FrameBatch,
    *,
    told_px: float = 1.3,
    std_factor: float = 1.0,
    pull: float = 0.0,
) -> Verdict:
    """The verdict on a fit whose stated errors or places are tampered with."""
    localize = open_gaussian_mle(load(None), calibration, 100.0 * told_px)
    meter = ValidityMeter(calibration, 100.0 * told_px)
    for start in range(0, len(batch), STEP):
        part = batch.frames(start, start + STEP)
        columns = {name: value.copy() for name, value in localize(part).columns().items()}
        for name in ("x_nm", "y_nm"):
            place = columns[name]
            columns[name] = place - pull * np.sin(2 * np.pi * place / 100.0) * 100 / (2 * np.pi)
            columns[f"std_{name}"] *= std_factor
        meter.update(Localizations.from_columns(columns), part)
    return meter.verdict()


def names(verdict: Verdict) -> list[str]:
    return [finding.name for finding in verdict.findings]


@pytest.mark.parametrize("camera", ["ideal", "sCMOS", "EMCCD"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_right_is_not_complained_of(camera: SensorType, seed: int) -> None:
    verdict = judged(*movie(seed, camera))

    assert verdict.findings == ()
    assert verdict.summary == "model ok"
    assert verdict.width_ratio == pytest.approx(1.0, abs=0.015)
    assert verdict.chi2 == pytest.approx(1.0, abs=0.05)
    assert verdict.noise_ratio == pytest.approx(1.0, abs=0.08)
    assert verdict.repeat_std == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize(
    ("told_px", "name", "more"), [(1.16, "PSF too narrow", "more"), (1.46, "PSF too wide", "less")]
)
def test_a_wrong_psf_is_found_with_the_width_that_is_right(
    told_px: float, name: str, more: str
) -> None:
    verdict = judged(*movie(4), told_px=told_px)

    assert names(verdict) == [name]
    assert verdict.width_ratio * told_px == pytest.approx(1.3, rel=0.03)
    text = verdict.findings[0].text
    assert more in text
    assert f"psf.sigma_nm={100 * verdict.width_ratio * told_px:.0f}" in text


@pytest.mark.parametrize("factor", [1.5, 1 / 1.5])
def test_a_wrong_gain_shows_in_the_noise_of_the_background(factor: float) -> None:
    calibration, batch = movie(5)
    wrong = replace(calibration, e_per_adu=np.float32(factor) * np.asarray(calibration.e_per_adu))

    verdict = judged(wrong, batch)

    assert names(verdict) == ["camera noise"]
    assert verdict.noise_ratio == pytest.approx(factor, rel=0.12)
    assert "calibrate camera" in verdict.findings[0].text


def test_errors_stated_half_as_large_show_in_emitters_that_stay_on() -> None:
    verdict = judged(*movie(6), std_factor=0.5)

    assert names(verdict) == ["errors understated"]
    assert verdict.repeat_std == pytest.approx(2.0, rel=0.1)


def test_places_drawn_to_the_pixel_grid_are_seen() -> None:
    verdict = judged(*movie(7), pull=0.6)

    assert "gridding" in names(verdict)
    assert verdict.gridding > 0.4


def test_spots_that_are_no_gaussian_are_seen() -> None:
    optics = Optics(zernike_nm={(3, 1): 60.0, (4, 0): 60.0})
    comatic = pupil_psf(optics, pixel_nm=100.0, vectorial=False, z_range_nm=50.0)

    verdict = judged(*movie(8, "ideal", comatic))

    assert verdict.findings, "neither its width nor its shape are those of the PSF in force"


def test_an_astigmatic_psf_is_judged_by_its_curves() -> None:
    psf = AstigmaticPsf(pixel_nm=100.0)
    assert psf.sigmas_nm(0.0)[0] == pytest.approx(psf.sigmas_nm(0.0)[1])
    settings = load(
        None,
        [
            "psf.astigmatism.z_min_nm=-500",
            "psf.astigmatism.z_max_nm=500",
            *(
                f"psf.astigmatism.{axis}={{sigma0_nm=130, focus_nm={focus}, depth_nm=400, "
                "quartic=0.1}"
                for axis, focus in (("x", 220), ("y", -220))
            ),
        ],
    )
    assert settings.psf.astigmatism is not None
    calibration, batch = movie(9, "ideal", psf)
    meter = ValidityMeter(calibration, 150.0, settings.psf.astigmatism.curves())
    localize = open_gaussian_mle(load(None), calibration, 150.0)
    for start in range(0, len(batch), STEP):
        part = batch.frames(start, start + STEP)
        meter.update(localize(part), part)

    verdict = meter.verdict()

    assert verdict.chi2 == pytest.approx(1.0, abs=0.1)
    assert names(verdict) == []


def test_too_little_is_no_verdict(right: tuple[CameraCalibration, FrameBatch]) -> None:
    calibration, batch = right

    verdict = judged(calibration, batch.frames(0, 8), told_px=1.0)

    assert verdict.findings == ()
    assert verdict.summary == "model: no verdict yet"
    assert verdict.as_dict()["width_ratio"] is None


def test_a_finding_stays_until_its_figure_is_clearly_better(
    right: tuple[CameraCalibration, FrameBatch],
) -> None:
    calibration, batch = right
    meter = ValidityMeter(calibration, 130.0)
    localize = open_gaussian_mle(load(None), calibration, 130.0)
    for start in range(0, len(batch), STEP):
        part = batch.frames(start, start + STEP)
        meter.update(localize(part), part)

    meter._sigma_nm = 130.0
    assert not meter._width_finding(1.06)
    assert meter._width_finding(1.08)
    meter._active = frozenset({"PSF too narrow"})
    assert meter._width_finding(1.06), "between four fifths of the limit and the limit"
    assert not meter._width_finding(1.05)


def test_what_it_keeps_is_bounded(right: tuple[CameraCalibration, FrameBatch]) -> None:
    calibration, batch = right
    meter = ValidityMeter(calibration, 130.0)
    locs = open_gaussian_mle(load(None), calibration, 130.0)(batch)
    for _ in range(80):
        meter.update(locs, batch)

    assert len(meter._spots) == WINDOW
    assert len(meter._noise) <= WINDOW
    assert len(meter._repeats) <= 2 * WINDOW


def test_a_meter_that_fails_says_so_once_and_is_off(
    right: tuple[CameraCalibration, FrameBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("in the middle of the night")

    monkeypatch.setattr(ValidityMeter, "update", fail)
    calibration, batch = right
    said: list[str] = []
    watch = ValidityMonitor(load(None), calibration, 130.0, said.append)

    watch.sample(Localizations.empty(), batch)
    watch.sample(Localizations.empty(), batch)

    assert len(said) == 1
    assert "in the middle of the night" in said[0]
    assert watch.judge() == {}


def test_live_it_looks_at_pairs_of_batches_and_then_pauses(
    right: tuple[CameraCalibration, FrameBatch],
) -> None:
    calibration, batch = right
    watch = ValidityMonitor(load(None), calibration, 130.0, lambda _: None)
    locs = open_gaussian_mle(load(None), calibration, 130.0)(batch.frames(0, 1))

    for k in range(20):
        watch.maybe_sample(locs, batch.frames(0, 1), k * 10_000_000)

    assert watch._meter is not None
    # 190 ms: two at once, and two after a pause.
    assert watch._meter._samples == 4


def test_a_run_that_never_keeps_up_has_a_verdict_within_twenty_seconds(
    right: tuple[CameraCalibration, FrameBatch],
) -> None:
    calibration, batch = right
    said: list[str] = []
    watch = ValidityMonitor(load(None), calibration, 130.0, said.append)
    localize = open_gaussian_mle(load(None), calibration, 130.0)
    parts = [batch.frames(k, k + STEP) for k in range(0, N_FRAMES, STEP)]
    tables = [localize(part) for part in parts]

    t_s, verdict = 0.0, "model: no verdict yet"
    while verdict == "model: no verdict yet" and t_s < 60:
        k = int(t_s * 20) % len(parts)
        watch.maybe_sample(tables[k], parts[k], int(t_s * 1e9), behind=True)
        verdict, t_s = str(watch.judge()["verdict"]), t_s + 0.05

    assert verdict == "model ok"
    assert t_s < 20
    assert said == []


def test_of_frames_that_wait_few_are_looked_at(right: tuple[CameraCalibration, FrameBatch]) -> None:
    calibration, batch = right
    watch = ValidityMonitor(load(None), calibration, 130.0, lambda _: None)
    locs = open_gaussian_mle(load(None), calibration, 130.0)(batch)

    for k in range(20):
        watch.maybe_sample(locs, batch, k * 100_000_000, behind=True)

    assert watch._meter is not None
    # 1.9 s: one sample of sixteen frames every 0.4 s, of batches of 240.
    assert watch._meter._samples == 5


def test_too_few_lone_spots_are_a_verdict_after_a_while_and_at_the_end(
    right: tuple[CameraCalibration, FrameBatch],
) -> None:
    calibration, batch = right
    watch = ValidityMonitor(load(None), calibration, 130.0, lambda _: None)
    locs = open_gaussian_mle(load(None), calibration, 130.0)(batch.frames(0, 1))

    def verdict_after(seconds: float, *, final: bool = False) -> dict[str, object]:
        watch.maybe_sample(locs, batch.frames(0, 1), int(seconds * 1e9))
        return watch.judge(final=final)

    assert verdict_after(0.0)["verdict"] == "model: no verdict yet"
    assert verdict_after(5.0, final=True)["verdict"] == "model: too few lone spots"
    late = verdict_after(20.0)
    assert late["verdict"] == "model: too few lone spots"
    assert f"judged by {ENOUGH}" in str(late["remark"])


def test_a_run_without_an_emitter_says_so(right: tuple[CameraCalibration, FrameBatch]) -> None:
    calibration, batch = right
    watch = ValidityMonitor(load(None), calibration, 130.0, lambda _: None)

    watch.sample(Localizations.empty(), batch.frames(0, 4))

    assert "no emitters were found" in str(watch.judge(final=True)["remark"])


def test_the_picture_of_a_spot_is_what_the_meter_is_told(rng: np.random.Generator) -> None:
    """The movies above have the PSF that they claim: both ways of drawing it agree."""
    image = np.zeros((32, 32), np.float32)
    GaussianPsf(1.3).render(image, np.array([15.2]), np.array([16.1]), np.zeros(1), np.ones(1))

    assert np.abs(image - render_spots((32, 32), 15.2, 16.1, 1.0, 1.3)).max() < 1e-4


def test_an_emitter_that_stays_on_is_one_place_within_the_pixel() -> None:
    calibration, batch = movie(13)
    locs = open_gaussian_mle(load(None), calibration, 130.0)(batch)
    still = FrameBatch.from_pixels(np.repeat(batch.pixels[:1], STEP, axis=0))
    meter = ValidityMeter(calibration, 130.0)
    first = locs.take(locs.frame == 0)
    for start in range(0, 8 * STEP, STEP):
        part = FrameBatch.from_pixels(still.pixels, first_index=start)
        rows = [in_frame(first, start + k) for k in range(STEP)]
        meter.update(Localizations.concatenate(rows), part)

    assert meter._places.sum(axis=1).tolist() == [len(first)] * 2


def in_frame(locs: Localizations, frame: int) -> Localizations:
    columns = locs.columns() | {"frame": np.full(len(locs), frame, np.int64)}
    return Localizations.from_columns(columns)


def test_the_psf_of_a_network_that_knows_its_own_is_not_judged_and_its_lobes_are_no_noise() -> None:
    calibration = CameraCalibration(offset_adu=0.0, e_per_adu=1.0, read_noise_e=1.0, pixel_nm=100.0)
    mean = np.full((64, 64), 20.0, np.float32)
    lobes = np.array([[20.0, 32.0], [44.0, 32.0], [32.0, 20.0], [32.0, 44.0]])
    ROUND.render(mean, lobes[:, 0], lobes[:, 1], np.zeros(4), np.full(4, 2000.0))
    pixels = np.random.default_rng(1).poisson(mean, (160, 64, 64)).astype(np.uint16)
    place = np.full(160, 3200.0, np.float32)
    locs = Localizations.from_columns(
        {"frame": np.arange(160), "x_nm": place, "y_nm": place, "photons": place}
    )
    plain, own = ValidityMeter(calibration, 130.0), ValidityMeter(calibration, 130.0, spot_px=32)
    for meter in (plain, own):
        meter.update(locs, FrameBatch.from_pixels(pixels))

    assert "camera noise" in names(plain.verdict(waited=True))
    verdict = own.verdict(waited=True)
    assert verdict.findings == ()
    assert verdict.noise_ratio == pytest.approx(1.0, abs=0.08)
    assert np.isnan(verdict.width_ratio)
    assert verdict.summary == "model: PSF not judged"
    assert "not compared" in verdict.remark


def test_meters_of_parts_put_together_judge_as_one_of_the_whole(
    right: tuple[CameraCalibration, FrameBatch],
) -> None:
    calibration, batch = right
    rows = open_gaussian_mle(load(None), calibration, 130.0)(batch)
    whole, together = (ValidityMeter(calibration, 130.0) for _ in range(2))

    whole.update(rows, batch)
    half = len(batch) // 32 * 16
    for part in (batch.frames(0, half), batch.frames(half, len(batch))):
        meter = ValidityMeter(calibration, 130.0)
        inside = (rows.frame >= part.index[0]) & (rows.frame <= part.index[-1])
        meter.update(rows.take(inside), part)
        together.extend(meter.as_arrays())

    one, other = whole.verdict(), together.verdict()
    assert (other.looked_at, other.spots) == (one.looked_at, one.spots)
    assert other.width_ratio == one.width_ratio
    assert other.chi2 == one.chi2
    assert other.noise_ratio == pytest.approx(one.noise_ratio, rel=0.02), "other patches"
