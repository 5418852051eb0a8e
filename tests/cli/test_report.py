"""`rtsmlm report` and `rtsmlm follow` do what their help says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtsmlm.cli import follow as follow_command
from rtsmlm.cli.report import report
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
from rtsmlm.settings.run import RunSettings


def run_folder(path: Path, n_rows: int) -> Path:
    path.mkdir()
    with ArrowStreamFile(
        path / "localizations.arrows", {"pixel_nm": 100.0, "shape": [32, 32]}
    ) as table:
        rows = {name: np.linspace(0, 3000, n_rows) for name in ("x_nm", "y_nm", "photons")}
        rows |= {"std_x_nm": np.full(n_rows, 10.0), "std_y_nm": np.full(n_rows, 10.0)}
        table.put(Localizations.from_columns({"frame": np.arange(n_rows), **rows}))
    return path


def test_every_run_that_is_named_gets_its_page(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path / name, n) for name, n in (("a", 100), ("b", 200))]

    report(runs)

    for run, n in zip(runs, (100, 200), strict=True):
        page = (run / "report.html").read_text(encoding="utf-8")
        assert f"<b>{n}</b><span>localizations</span>" in page
        assert page.count("<html") == 1


def test_a_folder_that_holds_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path.name} holds no run"):
        report([tmp_path])

    assert not (tmp_path / "report.html").exists()


def test_following_sets_what_a_recording_of_others_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movie = tmp_path / "cell's.tif"
    frames = np.full((4, 16, 16), 100, np.uint16)
    tifffile.imwrite(movie, frames, photometric="minisblack")
    taken: list[RunSettings] = []
    monkeypatch.setattr(follow_command, "run_live", lambda settings, **more: taken.append(settings))
    stated = ["psf.sigma_nm=130", "camera.read_noise_e=1.5"]

    follow_command.follow(movie, idle=0.5, frames=3, set_=stated)

    (settings,) = taken
    assert settings.camera.driver == "replay"
    assert settings.replay.movie == movie
    assert (settings.replay.timing, settings.replay.idle_s) == ("follow", 0.5)
    assert not settings.record.raw
    assert settings.pipeline.when_behind == "wait"
    assert settings.acquisition.frames == 3
    assert settings.psf.known_sigma_nm == 130


def test_a_recording_that_never_comes_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nothing\.tif"):
        follow_command.follow(tmp_path / "nothing.tif", idle=0.2)
