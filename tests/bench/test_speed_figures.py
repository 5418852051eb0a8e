"""Figures and tables of speed, and the movie and camera on which it is measured."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.bench.speed.figures import (
    PeerSpeed,
    RingSamples,
    SpeedResult,
    SpeedRun,
)
from rtsmlm.bench.speed.page import number, page, tables
from rtsmlm.bench.speed.scene import (
    LEAST_FRAMES,
    MOST_FRAMES,
    MovieCamera,
    MovieKind,
    speed_scene,
)
from rtsmlm.bench.speed.sweep import FIT, NETWORK, ROUTED, DensityPoint, SizePoint, Sweep
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.realtime.latency import STAGES


def run(**changes: object) -> SpeedRun:
    facts: dict[str, object] = {
        "frames_per_s": 200.0, "offered_per_s": 210.0, "localizations_per_frame": 5.0,
        "received": 1000, "localized": 1000, "skipped": 0, "growth_frames": 0.0,
        "latency_ms": {stage: {"p50": 1.0, "p95": 2.0, "p99": 3.0} for stage in STAGES},
    }  # fmt: skip
    return SpeedRun(**{**facts, **changes})  # type: ignore[arg-type]


PEER = PeerSpeed(
    name="Peer", how="box 7", threads=2, frames_per_s=50.0, localizations_per_frame=4.0,
    jaccard=0.6, jaccard_how="box 5",
)  # fmt: skip


SWEEP = Sweep(
    size=(SizePoint(size_px=64, frames_per_s=1000.0), SizePoint(size_px=128, frames_per_s=125.0)),
    density=tuple(
        DensityPoint(
            size_px=64, density_um2=density, ms_per_frame={"gaussian-mle": ms},
            localizations_per_frame=found,
        )
        for density, ms, found in ((0.5, 2.0, 0.0), (1.0, 4.0, 5.0))
    ),
    threads={"gaussian-mle": 1},
)  # fmt: skip
ROUTED_SWEEP = Sweep(
    size=SWEEP.size,
    density=(
        DensityPoint(
            size_px=64, density_um2=0.1, ms_per_frame={ROUTED: 2.0, NETWORK: 8.0, FIT: 1.0},
            localizations_per_frame=5.0, whole_share=0.1, window_share=0.25,
        ),
    ),
    threads={ROUTED: 2, NETWORK: 2, FIT: 1},
)  # fmt: skip


def result(**changes: object) -> SpeedResult:
    facts: dict[str, object] = {
        "localizer": "gaussian-mle", "runs": "fit of spots", "size_px": 256, "density_um2": 0.1,
        "threads": 2, "jaccard": 0.9,
        "flood": run(), "sustained": run(offered_per_s=150.0), "paced": run(), "paced_per_s": 100.0,
        "peers": (PEER,),
    }  # fmt: skip
    return SpeedResult(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("received", "skipped", "growth", "keeps_up"),
    [
        (1000, 0, 10.0, True),  # 1 % of a run
        (1000, 0, 10.1, False),
        (100, 0, 4.0, True),  # a batch of a short run
        (1000, 1, 0.0, False),
    ],
)
def test_a_localizer_keeps_up_without_a_skipped_frame_and_a_growing_backlog(
    received: int, skipped: int, growth: float, keeps_up: bool
) -> None:
    assert run(received=received, skipped=skipped, growth_frames=growth).keeps_up is keeps_up


def samples(pushed: list[int], released: list[int], period_s: float = 0.1) -> RingSamples:
    t_ns = [round(k * period_s * 1e9) for k in range(len(pushed))]
    return RingSamples(t_ns=t_ns, pushed=pushed, released=released)


@given(per_sample=st.integers(1, 50), n=st.integers(20, 100))
def test_frames_released_evenly_have_their_rate_between_any_two_counts(
    per_sample: int, n: int
) -> None:
    counts = [k * per_sample for k in range(n)]

    rate = samples(counts, counts).released_per_s(2 * per_sample, 15 * per_sample)

    assert rate == pytest.approx(per_sample / 0.1)


def test_frames_released_between_two_samples_are_too_quick_to_time() -> None:
    with pytest.raises(LocalizerError, match="90 frames were too quick"):
        samples([0, 100, 100], [0, 100, 100]).released_per_s(10, 100)


@given(grows=st.integers(0, 5), n=st.integers(8, 80))
def test_the_backlog_grows_by_what_is_not_released(grows: int, n: int) -> None:
    pushed = [10 * k for k in range(4 * n)]
    released = [(10 - grows) * k for k in range(4 * n)]

    # From the middle of the second quarter to that of the last one.
    assert samples(pushed, released).growth() == pytest.approx(grows * 2 * n, rel=0.01)


def test_what_is_released_after_the_last_frame_is_no_shrinking_backlog() -> None:
    pushed = [10 * k for k in range(40)] + [390] * 40
    released = [0] * 40 + [10 * k for k in range(40)]

    assert samples(pushed, released).growth() == pytest.approx(200, rel=0.05)
    assert samples([0, 1, 1], [0, 0, 1]).growth() == 0.0, "too few samples to say"


def test_a_result_counts_localizations_and_compares_frames() -> None:
    one = result()

    assert one.localizations_per_s == 1000.0
    assert one.ratio(one.peers[0]) == 4.0
    assert one.mpixel_per_s == pytest.approx(200 * 256**2 / 1e6)
    peer = one.as_json()["peers"][0]
    assert (peer["ratio"], peer["threads"], peer["jaccard_in_crowd"]) == (4.0, 2, 0.6)
    assert (one.as_json()["threads"], one.as_json()["jaccard_in_crowd"]) == (2, 0.9)
    assert one.as_json()["sustained_frames_per_s"] == 150.0
    assert result(sustained=None).as_json()["sustained_frames_per_s"] is None


@given(value=st.floats(1e-6, 1e9))
def test_a_figure_on_the_page_is_the_value_to_three_digits(value: float) -> None:
    text = number(value)

    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.006)
    if value >= 1e-4:
        assert "e" not in text


def test_a_figure_that_is_not_there_is_a_dash() -> None:
    assert number(None) == "-"


def test_every_table_has_as_many_cells_as_headings_and_shows_what_was_measured() -> None:
    full = result(sweep=SWEEP)

    found = tables([full, result(localizer="b", sustained=None, peers=(), sweep=ROUTED_SWEEP)])

    for table in found:
        assert all(len(row) == len(table.headings) for row in table.rows)
        assert len(table.markdown().splitlines()) == len(table.rows) + 2
    assert [table.title for table in found] == [
        "Throughput",
        "Latency",
        "Other programs",
        "gaussian-mle: throughput against size",
        "gaussian-mle: cost against density",
        "b: throughput against size",
        "b: cost against density",
    ]
    throughput, latency, others, size, density, _, routed = (table.rows for table in found)
    assert [row[0] for row in throughput] == ["gaussian-mle", "b"]
    assert throughput[1][-2:] == ["-", "0.9"], "no rate was found that it keeps up with"
    assert [row[:2] for row in latency] == [
        ["gaussian-mle", "100"], ["gaussian-mle", "150"], ["b", "100"],
    ]  # fmt: skip
    # Ours and theirs side by side: threads, frames/s, found, in a crowd, and our rate over theirs.
    assert others == [
        ["rtsmlm gaussian-mle", "fit of spots", "2", "200", "5", "0.9", "1"],
        ["Peer", "box 7", "2", "50", "4", "0.6", "4"],
    ]
    assert size == [["64", "1,000", "4.1", "1"], ["128", "125", "2.05", "0.5"]]
    assert density == [["0.5", "2", "488", "-"], ["1", "4", "977", "800"]]
    assert routed == [["0.1", "2", "8", "1", "0.25", "2", "10 %", "25 %"]]


def test_the_page_explains_each_kind_of_table_once() -> None:
    facts = {
        "command": "rtsmlm bench speed", "version": "1", "machine": "two cores",
        "versions": "numpy 2", "peers": "Peer 1.0",
    }  # fmt: skip

    text = page([result(), result(localizer="b")], facts, ["quick"])

    assert text.startswith("# Speed: 256 x 256 pixels, 0.1 emitters per um2")
    assert text.count("Milliseconds from the end of the exposure") == 1
    assert text.count("The Jaccard index says") == 1
    assert "They are Peer 1.0." in text
    assert "- quick\n" in text
    assert text.rstrip().endswith("numpy 2")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (MovieKind(size_px=15), "size from 16 to 4096"),
        (MovieKind(size_px=4097), "size from 16 to 4096"),
        (MovieKind(density_um2=0.0), "above 0 and up to 20"),
        (MovieKind(density_um2=math.nan), "above 0 and up to 20"),
    ],
)
def test_a_movie_that_cannot_be_drawn_is_refused_with_the_limits(
    kind: MovieKind, text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        speed_scene(kind)


@given(size=st.integers(16, 4096))
def test_large_frames_are_fewer_within_the_memory_of_a_movie(size: int) -> None:
    n = MovieKind(size_px=size).n_frames

    assert LEAST_FRAMES <= n <= MOST_FRAMES
    assert n == LEAST_FRAMES or 2 * n * size**2 <= 64 * 2**20


@pytest.mark.parametrize("astigmatic", [False, True])
def test_the_movie_of_speed_has_consecutive_frames_and_its_density(astigmatic: bool) -> None:
    steps: list[tuple[int, int]] = []
    kind = MovieKind(size_px=32, density_um2=2.0, astigmatic=astigmatic)

    scene = speed_scene(kind, 1, lambda done, total: steps.append((done, total)))

    assert scene.batch.index.tolist() == list(range(kind.n_frames))
    assert steps[-1] == (kind.n_frames, kind.n_frames)
    side_um = (32 + 9) / 10
    assert len(scene.truth) / kind.n_frames == pytest.approx(2 * side_um**2, rel=0.05)
    assert (scene.curves is not None) is astigmatic
    again = speed_scene(kind, 1)
    np.testing.assert_array_equal(again.batch.pixels, scene.batch.pixels)


def test_a_camera_shows_the_movie_again_from_its_beginning() -> None:
    movie = np.arange(3 * 4, dtype=np.uint16).reshape(3, 2, 2)
    camera = MovieCamera(movie, None)

    frames = list(camera.stream(threading.Event(), 7))

    assert [frame.index for frame in frames] == list(range(7))
    assert [int(frame.pixels[0, 0]) for frame in frames] == [0, 4, 8, 0, 4, 8, 0]
    assert camera.shape == (2, 2)
    assert camera.delivered_per_s > 0


def test_frames_carry_the_time_at_which_they_were_due_not_at_which_they_were_taken() -> None:
    camera = MovieCamera(np.zeros((1, 2, 2), np.uint16), 2000.0)
    due_ns = []
    for frame in camera.stream(threading.Event(), 20):
        due_ns.append(frame.t_exposure_end_ns)
        if frame.index == 3:
            threading.Event().wait(0.01)  # a late reader

    assert np.diff(due_ns).tolist() == [500_000] * 19
    assert camera.exposure_ms == 0.5


def test_a_camera_ends_when_asked_to_and_has_no_rate_before_its_second_frame() -> None:
    camera, stop = MovieCamera(np.zeros((1, 2, 2), np.uint16), None), threading.Event()
    frames = camera.stream(stop)
    next(frames)
    assert math.isnan(camera.delivered_per_s)

    stop.set()

    assert list(frames) == []
