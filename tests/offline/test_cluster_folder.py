"""Which folder a movie on a cluster gets: its own again, a new one, or a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from rtsmlm.errors import ConfigError, RtsmlmError
from rtsmlm.offline.blocks import Block
from rtsmlm.offline.cluster_folder import Place, place_for
from rtsmlm.offline.cluster_tasks import (
    BLOCKS,
    MOVIE,
    MovieJob,
    Plan,
    Refusal,
    answered,
    localize_block,
    plan_movie,
)
from rtsmlm.settings.load import load

JOB = MovieJob((Path("cell.tif"),), load(None), 130.0, "these frames and settings")
PLAN = Plan(JOB, "cell.tif", n_frames=1000, batch_frames=10, seconds=0.1)
OTHER = replace(PLAN, job=replace(JOB, made_of="other settings"))


def place(out: Path, plan: Plan = PLAN, *, exactly: bool = False, threads: int = 2) -> Place:
    return place_for(plan, out, "cell", exactly=exactly, n_threads=threads)


def begun(out: Path, plan: Plan = PLAN) -> Path:
    """Begin a movie and leave it, as Ctrl-C does."""
    left = place(out, plan)
    left.folder.release()
    return left.folder.path


def finished(out: Path) -> Path:
    """Begin a movie and end it."""
    path = begun(out)
    entries = {"run": {"made_of": PLAN.job.made_of}}
    (path / "run.toml").write_text(tomli_w.dumps(entries), encoding="utf-8")
    (path / "ledger.json").write_text("{}")
    Place(place(out).folder, [], []).finish()
    return path


def test_a_new_movie_gets_a_folder_whose_blocks_are_all_missing(tmp_path: Path) -> None:
    new = place(tmp_path)

    assert new.folder.path == tmp_path / "cell"
    assert new.missing == new.blocks
    assert (new.blocks[0].start, new.blocks[-1].stop) == (0, 1000)
    new.folder.release()


def test_a_folder_that_was_begun_keeps_its_blocks_whatever_workers_there_are_now(
    tmp_path: Path,
) -> None:
    begun(tmp_path)
    blocks = place(tmp_path, threads=50)

    assert blocks.folder.path == tmp_path / "cell"
    assert blocks.blocks[0] == Block(0, 120), "as it was begun, for two threads"
    blocks.folder.release()


def test_other_settings_get_the_next_name_and_each_finds_its_own_again(tmp_path: Path) -> None:
    first, second = begun(tmp_path), begun(tmp_path, OTHER)

    assert (first.name, second.name) == ("cell", "cell_2")
    assert begun(tmp_path, OTHER) == second
    assert begun(tmp_path) == first


def test_a_finished_movie_is_left_as_it_is(tmp_path: Path) -> None:
    path = finished(tmp_path)

    again = place(tmp_path)

    assert again.is_finished
    assert again.folder.path == path
    assert not (path / BLOCKS).exists()
    assert not (path / "run.lock").exists(), "nothing is claimed, since nothing is to be done"


def test_a_movie_whose_finish_was_broken_off_is_finished_again(tmp_path: Path) -> None:
    path = finished(tmp_path)
    (path / BLOCKS).mkdir()
    entries = {"made_of": PLAN.job.made_of, "block_frames": 500}
    (path / BLOCKS / MOVIE).write_text(json.dumps(entries))

    again = place(tmp_path)

    assert not again.is_finished
    assert [block.start for block in again.missing] == [0, 500]
    again.folder.release()


def test_a_name_that_was_asked_for_and_is_taken_is_a_sentence(tmp_path: Path) -> None:
    begun(tmp_path, OTHER)

    with pytest.raises(ConfigError, match="was begun with another movie or other settings"):
        place(tmp_path, exactly=True)
    (tmp_path / "cell" / BLOCKS / MOVIE).unlink()
    (tmp_path / "cell" / "run.toml").write_text("")
    with pytest.raises(ConfigError, match="holds a run already"):
        place(tmp_path, exactly=True)


def test_a_movie_that_another_command_has_is_not_begun_twice(tmp_path: Path) -> None:
    held = place(tmp_path)

    with pytest.raises(ConfigError, match="is in use by another run"):
        place(tmp_path)
    held.folder.release()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"made_of": "x"}'])
def test_a_note_that_is_damaged_is_no_movie_of_ours(tmp_path: Path, text: str) -> None:
    path = begun(tmp_path)
    (path / BLOCKS / MOVIE).write_text(text)

    assert begun(tmp_path) == tmp_path / "cell_2"


def test_another_version_on_a_worker_is_refused_with_both() -> None:
    old = replace(JOB, version="0.0.1")

    for task, more in ((plan_movie, ()), (localize_block, (Block(0, 10), Path()))):
        refusal = answered(task, old, *more)
        assert isinstance(refusal, Refusal)
        assert "the command 0.0.1: install one version on all machines" in refusal.sentence


def test_an_error_on_purpose_is_an_answer_and_a_fault_is_not() -> None:
    def refuse() -> None:
        raise RtsmlmError("the disk is full")

    def fault() -> None:
        raise ZeroDivisionError

    assert answered(refuse) == Refusal("the disk is full")
    with pytest.raises(ZeroDivisionError):
        answered(fault)
