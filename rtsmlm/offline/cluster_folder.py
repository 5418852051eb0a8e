"""Where the results of a movie on a cluster lie: a new folder, or the one that was begun before.

Whether a folder is of this movie and these settings, its digest says: in `blocks/movie.json` while
blocks are missing, in `run.toml` afterwards.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder, write_text
from rtsmlm.offline.blocks import Block, BlockFolder, frames_per_block, split
from rtsmlm.offline.cluster_tasks import BLOCKS, MOVIE, Plan


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a movie, which this process owns, and its blocks."""

    folder: RunFolder
    blocks: list[Block]
    missing: list[Block]
    """Those that are still to be done."""
    is_finished: bool = False
    """Everything was done before, by the same settings."""

    def finish(self) -> None:
        """Remove the blocks, whose rows are in the table now."""
        shutil.rmtree(self.folder.path / BLOCKS, ignore_errors=True)


def place_for(plan: Plan, out: Path, name: str, *, exactly: bool, n_threads: int) -> Place:
    """Return the folder in which a movie was begun, else a new one; it is claimed.

    Parameters
    ----------
    plan
        What is known of the movie.
    out
        Folder in which the folder lies.
    name
        Its name; a number follows where another run has it.
    exactly
        Whether it must be of that name.
    n_threads
        Of all workers together.

    Raises
    ------
    ConfigError
        If another run has the folder now, or it must be of a name that is taken.
    SinkError
        If it cannot be made.
    """
    for path in _candidates(out, name, exactly=exactly):
        if not path.exists():
            break
        folder, made_of = RunFolder(path), plan.job.made_of
        begun = _begun(path)
        if begun is not None and begun[0] == made_of:
            folder.claim_existing()
            return _place(plan, folder, begun[1])
        if begun is None and _finished(folder) == made_of:
            return Place(folder, [], [], is_finished=True)
        if begun is not None and exactly:
            raise ConfigError(
                f"{path} was begun with another movie or other settings; choose another folder "
                "(--out), or remove it"
            )
    folder = RunFolder.create(out, name) if exactly else RunFolder.create_free(out, name)
    block_frames = frames_per_block(plan.n_frames, plan.batch_frames, n_threads)
    BlockFolder(folder.path / BLOCKS, plan.job.made_of)
    entries = {"made_of": plan.job.made_of, "block_frames": block_frames}
    write_text(folder.path / BLOCKS / MOVIE, json.dumps(entries) + "\n")
    return _place(plan, folder, block_frames)


def _candidates(out: Path, name: str, *, exactly: bool) -> Iterator[Path]:
    yield out / name
    if not exactly:
        yield from (out / f"{name}_{n}" for n in itertools.count(2))


def _place(plan: Plan, folder: RunFolder, block_frames: int) -> Place:
    blocks = split(plan.n_frames, block_frames)
    done = BlockFolder(folder.path / BLOCKS, plan.job.made_of)
    return Place(folder, blocks, done.missing(blocks))


def _begun(path: Path) -> tuple[str, int] | None:
    """Return digest and frames per block of a folder that was begun; None for all others."""
    try:
        entries = json.loads((path / BLOCKS / MOVIE).read_text(encoding="utf-8"))
        return str(entries["made_of"]), int(entries["block_frames"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _finished(folder: RunFolder) -> str:
    """Return the digest of a folder that is finished; nothing for all others."""
    try:
        run = tomllib.loads(folder.settings.read_text(encoding="utf-8")).get("run", {})
    except (OSError, ValueError):
        return ""
    return str(run.get("made_of", "")) if folder.ledger.is_file() else ""
