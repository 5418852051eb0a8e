"""Curves keep their shape in bounded memory, and histograms do not depend on portions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rtsmlm.localizations import Localizations
from rtsmlm.stream.messages import DensityMessage, ResolutionMessage, RunMessage, StatusMessage
from rtsmlm.viewer.series import RowStatistics, RunSeries, Series
from rtsmlm.viewer.sources.updates import RunUpdate


def test_few_values_stay_as_they_are() -> None:
    series = Series(100)
    for k in range(40):
        series.append(k, -(k**2))
    at, value = series.points()
    assert at.tolist() == list(range(40))
    assert value.tolist() == [-(k**2) for k in range(40)]
    assert series.last == -(39**2)


def test_eight_hours_keep_their_shape_and_every_spike() -> None:
    series = Series(2000)
    n = 8 * 3600 * 4
    wave = np.sin(np.arange(n) / n * 20 * np.pi)
    wave[77_777] = 9.0
    wave[3] = -9.0
    for k, value in enumerate(wave):
        series.append(k / 4, float(value))

    at, value = series.points()
    assert 500 <= len(at) <= 2000
    assert (np.diff(at) > 0).all()
    assert value.max() == 9.0
    assert value.min() == -9.0
    assert at[value.argmax()] == 77_777 / 4
    # Evenly over the eight hours, not only where it is new.
    assert np.diff(at).max() < 3 * n / 4 / 500
    assert np.array_equal(value, wave[(at * 4).astype(int)])


def test_no_value_is_no_point() -> None:
    series = Series()
    for value in (math.nan, math.inf, 2.0):
        series.append(1.0, value)
    assert series.points()[1].tolist() == [2.0]
    series.clear()
    assert len(series.points()[0]) == 0
    assert math.isnan(series.last)


def _rows(frame: np.ndarray, **columns: Any) -> Localizations:
    x = np.zeros(len(frame))
    return Localizations.from_columns({"frame": frame, "x_nm": x, "y_nm": x, **columns})


def _run(name: str) -> RunMessage:
    return RunMessage(run=name, shape=(64, 64), pixel_nm=100.0)


def _update(**more: Any) -> RunUpdate:
    return RunUpdate(connection="live", run=_run("one"), **more)


def _values(curves: RunSeries, name: str) -> tuple[list[float], list[float]]:
    at, value = curves.curves[name].points()
    return at.tolist(), value.tolist()


def test_estimates_and_status_become_curves_over_frames(status: Callable[..., Any]) -> None:
    curves = RunSeries()
    densities = [
        DensityMessage(
            last_frame=99 + 100 * k,
            mean_per_um2=0.5 + k,
            std_per_um2=0.1,
            local_per_um2=math.nan if k == 0 else 2.0,
            t_exposure_end_ns=7_000_000_000 + 2_000_000_000 * k,
        )
        for k in range(2)
    ]
    data = status(frames_per_s=50.0, p50_ms=4.0, p99_ms=None, backlog=3, drift={"x_nm": 12.0})
    data["totals"]["camera"] = 250
    data["loop"] |= {"target_per_um2": 0.8, "powers": {"activation": 2.5, "readout": 90.0}}
    message = StatusMessage.model_validate(data)
    curves.add(_update(densities=densities, status=message))

    assert _values(curves, "density") == ([99, 199], [0.5, 1.5])
    assert _values(curves, "density_low") == ([99, 199], [0.4, 1.4])
    assert _values(curves, "density_high") == ([99, 199], [0.6, 1.6])
    assert _values(curves, "local_density") == ([199], [2.0])
    assert _values(curves, "target") == ([250], [0.8])
    assert _values(curves, "p50_ms") == ([250], [4.0])
    assert _values(curves, "p99_ms") == ([], [])
    assert _values(curves, "backlog") == ([250], [3])
    assert _values(curves, "frames_per_s") == ([250], [50.0])
    assert _values(curves, "drift_x_nm") == ([250], [12.0])
    assert {name: series.last for name, series in curves.powers.items()} == {
        "activation": 2.5,
        "readout": 90.0,
    }
    assert curves.frame_s == pytest.approx(0.02)
    curves.add(_update(resolution=ResolutionMessage(frame=250, resolution_nm=41.0)))
    curves.add(_update(resolution=ResolutionMessage()))
    assert _values(curves, "resolution_nm") == ([250], [41.0])


def test_medians_are_those_of_blocks_of_frames_however_rows_come() -> None:
    rng = np.random.default_rng(0)
    frame = np.sort(rng.integers(0, 1000, 4000))
    photons = rng.exponential(500, 4000).astype(np.float32)
    rows = _rows(frame, photons=photons, background=photons / 100, std_x_nm=photons / 50)
    for portion in (4000, 313, 7):
        curves = RunSeries()
        for start in range(0, 4000, portion):
            part = rows.take(slice(start, start + portion))
            curves.add(_update(rows=[part]))
        at, value = _values(curves, "photons")
        # The last block is still open.
        assert value == [float(np.median(photons[frame // 100 == k])) for k in range(9)]
        assert [int(middle) // 100 for middle in at] == list(range(9))
        in_block = [np.count_nonzero(frame // 100 == k) / 100 for k in range(9)]
        assert _values(curves, "emitters")[1] == in_block
        assert _values(curves, "precision_nm")[1][3] == pytest.approx(value[3] / 50)
        assert _values(curves, "background")[1][3] == pytest.approx(value[3] / 100)


def test_a_restart_forgets_what_came_of_rows_and_another_run_forgets_all() -> None:
    curves = RunSeries()
    rows = _rows(np.arange(500), photons=np.full(500, 9.0))
    density = DensityMessage(last_frame=99, mean_per_um2=0.5, std_per_um2=0.1, powers={"uv": 1.0})
    curves.add(_update(rows=[rows], densities=[density]))
    assert len(_values(curves, "photons")[0]) == 4

    curves.add(_update(restarted=True))
    assert _values(curves, "photons") == ([], [])
    assert _values(curves, "density")[1] == [0.5]

    curves.add(RunUpdate(connection="live", run=_run("two"), restarted=True))
    assert _values(curves, "density") == ([], [])
    assert curves.powers == {}


def test_memory_does_not_grow_with_frames(status: Callable[..., Any]) -> None:
    curves, message = RunSeries(200), StatusMessage.model_validate(status())
    for k in range(3000):
        curves.add(_update(rows=[_rows(np.arange(100 * k, 100 * k + 100, 10))]))
        totals = replace(message.totals, camera=100 * k)
        curves.add(_update(status=message.model_copy(update={"totals": totals, "backlog": k})))
    assert len(_values(curves, "emitters")[0]) <= 200
    assert 50 <= len(_values(curves, "backlog")[0]) <= 200
    assert _values(curves, "backlog")[1][-1] >= 2900


def test_histograms_count_each_row_once() -> None:
    rng = np.random.default_rng(1)
    n = 10_000
    columns = {
        "photons": rng.exponential(1000, n) + 1,
        "background": rng.uniform(1, 200, n),
        "std_x_nm": rng.uniform(2, 40, n),
        "z_nm": rng.uniform(-600, 600, n),
        "std_z_nm": np.where(np.arange(n) < n // 2, 30.0, np.nan),
        "probability": rng.uniform(0, 1, n),
    }
    rows = _rows(np.arange(n), **columns)
    statistics = RowStatistics()
    for start in range(0, n, 999):
        statistics.add(rows.take(slice(start, start + 999)))

    assert statistics.n_rows == n
    for name in statistics.names:
        counts, edges = statistics.histogram(name)
        values = getattr(rows, name)
        values = values[: n // 2] if name == "z_nm" else values
        assert counts.sum() == len(values)
        # Rounding may put a value on an edge into either bin.
        assert np.abs(counts - np.histogram(values, edges)[0]).sum() <= 4
    statistics.clear()
    assert statistics.histogram("photons")[0].sum() == 0


def test_values_beyond_the_edges_and_no_values_are_not_counted() -> None:
    statistics = RowStatistics()
    photons = np.array([np.nan, np.inf, -5.0, 0.0, 1e9, 100.0])
    statistics.add(_rows(np.arange(6), photons=photons, probability=np.ones(6)))
    counts, edges = statistics.histogram("photons")
    assert counts.sum() == 1
    k = int(counts.argmax())
    assert edges[k] <= 100.0 <= edges[k + 1]
    assert statistics.histogram("probability")[0][-1] == 6
    assert statistics.histogram("z_nm")[0].sum() == 0
    with pytest.raises(KeyError):
        statistics.histogram("frame")
