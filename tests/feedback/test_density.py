"""What the density meter says agrees with the truth, and so does how well it says to know it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.bench.accuracy.hard_scenes import structure_scene
from rtsmlm.bench.accuracy.scenes import Emitters, expose
from rtsmlm.calibration import CameraCalibration
from rtsmlm.feedback.density.meter import DensityMeter
from rtsmlm.feedback.density.tracks import MOST_TRACKS
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.fitting.localizer import open_gaussian_mle
from rtsmlm.fitting.spot_localizer import FIT_RECALL
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.structures import StructureName
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.protocols import Localizer
from rtsmlm.settings.feedback import FeedbackSettings
from rtsmlm.settings.load import load

SIGMA_NM, FRAMES_PER_S = 130.0, 100
CALIBRATION = CameraCalibration(pixel_nm=100.0, read_noise_e=1.0)
TINY = (12, 12)
"""Pixels where the rows alone matter: too few for the alarm to look at."""


def blinking(
    rng: np.random.Generator, n_frames: int, density_um2: float, on_frames: float, side_px: int
) -> tuple[Localizations, np.ndarray]:
    """Emitters that come at random and stay for so many frames in the mean; with their numbers."""
    low, high = -5.0, side_px + 4.0
    early = int(20 * on_frames)
    births = density_um2 * ((high - low) / 10.0) ** 2 / on_frames
    n = rng.poisson(births * (n_frames + early))
    start, stay = rng.integers(-early, n_frames, n), rng.geometric(1.0 / on_frames, n)
    emitter = np.repeat(np.arange(n), stay)
    age = np.arange(len(emitter)) - np.repeat(np.cumsum(stay) - stay, stay)
    frame = start[emitter] + age
    seen = np.flatnonzero((frame >= 0) & (frame < n_frames))
    seen = seen[np.argsort(frame[seen], kind="stable")]
    emitter = emitter[seen]
    x, y = rng.uniform(low, high, (2, n))
    columns = {
        "frame": frame[seen],
        "x_nm": 100.0 * x[emitter],
        "y_nm": 100.0 * y[emitter],
        "photons": (1500.0 * rng.lognormal(-0.08, 0.4, n))[emitter],
    }
    return Localizations.from_columns(columns), emitter


def timed(batch: FrameBatch, frames_per_s: float = FRAMES_PER_S) -> FrameBatch:
    return replace(
        batch, t_exposure_end_ns=(1e9 * (1.0 + batch.index / frames_per_s)).astype(np.int64)
    )


def dark(index: np.ndarray, shape: tuple[int, int]) -> FrameBatch:
    pixels = np.broadcast_to(np.uint16(100), (len(index), *shape))
    return timed(FrameBatch.from_pixels(pixels, index=index))


def meter_of(
    shape: tuple[int, int],
    tick_s: float,
    camera: CameraCalibration = CALIBRATION,
    localizer: Localizer | None = None,
) -> DensityMeter:
    """A meter for a localizer; by default for a fit."""
    return DensityMeter(
        camera,
        shape,
        SIGMA_NM,
        FeedbackSettings(tick_s=tick_s),
        recall=FIT_RECALL if localizer is None else localizer.recall,
        max_local_per_um2=0.3 if localizer is None else localizer.max_local_per_um2,
    )


def estimates(
    locs: Localizations,
    batch: FrameBatch,
    step: int = 8,
    meter: DensityMeter | None = None,
    tick_s: float = 1.0,
) -> list[DensityEstimate]:
    meter = meter or meter_of(batch.shape, tick_s)
    found = []
    for start in range(0, len(batch), step):
        part = batch.frames(start, min(start + step, len(batch)))
        here = (locs.frame >= part.index[0]) & (locs.frame <= part.index[-1])
        if (estimate := meter.add(locs.take(here), part)) is not None:
            found.append(estimate)
    return found


def column(found: list[DensityEstimate], name: str) -> np.ndarray:
    return np.array([getattr(estimate, name) for estimate in found])


def inside(locs: Localizations, side_px: int) -> np.ndarray:
    x, y = locs.x_nm / 100.0, locs.y_nm / 100.0
    return (np.abs(x - side_px / 2 + 0.5) < side_px / 2) & (
        np.abs(y - side_px / 2 + 0.5) < side_px / 2
    )


@pytest.mark.parametrize(
    ("name", "density_um2", "limit"),
    [
        ("gaussian-mle", 0.05, 0.06),
        ("gaussian-mle", 0.3, 0.06),
        ("gaussian-mle", 1.0, 0.1),
        ("flagship-2d-fast", 0.1, 0.08),
        ("flagship-2d-fast", 1.0, 0.08),
        ("flagship-2d-fast", 3.0, 0.12),
    ],
)
def test_density_and_arrivals_are_those_of_the_simulator(
    name: str, density_um2: float, limit: float
) -> None:
    rng, n, side = np.random.default_rng(1), 61, 128
    truth, emitter = blinking(rng, n, density_um2, 3.0, side)
    drawn = Emitters(
        frame=truth.frame,
        x_px=truth.x_nm / 100.0,
        y_px=truth.y_nm / 100.0,
        z_nm=np.zeros(len(truth)),
        photons=truth.photons.astype(np.float64),
    )
    batch, camera = expose(drawn, GaussianPsf(1.3), 20.0, np.arange(n), (side, side), rng, "sCMOS")
    localizer = open_localizer(load(None, [f"localizer.name={name}"]), camera, SIGMA_NM)
    locs = localizer(batch)
    meter = meter_of(batch.shape, 0.2, camera, localizer)

    found = estimates(locs, timed(batch), meter=meter)

    seen = inside(truth, side)
    area = (side / 10.0) ** 2
    on = set(zip(truth.frame[seen].tolist(), emitter[seen].tolist(), strict=True))
    came = sum(frame > 0 and (frame - 1, i) not in on for frame, i in on) / (n - 1) / area
    assert column(found, "mean_per_um2").mean() == pytest.approx(len(on) / n / area, rel=limit)
    assert np.mean(column(found, "new_per_um2")) == pytest.approx(came, rel=limit + 0.1)
    assert not column(found, "crowded").any()


@pytest.mark.parametrize("on_frames", [1.0, 4.0, 15.0])
@pytest.mark.parametrize("tick_s", [0.1, 0.5])
def test_the_stated_scatter_is_that_of_many_ticks(on_frames: float, tick_s: float) -> None:
    n = int(200 * tick_s * FRAMES_PER_S)
    locs, _ = blinking(np.random.default_rng(2), n, 0.15, on_frames, 128)
    batch = dark(np.arange(n), (128, 128))
    meter = meter_of((128, 128), tick_s)
    meter._monitor.look = lambda *_: None  # there is nothing in the pixels

    found = estimates(locs, batch, meter=meter)

    assert len(found) > 190
    stated = np.sqrt(np.mean(column(found, "std_per_um2") ** 2))
    assert stated == pytest.approx(column(found, "mean_per_um2").std(), rel=0.25)


def test_nothing_depends_on_where_batches_are_cut() -> None:
    rng = np.random.default_rng(3)
    locs, _ = blinking(rng, 120, 0.2, 3.0, 64)
    noise = (100 + rng.poisson(20.0, (120, 64, 64))).astype(np.uint16)
    batch = timed(FrameBatch.from_pixels(noise))

    one, seven, sixteen = (estimates(locs, batch, step, tick_s=0.2) for step in (1, 7, 16))

    assert len(one) == 5
    assert [e.as_dict() for e in one] == [e.as_dict() for e in seven]
    assert [e.as_dict() for e in one] == [e.as_dict() for e in sixteen]
    assert not np.isnan(column(one[1:], "new_per_um2")).any()


def test_a_tick_lasts_as_told_and_ten_frames_at_least() -> None:
    batch = dark(np.arange(200), TINY)
    quick = estimates(Localizations.empty(), batch, tick_s=0.5)
    slow = estimates(Localizations.empty(), timed(batch, 4.0), tick_s=0.5)

    assert [e.n_frames for e in quick[1:]] == [50, 50]
    assert {e.n_frames for e in slow} == {10}
    assert [(e.first_frame, e.last_frame) for e in slow[:2]] == [(0, 9), (10, 19)]
    assert quick[0].t_exposure_end_ns == 1_500_000_000
    assert quick[0].area_um2 == pytest.approx(1.44)


def test_skipped_frames_change_neither_density_nor_arrivals() -> None:
    locs, _ = blinking(np.random.default_rng(4), 2000, 0.3, 5.0, 64)
    index = np.arange(2000)
    gaps = index[(index % 10 != 3) & (index % 50 > 5)]

    whole = estimates(locs, dark(index, (64, 64)), tick_s=1.0)
    holey = estimates(locs, dark(gaps, (64, 64)), tick_s=1.0)

    assert holey[1].n_frames == pytest.approx(0.8 * whole[1].n_frames, rel=0.05)
    for name in ("mean_per_um2", "new_per_um2"):
        assert column(holey, name).mean() == pytest.approx(column(whole, name).mean(), rel=0.06)


def test_after_skipped_frames_nobody_is_new() -> None:
    """Of every third frame it cannot be told who was there in the frame before."""
    locs, _ = blinking(np.random.default_rng(5), 300, 0.3, 3.0, 64)

    found = estimates(locs, dark(np.arange(0, 300, 3), (64, 64)), tick_s=1.0)

    assert np.isnan(column(found, "new_per_um2")).all()


def test_fiducials_are_not_new_not_scatter_and_no_crowded_part() -> None:
    rng, n = np.random.default_rng(6), 1500
    locs, _ = blinking(rng, n, 0.1, 3.0, 64)
    frame = np.repeat(np.arange(n), 4)
    steady = Localizations.from_columns(
        {
            "frame": frame,
            "x_nm": np.tile([1000.0, 1200.0, 4000.0, 4300.0], n) + rng.normal(0, 8, len(frame)),
            "y_nm": np.tile([2000.0, 2000.0, 3000.0, 3000.0], n) + rng.normal(0, 8, len(frame)),
        }
    )
    batch = dark(np.arange(n), (64, 64))
    without = estimates(locs, batch, tick_s=1.0)[6:]

    both = Localizations.concatenate([locs, steady])
    found = estimates(both.sorted_by_frame(), batch, tick_s=1.0)[6:]

    assert np.all(column(found, "mean_per_um2") > column(without, "mean_per_um2") + 0.08)
    # What is seen more than doubles, of which a little more is taken to be missed.
    for name, limit in (("new_per_um2", 0.1), ("std_per_um2", 0.25), ("local_per_um2", 0.1)):
        assert column(found, name).mean() == pytest.approx(column(without, name).mean(), rel=limit)


def test_of_an_even_field_the_crowded_part_is_the_mean() -> None:
    """Some seven emitters per tile and tick: the 90th percentile of bare counts is 60 % up."""
    locs, _ = blinking(np.random.default_rng(7), 1000, 0.1, 3.0, 256)

    found = estimates(locs, dark(np.arange(1000), (256, 256)), tick_s=0.5)

    ratio = column(found, "local_per_um2") / column(found, "mean_per_um2")
    assert ratio.mean() == pytest.approx(1.0, abs=0.1)


def test_the_crowded_part_of_an_uneven_field_is_that_of_its_dense_part() -> None:
    rng = np.random.default_rng(8)
    sparse, _ = blinking(rng, 1000, 0.05, 3.0, 256)
    dense, _ = blinking(rng, 1000, 0.35, 3.0, 256)
    strip = dense.take((dense.x_nm > 8000.0) & (dense.x_nm < 16000.0))
    locs = Localizations.concatenate([sparse, strip]).sorted_by_frame()

    found = estimates(locs, dark(np.arange(1000), (256, 256)), tick_s=0.5)

    true = 0.4 * np.interp(0.4 * 0.0169, *FIT_RECALL)
    assert column(found, "local_per_um2").mean() == pytest.approx(true, rel=0.15)
    recall = [true / 0.4, np.interp(0.05 * 0.0169, *FIT_RECALL)]
    share = (8000.0 / 25_600.0, 1.0)
    even = 0.35 * share[0] + 0.05
    expected = 0.05 * (1 - share[0]) * recall[1] + 0.4 * share[0] * recall[0]
    assert expected > 1.04 * even * np.interp(even * 0.0169, *FIT_RECALL), "or it would be no test"
    assert column(found, "mean_per_um2").mean() == pytest.approx(expected, rel=0.03)


def test_probabilities_are_what_is_summed_and_one_stands_for_none() -> None:
    frame = np.repeat(np.arange(100), 8)
    spread = {"frame": frame, "x_nm": np.tile(1400.0 * np.arange(1, 9), 100)}
    rows = Localizations.from_columns(spread | {"y_nm": np.tile([1500.0, 5000.0], 400)})
    half = replace(rows, probability=np.full(800, 0.5, np.float32))
    none = replace(rows, probability=np.full(800, np.nan, np.float32))
    batch = dark(np.arange(100), (128, 128))

    sure, likely, unknown = (estimates(r, batch, tick_s=0.5)[0] for r in (rows, half, none))

    assert likely.mean_per_um2 == pytest.approx(0.5 * sure.mean_per_um2, rel=0.1)
    assert unknown.as_dict() == sure.as_dict()


def test_rows_that_are_not_finite_and_of_other_frames_are_none() -> None:
    locs, _ = blinking(np.random.default_rng(9), 60, 0.3, 3.0, 64)
    bad = locs.take(slice(0, 40))
    spoilt = [
        replace(bad, x_nm=np.full(40, np.nan, np.float32)),
        replace(bad, y_nm=np.full(40, np.inf, np.float32)),
        replace(bad, frame=bad.frame + 1000),
    ]
    mixed = Localizations.concatenate([*spoilt, locs])
    batch = dark(np.arange(60), (64, 64))
    meter = meter_of((64, 64), 0.2)

    plain = estimates(locs, batch, 15, tick_s=0.2)
    found = [meter.add(mixed, batch.frames(k, k + 15)) for k in range(0, 60, 15)]
    empty = batch.frames(0, 0)

    assert [e.as_dict() for e in found if e is not None] == [e.as_dict() for e in plain]
    assert meter.add(Localizations.empty(), empty) is None


def test_a_flood_of_rows_finds_no_more_memory_than_there_is() -> None:
    rng = np.random.default_rng(10)
    n = MOST_TRACKS // 4
    columns = {"frame": np.repeat(np.arange(12), n)}
    columns |= {axis: rng.uniform(1000, 50_000, 12 * n) for axis in ("x_nm", "y_nm")}
    batch = dark(np.arange(12), (512, 512))

    (found,) = estimates(Localizations.from_columns(columns), batch, tick_s=0.1)

    assert found.mean_per_um2 > 0.9 * n / 51.2**2
    assert np.isfinite(found.std_per_um2)


def test_an_empty_field_has_no_density_but_a_scatter() -> None:
    found = estimates(Localizations.empty(), dark(np.arange(60), (64, 64)), tick_s=0.5)

    assert found[0].mean_per_um2 == pytest.approx(0.0, abs=1e-5)
    assert found[0].std_per_um2 > 0
    assert found[0].new_per_um2 == 0
    assert np.isnan(found[0].local_per_um2)
    assert not found[0].crowded


@pytest.mark.parametrize("structure", ["uniform", "filaments", "mitochondria"])
def test_on_a_structure_the_density_is_within_its_stated_error(
    structure: StructureName,
) -> None:
    """A fit finds 63 % of what lies on filaments; by the density over 2 um it would be 80 %."""
    scene = structure_scene(np.random.default_rng(5), 40, structure, 0.3, (1.3, 2000.0, 20.0))
    fit = open_gaussian_mle(load(None), scene.calibration, scene.sigma_nm)
    index = np.arange(40)
    batch = timed(FrameBatch.from_pixels(scene.batch.pixels, index=scene.batch.index))

    found = estimates(fit(scene.batch), batch, meter=meter_of(batch.shape, 0.1))

    true = len(scene.truth) / len(index) / (256 * 0.1) ** 2
    last = found[-1]
    std = math.hypot(last.std_per_um2, last.missed_std_per_um2)
    assert abs(last.mean_per_um2 - true) < 2.5 * std
    assert std < 0.25 * true
