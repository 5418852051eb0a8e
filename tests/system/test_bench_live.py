"""Whole runs of `rtsmlm bench live`: frames from memory and of the simulated camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.bench.speed.live import ALL, ONE, TakenFrames, live_run, localizer_cost, take_frames
from rtsmlm.bench.speed.scene import MovieKind, speed_scene
from rtsmlm.calibration import StatedCalibration
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

FRAMES, MANY = 120, 4000
"""A backlog that is worked off at once cannot be timed."""


@pytest.fixture
def settings() -> RunSettings:
    return load(
        [Path("demo.toml")],
        ["localizer.name=gaussian-mle", "camera.e_per_adu=1", "camera.offset_adu=100"],
    )


@pytest.fixture
def taken() -> TakenFrames:
    scene = speed_scene(MovieKind(size_px=48))
    return TakenFrames(pixels=scene.batch.pixels, stated=StatedCalibration(), frames_per_s=200.0)


def test_a_backlog_from_memory_is_localized_whole_and_written(
    settings: RunSettings, taken: TakenFrames
) -> None:
    done: list[int] = []

    run = live_run(
        settings, taken, MANY, lambda n, total: done.append(n), raw=True, paced=False,
        one_core=True,
    )  # fmt: skip

    assert (run.received, run.skipped, run.lost) == (MANY, 0, 0)
    assert (run.source, run.raw, run.asked_per_s) == ("memory", True, None)
    assert run.frames_per_s > 0
    assert 0 < run.p50_ms <= run.p99_ms
    assert done[-1] == MANY
    assert run.core_ms["session"] is not None
    assert run.core_ms["session"] > 0


def test_the_camera_of_the_settings_runs_at_its_rate(
    settings: RunSettings, taken: TakenFrames
) -> None:
    run = live_run(settings, taken, FRAMES, lambda done, total: None, source="camera")

    assert run.received == FRAMES
    assert (run.source, run.raw, run.asked_per_s) == ("camera", False, 200.0)


def test_frames_of_the_camera_are_taken_into_memory(settings: RunSettings) -> None:
    done: list[tuple[int, int]] = []

    taken = take_frames(settings, 20, lambda n, total: done.append((n, total)))

    assert taken.pixels.shape[0] == 20
    assert done[-1] == (20, 20)
    assert len({frame.tobytes() for frame in taken.pixels}) == 20
    assert taken.frames_per_s == pytest.approx(100.0)
    assert taken.stated.e_per_adu is not None


def test_the_localizer_alone_is_given_one_core_and_all(
    settings: RunSettings, taken: TakenFrames
) -> None:
    ms, name = localizer_cost(settings, taken, 130.0)

    assert set(ms) == {ONE, ALL}
    assert all(np.isfinite(value) and value > 0 for value in ms.values())
    assert name.startswith("gaussian-mle")
