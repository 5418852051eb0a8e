"""Parts of the talk with other programs that need no process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtsmlm.bench.accuracy.contenders import (
    OurLocalizer,
    our_localizers,
    overrides_of,
    plain_name,
    with_curves,
)
from rtsmlm.bench.accuracy.scenes import astigmatic_scene, isolated_scene
from rtsmlm.bench.peers import peer_loop, peer_picasso, peer_smappy
from rtsmlm.bench.peers.peers import HERE, PEERS, PIP_NAMES, SPEED_PEERS, last_words
from rtsmlm.errors import ConfigError
from rtsmlm.settings.load import load


def test_last_words_are_the_last_line_that_is_not_empty() -> None:
    errors = io.StringIO("Traceback\n  File ...\nMemoryError: out of it\n\n  \n")

    assert last_words(errors) == "MemoryError: out of it"
    assert last_words(io.StringIO("\n \n")) == "it printed nothing"


def test_every_peer_has_a_script_a_package_and_is_timed_with_each_method() -> None:
    for package, methods in PEERS.items():
        assert (HERE / f"peer_{package}.py").is_file()
        assert package in PIP_NAMES
        ways = SPEED_PEERS[package]
        assert {method.column for method in methods} <= {way.column for way in ways}
        assert len({way.column for way in ways}) == len(ways)


def test_the_scripts_of_peers_load_where_rtsmlm_is_not_installed() -> None:
    scripts = [HERE / "peer_loop.py", *(HERE / f"peer_{package}.py" for package in PEERS)]
    hidden = "import runpy, sys; sys.modules['rtsmlm'] = None; "
    load_all = "[runpy.run_path(path, run_name='peer') for path in sys.argv[1:]]"

    done = subprocess.run(
        [sys.executable, "-P", "-c", hidden + load_all, *map(str, scripts)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    np.savez(tmp_path / "movie.npz", pixels=np.arange(8).reshape(2, 2, 2))
    return tmp_path / "movie.npz"


def test_tables_of_a_peer_are_numbered_in_the_order_of_their_names(
    movie: Path, tmp_path: Path
) -> None:
    def localize(movie: dict[str, np.ndarray], settings: dict[str, int]) -> list[object]:
        top = movie["pixels"].max()
        return [("low", {"x_px": [settings["k"]]}), ("high", {"x_px": [top, top]})]

    job = {"movie": str(movie), "settings": {"k": 5}, "out": str(tmp_path / "found.npz")}

    assert peer_loop._localize(SimpleNamespace(localize=localize), job) == {"done": job["out"]}
    with np.load(tmp_path / "found.npz") as found:
        assert found["names"].tolist() == ["low", "high"]
        assert found["0.x_px"].tolist() == [5.0]
        assert found["1.x_px"].tolist() == [7.0, 7.0]


def test_the_first_call_of_a_fit_is_not_timed_and_the_fastest_way_is_named(
    movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    calls: list[str] = []

    def fit(name: str, *seconds: float) -> tuple[str, object]:
        left = list(seconds)

        def call() -> int:
            nonlocal now
            calls.append(name)
            now += left.pop(0)
            return len(name)

        return name, call

    monkeypatch.setattr(peer_loop.time, "perf_counter", lambda: now)
    peer = SimpleNamespace(
        fits=lambda movie, settings: [fit("one", 0.1, 5, 4, 6), fit("several", 9, 3, 2, 8)]
    )

    answer = peer_loop._time(peer, {"movie": str(movie), "settings": {}})

    assert answer == {"seconds": pytest.approx(2.0), "n_localizations": 7, "how": "several"}
    assert calls == ["one"] * 4 + ["several"] * 4


def test_smappy_takes_the_threads_and_the_box_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[dict[str, object]] = []

    def fit(pixels: np.ndarray, **settings: object) -> list[int]:
        given.append(settings)
        return [1, 2, 3]

    monkeypatch.setitem(sys.modules, "smappy", SimpleNamespace(fit=fit))
    movie = dict.fromkeys(("pixels", "e_per_adu", "offset_adu", "em_gain", "read_noise_e"), 1.0)

    for threads, fastest in ((1, True), (4, False)):
        ((_, call),) = peer_smappy.fits(
            movie, {"sigma_px": 1.3, "threads": threads, "fastest": fastest}
        )
        assert call() == 3

    assert [(one["threads"], one["roisize"]) for one in given] == [(1, 7), (4, 13)]


@pytest.mark.parametrize(("threads", "ways"), [(1, 1), (3, 2)])
def test_picasso_sees_every_frame_once_in_each_way_with_the_threads_it_is_given(
    threads: int, ways: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = SimpleNamespace(n_workers=lambda share: 1)
    given: list[tuple[bool, int]] = []

    seen: list[int] = []

    def localize_frames(frames: np.ndarray, info: None, params: object, **settings: Any) -> Any:
        given.append((settings["threaded"], lib.n_workers(0.8)))
        seen.extend(frames[:, 0, 0].tolist())
        return frames

    localize = SimpleNamespace(
        localize_frames=localize_frames, identify_in_frame=lambda *_: (0, 0, np.ones(1))
    )
    monkeypatch.setitem(sys.modules, "picasso", SimpleNamespace(lib=lib, localize=localize))
    numbers = np.arange(10, dtype=np.uint16)
    movie = {"pixels": np.tile(numbers[:, None, None], (1, 2, 2)), "em_gain": np.array(1.0)}
    movie |= {"offset_adu": np.array(0.0), "e_per_adu": np.array(1.0)}

    fits = peer_picasso.fits(movie, {"method": "gausslq", "threads": threads, "n_emitters": 5})

    assert len(fits) == ways
    for _, call in fits:
        seen.clear()
        assert call() == len(numbers)
        assert sorted(seen) == numbers.tolist()
    assert {n for _, n in given} == {threads}
    assert [threaded for threaded, _ in given].count(True) == (threads > 1)


def test_an_answer_is_one_line_of_json_sent_at_once() -> None:
    answers = io.StringIO()

    peer_loop._answer(answers, {"error": "two\nlines"})

    assert answers.getvalue().count("\n") == 1
    assert json.loads(answers.getvalue()) == {"error": "two\nlines"}


def test_a_name_may_carry_a_precision() -> None:
    assert plain_name("auto:int8") == "auto"
    assert overrides_of("auto:int8") == ["localizer.name=auto", "localizer.precision=int8"]
    assert overrides_of("gaussian-mle") == ["localizer.name=gaussian-mle"]
    assert plain_name(r"C:\models\mine") == r"C:\models\mine", "the colon of a drive is none"


def test_a_localizer_takes_part_for_its_psf() -> None:
    assert OurLocalizer("gaussian-mle").psf == "round"
    assert all(
        OurLocalizer(name).psf == "astigmatic" for name in ("astigmatic-mle", "flagship-astig")
    )
    assert OurLocalizer("flagship-2d", refine=False).name == "flagship-2d, network alone"


def test_an_unknown_localizer_is_refused_with_those_that_are_installed() -> None:
    with pytest.raises(ConfigError, match=r"no localizer named 'mine'.*gaussian-mle"):
        our_localizers(["mine"], [])


def test_the_curves_of_a_scene_reach_the_settings_unchanged(rng: np.random.Generator) -> None:
    settings = load(None)

    deep = astigmatic_scene(rng, 1, 2000.0, 20.0, 400.0)
    assert deep.curves is not None
    taken = with_curves(settings, deep).psf.astigmatism
    assert taken is not None
    assert taken.curves() == deep.curves

    flat = isolated_scene(rng, 1, (1.3, 2000.0, 20.0))
    assert with_curves(settings, flat) is settings
