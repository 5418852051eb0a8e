"""Cost against density, and the movie that tells what a localizer is good for in a crowd."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.speed import sweep
from rtsmlm.bench.speed.crowd import DENSITY_UM2, FRAMES, crowd_scene, jaccard
from rtsmlm.bench.speed.scene import MovieKind, speed_scene
from rtsmlm.bench.speed.sweep import FIT, NETWORK, ROUTED, DensityPoint, density_point
from rtsmlm.bench.speed.ways import open_named, settings_of, threads_of, ways_of
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.protocols import ALL, AS_FOUND

SMALL = MovieKind(size_px=64, density_um2=0.2)


class Clock:
    """Time that goes on by what each localizer takes."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


class Slow:
    """Takes a stated time for each call, and notes what it was given."""

    neighbours, uses_all_cores, max_local_per_um2, recall = 1, False, float("inf"), AS_FOUND

    def __init__(self, clock: Clock, name: str, *seconds: float) -> None:
        self.name = name
        self.seen: list[int] = []
        self._clock, self._seconds = clock, list(seconds)

    def warm_up(self, shape: tuple[int, int]) -> None:
        self._clock.now_s += 100.0

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        own = batch.frames(*targets.indices(len(batch))[:2])
        assert len(batch) > len(own), "a frame at the edge of a batch has neighbours, too"
        self.seen += own.index.tolist()
        self._clock.now_s += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]
        place = np.zeros(len(own))
        return Localizations.from_columns({"frame": own.index, "x_nm": place, "y_nm": place})


def test_the_fastest_of_several_rounds_counts_and_every_frame_is_seen_once_in_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(sweep, "time", clock)
    monkeypatch.setattr(sweep, "PASS_MPIXEL", 32 * 64**2 / 1e6)
    # Two batches make a round; the first round does not count.
    one = Slow(clock, "one", 9, 9, 0.5, 0.5, 0.2, 0.2, 0.4)
    other = Slow(clock, "other", 0.1, 0.1, 0.3)

    point = density_point({"one": one, "other": other}, speed_scene(SMALL), 0.2, 16)

    assert point.ms_per_frame == pytest.approx({"one": 400 / 32, "other": 600 / 32})
    assert point.ratio("one", "other") == pytest.approx(2 / 3)
    assert point.ratio(ROUTED, FIT) is None
    assert point.localizations_per_frame == 1.0
    assert (point.whole_share, point.window_share) == (None, None)
    assert one.seen == list(range(32)) * (1 + sweep.ROUNDS)


def test_no_round_is_begun_after_the_time_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(sweep, "time", clock)
    slow = Slow(clock, "slow", 60.0)

    density_point({"slow": slow}, speed_scene(SMALL), 0.2, 16)

    frames = len(set(slow.seen))
    assert len(slow.seen) == frames * (1 + sweep.LEAST_ROUNDS)


def test_a_network_after_a_fit_is_compared_with_both_of_its_parts() -> None:
    scene = speed_scene(SMALL)

    ways = ways_of("flagship-2d-fast", "openvino", scene)

    assert list(ways) == [ROUTED, NETWORK, FIT]
    assert "after a fit" in ways[ROUTED].name
    assert "after a fit" not in ways[NETWORK].name
    assert ways[FIT].name.startswith("gaussian-mle")
    point = density_point(ways, scene, SMALL.density_um2, 16)
    assert set(point.ms_per_frame) == set(ways)
    assert point.whole_share is not None
    assert point.window_share is not None
    assert 0 <= point.whole_share <= 1
    assert point.whole_share + point.window_share > 0, "some of these emitters overlap"
    assert point.as_json()["to_network_everywhere"] == point.ratio(ROUTED, NETWORK)


def test_a_fit_stands_alone_and_its_settings_are_those_of_its_movie() -> None:
    scene = speed_scene(MovieKind(size_px=32, astigmatic=True))

    assert list(ways_of("astigmatic-mle", None, scene)) == ["astigmatic-mle"]
    settings = settings_of("astigmatic-mle", None, scene)
    assert settings.psf.astigmatism is not None
    assert settings.pipeline.max_restarts == 0
    assert threads_of(open_named("astigmatic-mle", None, scene)) >= 1


def test_auto_is_one_localizer_so_that_no_other_takes_over_while_it_is_measured() -> None:
    round_psf, astigmatic = (
        settings_of("auto", None, speed_scene(MovieKind(size_px=32, astigmatic=curves)))
        for curves in (False, True)
    )

    assert round_psf.localizer.name == "flagship-2d"
    assert astigmatic.localizer.name == "astigmatic-mle" or (
        astigmatic.localizer.name == "flagship-astig"
    )
    assert settings_of("gaussian-mle", None, speed_scene(SMALL)).localizer.name == "gaussian-mle"


def test_ratios_are_those_of_the_times() -> None:
    point = DensityPoint(
        size_px=256,
        density_um2=1.0,
        ms_per_frame={ROUTED: 3.0, NETWORK: 2.0, FIT: 6.0},
        localizations_per_frame=1.0,
    )

    assert point.as_json()["to_network_everywhere"] == 1.5
    assert point.as_json()["to_fit"] == 0.5


@pytest.mark.parametrize("astigmatic", [False, True])
def test_the_crowd_has_the_spots_of_the_movie_and_frames_that_are_no_neighbours(
    astigmatic: bool,
) -> None:
    kind = MovieKind(size_px=64, density_um2=0.1, astigmatic=astigmatic)

    scene = crowd_scene(kind)

    assert scene.batch.shape == (64, 64)
    assert len(scene.batch) == FRAMES
    assert np.diff(scene.batch.index).min() > 1
    assert set(np.unique(scene.truth.frame)) <= set(scene.batch.index.tolist())
    assert len(scene.truth) / FRAMES == pytest.approx(DENSITY_UM2 * 7.3**2, rel=0.1)
    assert (scene.curves is not None) is astigmatic
    assert crowd_scene(MovieKind(size_px=1024)).batch.shape == (256, 256)


def test_a_table_of_all_emitters_is_perfect_and_half_of_them_half_as_good() -> None:
    scene = crowd_scene(MovieKind(size_px=64))

    assert jaccard(scene, scene.truth) == 1.0
    half = scene.truth.take(np.arange(0, len(scene.truth), 2))
    assert jaccard(scene, half) == pytest.approx(0.5, abs=0.05)
    assert jaccard(scene, Localizations.empty()) == 0.0
