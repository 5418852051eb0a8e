"""Movies on a cluster: the rows of one machine, whatever is killed, broken off or damaged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

distributed = pytest.importorskip("distributed")

from rtsmlm.errors import ConfigError  # noqa: E402 - where there is no cluster, neither is this
from rtsmlm.files.tables.arrow_file import read_arrow_table  # noqa: E402
from rtsmlm.frames import Pixels  # noqa: E402
from rtsmlm.offline import cluster_folder  # noqa: E402
from rtsmlm.offline.cluster import (  # noqa: E402
    ClusterRun,
    MovieOnCluster,
    Progress,
    open_cluster,
)
from rtsmlm.offline.cluster_tasks import BLOCKS, MovieJob  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

pytestmark = pytest.mark.timeout(900)  # fits and networks may have to be compiled first
FIT = ("localizer.name=gaussian-mle",)
KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
SIDE_PX = 64
BATCH = 1024
"""Frames of that side in a batch."""


def frames(n: int, seed: int, side: int = SIDE_PX) -> Pixels:
    random = np.random.default_rng(seed)
    adu = np.empty((n, side, side), np.uint16)
    for k in range(n):
        x, y = random.uniform(4, side - 4, (2, 4))
        mean = render_spots((side, side), x, y, random.uniform(800, 3000, 4), 1.4, 15.0)
        adu[k] = np.clip(random.poisson(mean) + 100 + random.normal(0, 1.6, mean.shape), 0, 65535)
    return adu


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A movie of six batches, the last of them short."""
    path = tmp_path_factory.mktemp("movies") / "cell.tif"
    tifffile.imwrite(path, frames(5 * BATCH + 100, seed=1), photometric="minisblack")
    return path


@pytest.fixture(scope="module")
def alone(cell: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one machine, by code that was compiled before, as a worker uses it.

    The process that compiles the fits rounds some last digits differently from all later ones.
    """
    out = tmp_path_factory.mktemp("alone")
    return [on_one_machine(cell, out / name) for name in ("compiles", "rows")][-1]


@pytest.fixture(scope="module")
def client(alone: Path) -> Iterator[Any]:
    """A cluster of one worker."""
    with open_cluster("1") as client:
        yield client


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one batch each, so that there are some."""
    monkeypatch.setattr(cluster_folder, "frames_per_block", lambda n, batch, threads: batch)


@pytest.fixture
def reconstruct(client: Any, tmp_path: Path) -> Callable[..., list[MovieOnCluster]]:
    """Return a function that localizes movies on the cluster, into a folder `out`."""

    def run(
        *paths: Path,
        more: tuple[str, ...] = FIT,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> list[MovieOnCluster]:
        settings = load(None, [*more])
        movies = [
            MovieOnCluster(MovieJob((path,), settings), tmp_path / "out", path.stem)
            for path in paths
        ]
        ClusterRun(client, movies, on_progress, lambda _: None).run()
        return movies

    return run


def on_one_machine(path: Path, out: Path, more: tuple[str, ...] = FIT) -> Path:
    """Localize a movie as a user does, in a process of its own."""
    settings = [part for setting in more for part in ("--set", setting)]
    command = [sys.executable, "-P", "-m", "rtsmlm.cli", "reconstruct", path, "--out", out]
    subprocess.run([*command, *settings], check=True, capture_output=True, timeout=800)
    return out


def same_rows(one: Path, other: Path) -> int:
    """Compare two tables byte for byte; return the number of rows."""
    (first, head), (second, other_head) = (
        read_arrow_table(folder / "localizations.arrows") for folder in (one, other)
    )
    for name, column in first.columns().items():
        assert column.tobytes() == second.columns()[name].tobytes(), name
    differing = {"run", "run_id", "name", "created"}
    assert {k: v for k, v in head.items() if k not in differing} == {
        k: v for k, v in other_head.items() if k not in differing
    }
    return len(first)


def run_entries(folder: Path) -> dict[str, Any]:
    entries: dict[str, Any] = tomllib.loads((folder / "run.toml").read_text())["run"]
    return entries


def test_a_movie_in_blocks_gives_the_rows_ledger_and_counts_of_one_machine(
    reconstruct: Callable[..., list[MovieOnCluster]], cell: Path, alone: Path, tmp_path: Path
) -> None:
    (movie,) = reconstruct(cell)

    done = tmp_path / "out" / "cell"
    assert movie.error == ""
    assert same_rows(alone, done) > 15_000
    ledgers = [json.loads((f / "ledger.json").read_text()) for f in (alone, done)]
    assert ledgers[0] == ledgers[1]
    one, other = run_entries(alone), run_entries(done)
    for name in ("verdict", "pixels", "notes"):
        assert one[name] == other[name], name
    assert not (done / BLOCKS).exists()
    assert not (done / "run.lock").exists()
    assert (done / "report.html").is_file()


def test_a_network_sees_the_frames_beside_the_seams(
    reconstruct: Callable[..., list[MovieOnCluster]], tmp_path: Path
) -> None:
    path, network = tmp_path / "short.tif", ("localizer.name=flagship-2d", "psf.sigma_nm=130")
    side = 512  # 16 frames in a batch
    tifffile.imwrite(path, frames(40, seed=3, side=side), photometric="minisblack")

    alone = [on_one_machine(path, tmp_path / k, network) for k in ("compiles", "rows")][-1]
    (movie,) = reconstruct(path, more=network)

    assert movie.error == ""
    assert same_rows(alone, tmp_path / "out" / "short") > 100


def test_a_bad_file_costs_itself_alone(
    reconstruct: Callable[..., list[MovieOnCluster]], cell: Path, tmp_path: Path
) -> None:
    bad, cut = tmp_path / "bad.tif", tmp_path / "cut.tif"
    bad.write_bytes(b"II*\x00 and nothing")
    tifffile.imwrite(cut, frames(20, seed=2), photometric="minisblack")
    cut.write_bytes(cut.read_bytes()[:200])

    movies = reconstruct(bad, cell, cut)

    assert [bool(movie.error) for movie in movies] == [True, False, True]
    assert "bad.tif is a TIFF file without" in movies[0].failure
    assert movies[0].failure.count(str(bad)) == 1
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["cell"]


def test_what_was_broken_off_goes_on_where_it_was(
    reconstruct: Callable[..., list[MovieOnCluster]], cell: Path, alone: Path, tmp_path: Path
) -> None:
    def break_off(progress: Progress) -> None:
        if progress.frames_done >= 2 * BATCH:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(cell, on_progress=break_off)
    begun = tmp_path / "out" / "cell" / BLOCKS
    kept = {path: path.stat().st_mtime_ns for path in begun.glob("*.npz")}
    assert not (begun.parent / "run.lock").exists()
    assert 2 <= len(kept) <= 6
    seen: dict[Path, int] = {}

    def look(progress: Progress) -> None:
        if not seen:
            seen.update({path: path.stat().st_mtime_ns for path in kept})
            assert progress.resumed_frames >= 2 * BATCH

    (movie,) = reconstruct(cell, on_progress=look)

    assert movie.error == ""
    assert seen == kept, "finished blocks stay as they are"
    same_rows(alone, tmp_path / "out" / "cell")


def test_the_same_again_does_nothing_and_other_settings_get_a_folder_of_their_own(
    reconstruct: Callable[..., list[MovieOnCluster]], cell: Path, tmp_path: Path
) -> None:
    reconstruct(cell)
    table = tmp_path / "out" / "cell" / "localizations.arrows"
    written = table.stat().st_mtime_ns

    (again,) = reconstruct(cell)
    (other,) = reconstruct(cell, more=(*FIT, "localizer.threshold=7"))

    assert again.verdict == "was finished before, with the same settings"
    assert table.stat().st_mtime_ns == written
    assert other.place is not None
    assert other.place.folder.path.name == "cell_2"


def test_two_movies_of_one_name_get_two_folders(
    reconstruct: Callable[..., list[MovieOnCluster]], tmp_path: Path
) -> None:
    paths = [tmp_path / name / "cell.tif" for name in ("a", "b")]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        tifffile.imwrite(path, frames(30, seed), photometric="minisblack")

    first = reconstruct(*paths)
    again = reconstruct(*reversed(paths))

    folders = [movie.place.folder.path for movie in first if movie.place is not None]
    assert sorted(folder.name for folder in folders) == ["cell", "cell_2"]
    assert all("before" in movie.verdict for movie in again)


def test_a_worker_that_is_killed_in_the_middle_costs_no_row(
    client: Any,
    reconstruct: Callable[..., list[MovieOnCluster]],
    cell: Path,
    alone: Path,
    tmp_path: Path,
) -> None:
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if not killed and progress.frames_done:
            killed.extend(client.run(os.getpid).values())
            os.kill(killed[0], KILL)

    (movie,) = reconstruct(cell, on_progress=kill)

    assert len(killed) == 1
    assert client.run(os.getpid) != dict.fromkeys(client.run(os.getpid), killed[0])
    assert movie.error == ""
    same_rows(alone, tmp_path / "out" / "cell")
    assert not (tmp_path / "out" / "cell" / BLOCKS).exists()


def test_a_movie_that_changes_is_another_one(
    reconstruct: Callable[..., list[MovieOnCluster]], tmp_path: Path
) -> None:
    path = tmp_path / "cell.tif"
    tifffile.imwrite(path, frames(30, seed=1), photometric="minisblack")
    reconstruct(path)
    tifffile.imwrite(path, frames(31, seed=2), photometric="minisblack")

    reconstruct(path)

    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"cell", "cell_2"}


def test_a_movie_that_changes_while_it_is_localized_is_refused(
    reconstruct: Callable[..., list[MovieOnCluster]], tmp_path: Path
) -> None:
    path, other = tmp_path / "cell.tif", tmp_path / "other" / "cell.tif"
    other.parent.mkdir()
    tifffile.imwrite(path, frames(30, seed=1), photometric="minisblack")
    tifffile.imwrite(other, frames(30, seed=2), photometric="minisblack")

    def change(progress: Progress) -> None:
        if progress.frames_done == 0 and other.exists():  # it is planned, and no block is done
            other.replace(path)  # at once: a file that is half written cannot be opened

    (movie,) = reconstruct(path, on_progress=change)

    assert "cell.tif has changed since it was begun" in movie.error


def test_what_was_worked_is_stated_for_every_step(
    reconstruct: Callable[..., list[MovieOnCluster]], tmp_path: Path
) -> None:
    path = tmp_path / "cell.tif"
    tifffile.imwrite(path, frames(30, seed=1), photometric="minisblack")
    work: list[Progress] = []

    reconstruct(path, on_progress=work.append)

    assert min(work[-1].plan_s, work[-1].block_s, work[-1].finish_s) > 0


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsmlm.offline.cluster.CONNECT_S", 0.5)

    with (
        pytest.raises(ConfigError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"),
        open_cluster("tcp://127.0.0.1:9"),
    ):
        pass
