"""Rows of one emitter in successive frames are linked, and state how it blinks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.analysis.blinking import BlinkStatistics
from rtsmlm.analysis.linking import Linker, merged_rows
from rtsmlm.localizations import Localizations

SIDE_NM = 6400.0
RIGHT, ON_TIME_ERROR = 0.95, 0.05
SEEN = 0.3
"""Part of a frame that an emitter has to be on in, to be seen."""

I64 = NDArray[np.int64]


def _blinking(
    rng: np.random.Generator, per_um2: float, on_frames: float, n_frames: int = 5000
) -> tuple[Localizations, I64]:
    """Return rows of emitters that are on for an exponential time, and whose they are."""
    n = int(n_frames * per_um2 * (SIDE_NM / 1000) ** 2 / on_frames)
    begin, time = rng.uniform(-20, n_frames, n), rng.exponential(on_frames, n)
    x, y = rng.uniform(0, SIDE_NM, (2, n))
    first = np.floor(begin).astype(np.int64)
    length = np.floor(begin + time).astype(np.int64) - first + 1
    whose = np.repeat(np.arange(n), length)
    frame = first[whose] + np.arange(len(whose)) - np.repeat(np.cumsum(length) - length, length)
    part = np.minimum(frame + 1, (begin + time)[whose]) - np.maximum(frame, begin[whose])
    seen = np.flatnonzero((part > SEEN) & (frame >= 0) & (frame < n_frames))
    seen = seen[np.argsort(frame[seen], kind="stable")]
    whose, frame, part = whose[seen], frame[seen], part[seen]
    std = 10 / np.sqrt(part)
    noise = rng.normal(size=(2, len(frame))) * std
    rows = Localizations.from_columns(
        {"frame": frame, "x_nm": x[whose] + noise[0], "y_nm": y[whose] + noise[1],
         "std_x_nm": std, "std_y_nm": std, "photons": 1000 * part}
    )  # fmt: skip
    return rows, whose


def _links(frame: I64, whose: I64) -> set[tuple[int, int]]:
    order = np.lexsort((frame, whose))
    same = whose[order[:-1]] == whose[order[1:]]
    return set(zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True))


def _table(**columns: list[float]) -> Localizations:
    n = len(columns["frame"])
    whole = {"std_x_nm": [10.0] * n, "std_y_nm": [10.0] * n, "y_nm": [0.0] * n, **columns}
    return Localizations.from_columns({k: np.array(v) for k, v in whole.items()})


@pytest.mark.parametrize("per_um2", [0.1, 0.5])
def test_more_than_95_of_100_links_are_right_and_none_is_missed_more_often(
    rng: np.random.Generator, per_um2: float
) -> None:
    rows, whose = _blinking(rng, per_um2, 3.0)

    number, _ = Linker().assign(rows)
    true, found = _links(rows.frame, whose), _links(rows.frame, number)

    assert len(true & found) > RIGHT * len(found)
    assert len(true & found) > RIGHT * len(true)


@pytest.mark.parametrize("on_frames", [1.5, 3.0, 10.0])
def test_the_time_that_emitters_are_on_is_known_within_5_percent(
    rng: np.random.Generator, on_frames: float
) -> None:
    rows, _ = _blinking(rng, 0.1, on_frames, n_frames=10_000)
    linker = Linker()

    for start in range(0, len(rows), 500):
        linker.add(rows.take(slice(start, start + 500)))
    linker.finish()

    assert linker.statistics.on_time_frames == pytest.approx(on_frames, rel=ON_TIME_ERROR)


def test_batches_of_any_size_give_the_same_emitters(rng: np.random.Generator) -> None:
    rows, _ = _blinking(rng, 0.2, 3.0, n_frames=300)

    def linked(n_frames: int) -> Localizations:
        linker = Linker()
        parts = [
            linker.add(rows.take(rows.frame // n_frames == k)) for k in range(300 // n_frames + 1)
        ]
        whole = Localizations.concatenate([*parts, linker.finish()])
        return whole.take(np.lexsort((whole.x_nm, whole.frame)))

    one, many = linked(300), linked(7)

    assert len(one) == len(many)
    assert np.allclose(one.x_nm, many.x_nm)
    assert np.array_equal(one.extras["n_rows"], many.extras["n_rows"])


def test_photons_are_summed_and_places_weighted_by_their_precision() -> None:
    rows = _table(
        frame=[5, 6], x_nm=[100.0, 110.0], std_x_nm=[10.0, 20.0], photons=[1000.0, 300.0],
        std_photons=[30.0, 40.0], background=[10.0, 20.0], probability=[0.7, 0.9],
    )  # fmt: skip

    merged = merged_rows(rows, np.array([3, 3]))

    assert merged.frame.tolist() == [5]
    assert merged.x_nm[0] == pytest.approx(102.0)
    assert merged.std_x_nm[0] == pytest.approx(1 / math.sqrt(1 / 100 + 1 / 400))
    assert merged.photons[0] == 1300
    assert merged.std_photons[0] == pytest.approx(50.0)
    assert merged.background[0] == 15
    assert merged.probability[0] == pytest.approx(0.9)
    assert merged.extras["n_rows"][0] == merged.extras["on_frames"][0] == 2
    assert np.isnan(merged.std_z_nm[0])


@pytest.mark.parametrize(("gap", "emitters"), [(0, 2), (1, 2), (2, 1)])
def test_an_emitter_that_is_missed_for_longer_than_the_gap_is_another_one(
    gap: int, emitters: int
) -> None:
    rows = _table(frame=[0, 3], x_nm=[0.0, 5.0])
    linker = Linker(gap)

    linked = Localizations.concatenate([linker.add(rows), linker.finish()])

    assert len(linked) == emitters


def test_rows_of_one_frame_of_two_depths_and_of_two_channels_are_never_one_emitter() -> None:
    rows = _table(
        frame=[0, 0, 1, 1, 2],
        x_nm=[0.0, 30.0, 2.0, 28.0, 0.0],
        z_nm=[0.0, 0.0, 0.0, 0.0, 400.0],
        std_z_nm=[20.0] * 5,
        channel=[0, 0, 0, 1, 0],
    )

    number, _ = Linker().assign(rows)

    assert number[0] == number[2]
    assert len(set(number.tolist())) == 4


def test_a_bead_ends_after_a_thousand_frames_so_that_memory_is_bounded() -> None:
    frame = list(range(2500))
    linker = Linker()

    parts = [linker.add(_table(frame=[f], x_nm=[0.0])) for f in frame]
    linked = Localizations.concatenate([*parts, linker.finish()])

    assert linked.extras["n_rows"].tolist() == [1000, 1000, 500]


def test_places_that_light_up_again_state_how_long_they_were_dark(
    rng: np.random.Generator,
) -> None:
    n, off = 400, 200.0
    x, y = rng.uniform(0, 40_000, (2, n))
    events = [
        (float(frame), x[k], y[k])
        for k in range(n)
        for frame in np.cumsum(rng.exponential(off, 10) + 2)
    ]
    frame, x, y = np.array(sorted(events)).T
    statistics = BlinkStatistics()
    std, ones = np.full(len(frame), 5.0), np.ones(len(frame), np.float32)
    rows = Localizations.from_columns(
        {"frame": np.floor(frame), "x_nm": x + rng.normal(0, 5, len(x)), "y_nm": y,
         "std_x_nm": std, "std_y_nm": std},
        {"n_rows": ones, "on_frames": ones},
    )  # fmt: skip

    statistics.add(rows)

    assert statistics.off_time_frames == pytest.approx(off * math.log(2), rel=0.1)
    assert statistics.as_dict()["times_on_per_place"] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("lasts", [2000.0, math.inf])
def test_emitters_that_become_fewer_state_how_they_bleach(
    rng: np.random.Generator, lasts: float
) -> None:
    n = 20_000
    time = rng.uniform(0, 5000, n) if math.isinf(lasts) else rng.exponential(lasts, n)
    frame = np.sort(time[time < 5000]).astype(np.int64)
    ones = np.ones(len(frame), np.float32)
    x, y = rng.uniform(0, 1e5, (2, len(frame)))
    rows = Localizations.from_columns(
        {"frame": frame, "x_nm": x, "y_nm": y}, {"n_rows": ones, "on_frames": ones}
    )
    statistics = BlinkStatistics()

    statistics.add(rows)

    assert statistics.bleaching_time_frames == pytest.approx(lasts, rel=0.1)
