"""Other programs in their own process: asked, answered, and never trusted to live."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.bench.accuracy.scenes import Scene, isolated_scene
from rtsmlm.bench.peers import peer_picasso, peer_smappy, peers
from rtsmlm.bench.peers.peers import PEERS, start_peer
from rtsmlm.errors import ConfigError, LocalizerError

PYTHON = Path(sys.executable)
FAKE = """
import sys
import threading

import numpy as np


def version():
    print("chatter on standard output")
    return "fake 1.0"


def localize(movie, settings):
    print("more chatter")
    if settings["do"] == "raise":
        raise ValueError("no spots today")
    if settings["do"] == "hang":
        threading.Event().wait()
    if settings["do"] == "die":
        sys.exit("out of memory")
    top = movie["pixels"].reshape(len(movie["pixels"]), -1).argmax(axis=1)
    width = movie["pixels"].shape[2]
    row = {"frame": np.arange(len(top)), "x_px": top % width, "y_px": top // width}
    sigma = np.full(len(top), settings["sigma_px"])
    return [("all", {**row, "std_x_px": sigma}), ("none", {"frame": [], "x_px": [], "y_px": []})]
"""


@pytest.fixture
def scene(rng: np.random.Generator) -> Scene:
    return isolated_scene(rng, 3, (1.3, 20_000.0, 1.0))


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    path = tmp_path / "fake.py"
    path.write_text(FAKE, encoding="utf-8")
    return path


def test_a_peer_gives_a_table_for_each_of_its_settings(scene: Scene, fake: Path) -> None:
    with start_peer("fake", PYTHON, fake) as peer:
        answers = [dict(peer.localize(scene, {"do": "find"})) for _ in range(2)]

    assert peer.version == "fake 1.0"
    found = answers[1]["all"]
    assert found.frame.tolist() == [0, 2, 4]
    assert np.all(found.std_x_nm == np.float32(130.0))
    pixels = scene.batch.pixels[1]
    brightest = np.unravel_index(pixels.argmax(), pixels.shape)
    assert (found.y_nm[1], found.x_nm[1]) == tuple(100.0 * np.array(brightest))
    assert np.isnan(found.photons).all()
    assert len(answers[0]["none"]) == 0


def test_a_peer_that_fails_says_why_and_can_be_asked_again(scene: Scene, fake: Path) -> None:
    with start_peer("fake", PYTHON, fake) as peer:
        with pytest.raises(LocalizerError, match=r"fake 1\.0 failed: ValueError: no spots today"):
            list(peer.localize(scene, {"do": "raise"}))
        assert len(dict(peer.localize(scene, {"do": "find"}))) == 2


def test_a_peer_that_dies_is_an_error_and_no_hang(scene: Scene, fake: Path) -> None:
    with (
        start_peer("fake", PYTHON, fake) as peer,
        pytest.raises(LocalizerError, match=r"fake 1\.0 has ended: out of memory"),
    ):
        list(peer.localize(scene, {"do": "die"}))


def test_a_peer_that_hangs_is_an_error_and_is_ended(
    scene: Scene, fake: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(peers, "ANSWER_S", 0.2)
    monkeypatch.setattr(peers, "LEAVE_S", 0.2)

    with (
        start_peer("fake", PYTHON, fake) as peer,
        pytest.raises(LocalizerError, match=r"^fake 1\.0: .* did not answer within 0\.2 s"),
    ):
        list(peer.localize(scene, {"do": "hang"}))

    assert "did not end within 0.2 s and was killed" in caplog.text


def test_a_peer_that_hangs_while_it_is_imported_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "START_S", 0.2)
    monkeypatch.setattr(peers, "LEAVE_S", 0.2)
    script = tmp_path / "slow.py"
    script.write_text("import threading; threading.Event().wait()", encoding="utf-8")

    with (
        pytest.raises(ConfigError, match=r"^slow cannot be used: .* did not answer within 0\.2 s"),
        start_peer("slow", PYTHON, script),
    ):
        pass


def test_a_peer_that_cannot_be_imported_is_a_sentence(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("import a_package_that_is_not_there\n", encoding="utf-8")

    with (
        pytest.raises(ConfigError, match=r"^fake cannot be used: .*a_package_that_is_not_there"),
        start_peer("fake", PYTHON, script),
    ):
        pass


def test_an_interpreter_that_is_not_there_is_a_sentence(tmp_path: Path, fake: Path) -> None:
    missing = tmp_path / "no" / "python"

    with pytest.raises(ConfigError, match="cannot start"), start_peer("fake", missing, fake):
        pass


def test_a_peer_that_is_not_installed_here_is_a_sentence() -> None:
    with (
        pytest.raises(ConfigError, match="name the interpreter"),
        start_peer("a_package_that_is_not_there"),
    ):
        pass


def test_each_peer_has_a_script_with_the_two_functions_asked_for() -> None:
    assert set(PEERS) == {"picasso", "smappy"}
    for script in (peer_picasso, peer_smappy):
        assert callable(script.version)
        assert callable(script.localize)
