"""What ends an acquisition."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtsmlm.feedback.law.stopping import Exhaustion, StopCriteria
from rtsmlm.settings.feedback import StopSettings


def check(progress: dict[str, Any], **settings: Any) -> str | None:
    return StopCriteria(StopSettings(**settings)).check(**progress)


@pytest.mark.parametrize(
    ("setting", "limit", "progress", "word"),
    [
        ("localizations", 1000, "n_localizations", "localizations"),
        ("seconds", 60.0, "elapsed_s", "s have passed"),
        ("dose", 5.0, "dose", "dose"),
    ],
)
def test_a_limit_ends_it_when_it_is_reached_and_not_before(
    setting: str, limit: float, progress: str, word: str
) -> None:
    assert check({progress: limit * 0.999}, **{setting: limit}) is None

    reason = check({progress: limit}, **{setting: limit})

    assert reason is not None
    assert word in reason


def test_what_is_not_asked_for_never_ends_it() -> None:
    far = {"n_localizations": 10**9, "elapsed_s": 1e9, "dose": 1e9, "resolution": [(1, 20.0)] * 99}

    assert check(far) is None


def curve(settle_frames: float, n_frames: int = 20_000) -> list[tuple[int, float]]:
    frames = range(500, n_frames + 1, 500)
    return [(f, 20 + 60 * math.exp(-f / settle_frames)) for f in frames]


def test_a_resolution_that_stands_still_ends_it() -> None:
    reason = check({"resolution": curve(2000)}, resolution_change=0.02)

    assert reason is not None
    assert "20.0 nm" in reason


def test_a_resolution_that_still_improves_does_not() -> None:
    assert check({"resolution": curve(8000)}, resolution_change=0.02) is None


def test_a_resolution_that_wavers_and_meets_by_chance_does_not() -> None:
    points = [(f, 20.0 + 2.0 * (f // 500 % 2)) for f in range(500, 20_001, 500)]
    assert points[-1][1] == points[-5][1]

    assert check({"resolution": points}, resolution_change=0.02) is None


@pytest.mark.parametrize("points", [[], [(100, 30.0)], [(950, 30.0), (1000, 30.0)]])
def test_too_few_points_tell_nothing(points: list[tuple[int, float]]) -> None:
    assert check({"resolution": points}, resolution_change=0.02) is None


def test_a_resolution_that_is_reached_ends_it_and_the_one_before_does_not() -> None:
    assert check({"resolution": [(500, 31.0), (1000, 25.1)]}, resolution_nm=25.0) is None
    reason = check({"resolution": [(500, 31.0), (1000, 24.9)]}, resolution_nm=25.0)

    assert reason == "a resolution of 24.9 nm, 25 were asked for"


def test_unknown_resolutions_are_left_out() -> None:
    points = [*curve(2000), (20_500, math.nan)]

    assert check({"resolution": points}, resolution_change=0.02) is not None


def test_exhaustion_counts_time_in_a_row_only() -> None:
    exhaustion = Exhaustion(10.0)

    ends = [exhaustion.update(float(t), spent=t != 8) for t in range(25)]

    assert ends.index(True) == 19


def test_exhaustion_without_a_time_never_ends_it() -> None:
    exhaustion = Exhaustion(None)

    assert not any(exhaustion.update(float(t), spent=True) for t in range(10_000))
