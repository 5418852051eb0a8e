"""The folder of a run: nothing recorded is overwritten, small files are whole, settings return."""

from __future__ import annotations

import json
import math
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.run.folder import RunFolder, free_mb, machine, versions, write_text
from rtsmlm.settings.load import from_mapping, load
from rtsmlm.settings.run import RunSettings


@pytest.mark.parametrize("taken", ["run.toml", "localizations.arrows", "raw.ome.zarr"])
def test_a_folder_that_holds_a_run_is_not_used_again(tmp_path: Path, taken: str) -> None:
    folder = RunFolder.create(tmp_path, "cell 1")
    (folder.path / taken).mkdir()

    with pytest.raises(ConfigError, match=r"cell 1 holds a run already; choose another name"):
        RunFolder.create(tmp_path, "cell 1")


def test_a_folder_with_notes_of_the_user_is_used_and_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / "notes.txt").write_text("coverslip 3")

    folder = RunFolder.create(tmp_path, "cell")

    assert folder.path == tmp_path / "cell"
    assert (folder.path / "notes.txt").read_text() == "coverslip 3"


def test_runs_of_one_name_get_numbers(tmp_path: Path) -> None:
    names = [RunFolder.create_free(tmp_path, "sweep").path.name for _ in range(3)]

    assert names == ["sweep", "sweep_2", "sweep_3"]


def test_without_a_name_two_runs_of_one_second_do_not_share_a_folder(tmp_path: Path) -> None:
    paths = {RunFolder.create(tmp_path).path for _ in range(3)}

    assert len(paths) == 3
    assert all(path.is_dir() for path in paths)


def test_a_folder_below_a_file_cannot_be_made_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    with pytest.raises(SinkError, match=r"cannot make the run folder .*out"):
        RunFolder.create(tmp_path / "out", "run")


def test_opening_an_existing_run_makes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "there")

    assert not (tmp_path / "there").exists()


def test_all_files_of_a_run_lie_in_its_folder_under_names_of_their_own(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    files = [v for name, v in vars(folder).items() if name != "path" and isinstance(v, Path)]

    assert {file.parent for file in files} == {tmp_path / "run"}
    assert len({file.name for file in files}) == len(files)


def test_discarding_an_empty_run_frees_its_name(
    tmp_path: Path, quick_settings: Callable[..., RunSettings]
) -> None:
    folder = RunFolder.create(tmp_path, "run")
    folder.write_settings(quick_settings(), {})
    folder.localizations.write_bytes(b"header")
    folder.raw_index.write_bytes(b"")
    folder.raw.mkdir()
    (folder.raw / "zarr.json").write_text("{}")
    folder.analysis_log.write_text("")

    folder.discard()

    assert not folder.path.exists()
    RunFolder.create(tmp_path, "run")


def test_discarding_keeps_what_the_run_did_not_write(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    (folder.path / "notes.txt").write_text("mine")
    folder.analysis_log.write_text("a traceback")

    folder.discard()

    assert sorted(p.name for p in folder.path.iterdir()) == ["analysis.log", "notes.txt"]


def test_a_log_without_a_word_goes_and_one_with_words_stays(tmp_path: Path) -> None:
    silent, talking = RunFolder.create(tmp_path, "a"), RunFolder.create(tmp_path, "b")
    silent.analysis_log.write_text("")
    talking.analysis_log.write_text("warning")

    for folder in (silent, talking, RunFolder.create(tmp_path, "without log")):
        folder.drop_empty_log()

    assert not silent.analysis_log.exists()
    assert talking.analysis_log.read_text() == "warning"


def test_settings_in_force_are_a_configuration_again(
    tmp_path: Path, quick_settings: Callable[..., RunSettings]
) -> None:
    folder = RunFolder.create(tmp_path, "again")
    settings = quick_settings("feedback.target_per_um2=0.07", "stream.enabled=false")

    folder.write_settings(settings, {"verdict": "ledger balances"})

    written = load(folder.settings, [])
    assert written.model_dump(exclude={"run"}) == settings.model_dump(exclude={"run"})
    run = tomllib.loads(folder.settings.read_text(encoding="utf-8"))["run"]
    assert run["verdict"] == "ledger balances"
    assert run["versions"]["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert run["machine"]["cores"] >= 1


def test_numbers_that_json_does_not_know_come_back_from_the_files_of_a_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")

    folder.write_json(folder.latency, {"total": {"p50": math.nan, "count": 0}})

    read = json.loads(folder.latency.read_text(encoding="utf-8"))
    assert math.isnan(read["total"]["p50"])


def test_a_text_replaces_the_one_before_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    for text in ("a long first text " * 100, "µ"):
        write_text(path, text)

    assert path.read_text(encoding="utf-8") == "µ"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    write_text(path, "whole")
    (tmp_path / "ledger.json.partial").mkdir()

    with pytest.raises(SinkError, match=r"cannot write .*ledger\.json"):
        write_text(path, "half")

    assert path.read_text() == "whole"


def test_free_space_is_told_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    there = free_mb(tmp_path)

    assert there > 0
    assert free_mb(tmp_path / "a" / "b" / "c") == pytest.approx(there, rel=0.1)


def test_versions_and_machine_are_plain_words_that_toml_can_hold() -> None:
    assert {"python", "rtsmlm", "numpy"} <= versions().keys()
    assert all(isinstance(version, str) for version in versions().values())
    assert {"system", "processor", "cores"} == machine().keys()
    assert machine()["processor"]


def test_the_settings_of_a_movie_whose_name_is_no_text_are_a_configuration_again(
    tmp_path: Path,
) -> None:
    settings = from_mapping({"replay": {"movie": "/data/mov\udcff\x1b[31m.tif"}})
    folder = RunFolder.create(tmp_path, "run")

    folder.write_settings(settings, {"camera": {"path": "mov\udcff\x1b[31m.tif"}})

    assert "\x1b" not in folder.settings.read_text(encoding="utf-8")
    assert load(folder.settings).replay.movie is not None
