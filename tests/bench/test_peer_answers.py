"""Parts of the talk with other programs that need no process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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
from rtsmlm.bench.peers import peer_loop
from rtsmlm.bench.peers.peers import HERE, PEERS, PIP_NAMES, SPEED_PEERS, last_words
from rtsmlm.errors import ConfigError
from rtsmlm.settings.load import load


def test_last_words_are_the_last_line_that_is_not_empty() -> None:
    errors = io.StringIO("Traceback\n  File ...\nMemoryError: out of it\n\n  \n")

    assert last_words(errors) == "MemoryError: out of it"
    assert last_words(io.StringIO("\n \n")) == "it printed nothing"


def test_every_peer_has_a_script_a_package_and_both_ways_to_be_timed() -> None:
    for package, methods in PEERS.items():
        assert (HERE / f"peer_{package}.py").is_file()
        assert package in PIP_NAMES
        ways = SPEED_PEERS[package]
        assert len(ways) == 2 * len(methods)
        assert {way.settings["fastest"] for way in ways} == {True, False}
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

    assert peer_loop._run(SimpleNamespace(localize=localize), job) == {"done": job["out"]}
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
