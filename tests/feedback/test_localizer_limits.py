"""What a localizer states of itself is what the feedback loop goes by, whatever its name is."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rtsmlm import plugins
from rtsmlm.calibration import CameraCalibration
from rtsmlm.feedback.density.recall import true_density
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.fitting.localizer import open_gaussian_mle
from rtsmlm.fitting.spot_localizer import FIT_RECALL
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.protocols import ALL, AS_FOUND, RecallTable
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

TWICE: RecallTable = np.array([[0.0], [2.0]])
"""Recall of a localizer that finds every other emitter."""


def lab_localizer(limit_per_um2: float, recall: RecallTable) -> Any:
    """A factory of a lab's own, around a fit that ships."""

    def open_it(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> Any:
        fit = open_gaussian_mle(settings, calibration, sigma_nm)

        class Own:
            name, neighbours, uses_all_cores = "own", 0, False
            max_local_per_um2 = limit_per_um2
            warm_up = fit.warm_up

            def __init__(self) -> None:
                self.recall = recall

            def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
                return fit(batch, targets)

        return Own()

    return open_it


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("my_lab")
    vars(module)["open_fit"] = lab_localizer(0.15, AS_FOUND)
    vars(module)["open_network"] = lab_localizer(2.5, TWICE)
    monkeypatch.setitem(sys.modules, "my_lab", module)
    ours = list(plugins.entry_points(group="rtsmlm.localizer"))
    theirs = [
        EntryPoint("myfit", "my_lab:open_fit", "rtsmlm.localizer"),
        EntryPoint("my-fast-mle", "my_lab:open_network", "rtsmlm.localizer"),
    ]
    monkeypatch.setattr(
        plugins, "entry_points", lambda **wanted: EntryPoints([*ours, *theirs]).select(**wanted)
    )


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("name", "limit_per_um2", "times"), [("myfit", 0.15, 1.0), ("my-fast-mle", 2.5, 2.0)]
)
def test_limit_and_recall_of_a_labs_localizer_reach_the_loop(
    quick_settings: Callable[..., RunSettings],
    spot_camera: Any,
    name: str,
    limit_per_um2: float,
    times: float,
) -> None:
    seen: list[DensityEstimate] = []
    settings = quick_settings(
        f"localizer.name={name}",
        "feedback.tick_s=0.2",
        "feedback.stop.seconds=1000",
        "record.raw=false",
    )

    camera = spot_camera(period_s=0.005)
    with Session(camera, settings, perturb=lambda e: seen.append(e) or e) as session:  # type: ignore[func-returns-value]
        while len(seen) < 3 and not session.wait(0.05):
            pass
        session.stop()
        assert session.wait(60)
    totals = session.report.totals
    assert totals is not None
    found = session.report.localizations / totals.localized

    assert {estimate.max_local_per_um2 for estimate in seen} == {limit_per_um2}
    # Three spots per frame, some of them in the rim, where nothing is counted.
    per_frame = np.mean([estimate.per_frame for estimate in seen])
    assert per_frame == pytest.approx(times * found, rel=0.5)


@pytest.mark.parametrize(
    ("name", "limit_per_um2"),
    [("gaussian-mle", 0.3), ("elliptical-lsq", 0.3), ("flagship-2d", 1.0), ("auto", 1.0)],
)
def test_what_ships_states_the_limits_that_were_measured(name: str, limit_per_um2: float) -> None:
    calibration = CameraCalibration(pixel_nm=100.0)
    localizer = open_localizer(load(None, [f"localizer.name={name}"]), calibration, 130.0)

    assert localizer.max_local_per_um2 == limit_per_um2
    density, truth = localizer.recall
    assert np.all(np.diff(density) > 0)
    assert np.all(np.diff(truth) >= 0)
    assert truth[0] >= 1.0, "there are more emitters than are found"


def test_a_localizer_that_was_never_measured_is_taken_at_its_word() -> None:
    tiles = np.array([0.05, 0.4])

    assert true_density(0.225, AS_FOUND, tiles, 0.13) == pytest.approx((0.225, 1.0))
    assert true_density(0.225, FIT_RECALL, tiles, 0.13)[0] > 0.225


@pytest.mark.parametrize("limit_per_um2", [0.3, math.inf])
def test_the_limit_survives_the_way_between_processes(limit_per_um2: float) -> None:
    estimate = DensityEstimate(
        first_frame=0,
        last_frame=9,
        n_frames=10,
        t_exposure_end_ns=1,
        mean_per_um2=0.1,
        std_per_um2=0.01,
        local_per_um2=math.nan,
        new_per_um2=0.0,
        unexplained=0.0,
        crowded=False,
        area_um2=100.0,
        max_local_per_um2=limit_per_um2,
    )

    text = json.dumps(estimate.as_dict(), allow_nan=False)
    back = DensityEstimate.from_dict(json.loads(text))

    assert back.max_local_per_um2 == limit_per_um2
    assert math.isnan(back.local_per_um2)
