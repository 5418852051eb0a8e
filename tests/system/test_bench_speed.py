"""`rtsmlm bench`: a short run through the real ring and process, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from typer.testing import CliRunner

import rtsmlm.bench.speed.scene as speed_scene_module
from rtsmlm.bench.peers.peers import PeerMethod, start_peer
from rtsmlm.bench.speed.crowd import crowd_scene
from rtsmlm.bench.speed.figures import RingSamples, SpeedResult, SpeedRun
from rtsmlm.bench.speed.measure import flood, paced
from rtsmlm.bench.speed.page import page, peer_table
from rtsmlm.bench.speed.scene import MovieCamera, MovieKind, speed_scene
from rtsmlm.cli.bench import app
from rtsmlm.cli.bench_speed_steps import time_peer
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.realtime.latency import STAGES, START
from rtsmlm.settings.load import load
from rtsmlm.settings.resolve import resolve

RTSMLM = [sys.executable, "-P", "-m", "rtsmlm.cli"]
KEYS = {
    "mpixel_per_s", "frames_per_s", "localizations_per_s", "sustained_frames_per_s", "latency_ms",
    "latency_at_frames_per_s", "peers", "machine", "versions", "localizer", "runs", "size",
    "density_um2", "threads", "jaccard_in_crowd",
}  # fmt: skip
SMALL = MovieKind(size_px=32)
FAKE = """
def version():
    return "fake 1.0"


def localize(movie, settings):
    return [("nothing", {"frame": [], "x_px": [], "y_px": []})]


def fits(movie, settings):
    import time
    calls = []

    def fit(seconds):
        if settings.get("do") == "raise":
            raise ValueError("no spots today")
        calls.append(seconds)
        time.sleep(seconds if len(calls) > 1 else 4 * seconds)
        return settings["n_emitters"]

    return [("slow", lambda: fit(0.2)), ("quick", lambda: fit(0.05))]
"""


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RTSMLM, "bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Figures and page of a short run."""
    folder = tmp_path_factory.mktemp("bench")
    done = bench(
        "--localizer", "gaussian-mle", "--size", "64", "--frames", "100", "--rate", "200",
        "--json", folder / "speed.json", "--markdown", folder / "speed.md",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((folder / "speed.json").read_text(encoding="utf-8"))
    return figures, (folder / "speed.md").read_text(encoding="utf-8")


def test_a_short_run_gives_all_figures(measured: tuple[dict[str, Any], str]) -> None:
    figures, _ = measured

    assert set(figures) == KEYS
    assert (figures["localizer"], figures["size"], figures["density_um2"]) == (
        "gaussian-mle", 64, 0.1,
    )  # fmt: skip
    assert figures["latency_at_frames_per_s"] == 200
    assert figures["mpixel_per_s"] == pytest.approx(figures["frames_per_s"] * 64**2 / 1e6)
    assert figures["threads"] >= 1
    assert 0.3 < figures["jaccard_in_crowd"] < 0.9, "single spots are fitted, and some overlap"
    assert 1 < figures["localizations_per_s"] / figures["frames_per_s"] < 6
    # A machine that is busy with other work may keep up with none of the rates that are tried.
    sustained = figures["sustained_frames_per_s"]
    assert sustained is None or 0 < sustained < figures["frames_per_s"]
    assert figures["peers"] == []
    assert set(figures["latency_ms"]) == {*STAGES, *START}
    for stage in figures["latency_ms"].values():
        assert 0 < stage["p50"] <= stage["p95"] <= stage["p99"]


def test_the_page_says_how_it_was_made(measured: tuple[dict[str, Any], str]) -> None:
    figures, text = measured

    assert "`rtsmlm bench --localizer gaussian-mle --size 64" in text
    assert figures["machine"]["processor"] in text
    assert f"numpy {figures['versions']['numpy']}" in text
    assert "| gaussian-mle | gaussian-mle, sigma 130.0 nm" in text


def test_frames_balance_at_a_rate_and_the_localizer_sees_what_is_there() -> None:
    scene = speed_scene(SMALL)
    settings = load(
        None,
        [
            "localizer.name=gaussian-mle",
            "psf.sigma_nm=130",
            "stream.address=tcp://127.0.0.1:*",
            "pipeline.max_restarts=0",
        ],
    )

    run = paced(scene, resolve(settings, calibration=scene.calibration), 100, 400.0)

    assert run.received == 100 == run.localized + run.skipped
    assert 0 < run.offered_per_s < 1.02 * 400  # a busy machine may be late, never early
    assert run.latency_ms["total"]["p50"] > 0


class _OwnTime:
    """A clock that goes on by itself a little, and by waiting, 0.1 ms too long each time."""

    def __init__(self) -> None:
        self.t_ns = 1_000_000_000

    def now_ns(self) -> int:
        self.t_ns += 1_000
        return self.t_ns

    def wait(self, seconds: float) -> bool:
        self.t_ns += int(seconds * 1e9) + 100_000
        return False

    def is_set(self) -> bool:
        return False


@pytest.mark.parametrize("frames_per_s", [50.0, 1000.0])
def test_frames_come_at_the_rate_asked_for(
    frames_per_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = MovieCamera(np.zeros((3, 4, 4), np.uint16), frames_per_s)
    n_frames = int(frames_per_s / 2)
    time = _OwnTime()
    monkeypatch.setattr(speed_scene_module, "now_ns", time.now_ns)

    came_ns = []
    due_ns = []
    for frame in camera.stream(cast("threading.Event", time), n_frames):
        came_ns.append(time.t_ns)
        due_ns.append(frame.t_exposure_end_ns)
        if frame.index == 5:
            time.t_ns += int(3e9 / frames_per_s)  # somebody is late to fetch the next three

    assert len(came_ns) == n_frames
    assert np.allclose(np.diff(due_ns), 1e9 / frames_per_s, atol=1)
    late_ns = np.array(came_ns) - due_ns
    assert late_ns.min() >= 0
    assert np.delete(late_ns, [6, 7, 8, 9]).max() < 0.01e9 / frames_per_s
    assert camera.delivered_per_s == pytest.approx(frames_per_s, rel=1e-3)


def test_a_stopped_camera_ends_at_once() -> None:
    stop = threading.Event()
    stream = MovieCamera(np.zeros((1, 4, 4), np.uint16), 0.01).stream(stop)

    assert next(stream).index == 0
    threading.Timer(0.05, stop.set).start()

    assert list(stream) == []


def test_the_movie_is_numbered_without_gaps_and_as_dense_as_asked_for() -> None:
    scene = speed_scene(replace(SMALL, density_um2=2.0))

    assert scene.batch.index.tolist() == list(range(200))
    assert scene.batch.shape == (32, 32)
    area_um2 = 4.1**2
    assert len(scene.truth) / 200 / area_um2 == pytest.approx(2.0, rel=0.1)


def test_a_backlog_that_grows_does_not_keep_up() -> None:
    growing = RingSamples(
        t_ns=[k * 10**6 for k in range(101)],
        pushed=[2 * k for k in range(101)],
        released=list(range(101)),
    )

    assert growing.growth() == pytest.approx(50, rel=0.05)
    assert growing.released_per_s(10, 100) == pytest.approx(1000)
    assert not a_run(growth_frames=50.0).keeps_up
    assert not a_run(skipped=1).keeps_up
    assert a_run(growth_frames=1.0).keeps_up


def test_a_peer_is_timed_in_its_process_with_each_number_of_threads(tmp_path: Path) -> None:
    scene, crowded = speed_scene(SMALL), crowd_scene(SMALL)
    with start_peer("fake", Path(sys.executable), script(tmp_path)) as peer:
        others = time_peer(peer, PeerMethod(column="fake", settings={}), scene, crowded, [1, 2])

    result = replace(a_result(), peers=others)

    for other, threads in zip(others, (1, 2), strict=True):
        assert (other.threads, other.how) == (threads, "quick")
        assert other.frames_per_s == pytest.approx(200 / 0.05, rel=0.25)
        assert other.localizations_per_frame == pytest.approx(len(scene.truth) / 200)
        assert (other.jaccard, other.jaccard_how) == (0.0, "nothing")
    assert result.as_json()["peers"][0]["ratio"] == pytest.approx(1000.0 / others[0].frames_per_s)
    assert peer_table([result]).rows[1][:3] == ["fake", "quick", "1"]
    facts = dict.fromkeys(("command", "version", "machine", "versions"), "x")
    assert "They are fake 1.0." in page([result], {**facts, "peers": "fake 1.0"}, ())


def test_a_peer_that_fails_in_its_fit_says_why(tmp_path: Path) -> None:
    with (
        start_peer("fake", Path(sys.executable), script(tmp_path)) as peer,
        pytest.raises(LocalizerError, match=r"fake 1\.0 failed: ValueError: no spots today"),
    ):
        peer.time(speed_scene(SMALL), {"do": "raise"})


def test_a_peer_that_is_missing_names_its_package() -> None:
    with pytest.raises(ConfigError, match="pip install picassosr"), start_peer("picasso"):
        pass


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--size", "8"), "choose a size from 16 to 4096"),
        (("--frames", "10"), "10 frames are too few to be timed; take at least 50"),
        (("--rate", "0"), "a camera rate of 0 frames/s is not measured"),
        (("--density", "-1"), "a density of -1 emitters per um2 is not measured"),
        (("--peers", "accuracy", "--quick"), "options of rtsmlm bench accuracy stand behind"),
    ],
)
def test_a_bad_option_is_refused(options: tuple[str, ...], sentence: str) -> None:
    done = CliRunner().invoke(app, options)

    assert isinstance(done.exception, ConfigError)
    assert sentence in str(done.exception)


def test_what_is_refused_is_one_sentence() -> None:
    done = bench("--localizer", "no-such")

    assert done.returncode == 1
    assert "no localizer named 'no-such'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "n_frames", "frames_per_s"),
    [
        (replace(SMALL, density_um2=0.0), 100, 1.0),
        (replace(SMALL, density_um2=float("nan")), 100, 1.0),
        (SMALL, 49, 1.0),
        (SMALL, 100, float("nan")),
        (SMALL, 100, -1.0),
    ],
)
def test_what_cannot_be_measured_is_refused(
    kind: MovieKind, n_frames: int, frames_per_s: float
) -> None:
    with pytest.raises(ConfigError, match=r"not measured|too few"):
        paced(speed_scene(kind), load(), n_frames, frames_per_s)


def test_a_localizer_that_does_not_start_is_an_error_and_no_hang() -> None:
    settings = load(None, ["localizer.name=no-such", "pipeline.max_restarts=0"])

    with pytest.raises(Exception, match="does not start: no localizer named"):
        flood(speed_scene(SMALL), settings, 50)


def test_accuracy_is_still_a_command_of_its_own() -> None:
    done = CliRunner().invoke(app, ["accuracy", "--only", "nothing is called so"])

    assert done.exit_code == 0, done.output


def script(folder: Path) -> Path:
    path = folder / "fake.py"
    path.write_text(FAKE, encoding="utf-8")
    return path


def a_run(*, skipped: int = 0, growth_frames: float = 0.0) -> SpeedRun:
    return SpeedRun(
        frames_per_s=1000.0,
        offered_per_s=900.0,
        localizations_per_frame=3.0,
        received=100,
        localized=100 - skipped,
        skipped=skipped,
        growth_frames=growth_frames,
        latency_ms={stage: {"p50": 1.0, "p95": 2.0, "p99": 3.0} for stage in STAGES},
    )


def a_result() -> SpeedResult:
    run = a_run()
    return SpeedResult(
        localizer="ours",
        runs="a fit",
        size_px=32,
        density_um2=0.1,
        threads=2,
        jaccard=0.9,
        flood=run,
        sustained=run,
        paced=run,
        paced_per_s=100.0,
    )
