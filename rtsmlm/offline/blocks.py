"""Blocks of a movie on disk: rows and findings of a part of its frames, finished as a whole or not.

A block is two files, of which the second one makes it count: `NAME.arrows` with its rows, in the
batches that the whole movie has there, and `NAME.npz` with its findings and with what it was made
of. Each is written under a name of its own and then renamed, so that a worker that is killed, or
two that do the same block, leave a block that is whole or none.
"""

from __future__ import annotations

import contextlib
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError, SinkError
from rtsmlm.files.run.disk_sync import sync_folder
from rtsmlm.files.tables.stream_messages import StreamMessages
from rtsmlm.localizations import Localizations

MOST_BATCHES = 32
"""In a block: some seconds of work at most, which is what a killed worker loses."""
LEAST_BATCHES = 4
"""A block costs some 30 ms for its files and its way to a worker and back."""
BLOCKS_PER_THREAD = 4
"""At least, where a movie is long enough: the last blocks end at about the same time."""

_STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Block:
    """Frames start..stop-1 of a movie, counted by their positions in it."""

    start: int
    stop: int

    @property
    def name(self) -> str:
        """Name of its files, without suffix."""
        return f"{self.start:09d}"


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """What is known of a block that is finished."""

    start: int
    stop: int
    made_of: str
    """Digest of movie and settings."""
    n_rows: int
    localizer: str
    """Name of the localizer, with its engine."""
    host: str
    seconds: float
    """How long its worker was busy with it."""
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Numbers of the frames that could not be localized, and why."""


def frames_per_block(n_frames: int, batch_frames: int, n_threads: int) -> int:
    """Return how many frames a block has: whole batches, some blocks for each thread."""
    n_batches = -(-n_frames // batch_frames)
    wanted = n_batches // (BLOCKS_PER_THREAD * max(n_threads, 1))
    return batch_frames * min(max(wanted, LEAST_BATCHES), MOST_BATCHES)


def split(n_frames: int, block_frames: int) -> list[Block]:
    """Return the blocks of a movie."""
    starts = range(0, n_frames, block_frames)
    return [Block(start, min(start + block_frames, n_frames)) for start in starts]


class BlockFolder:
    """The folder in which the blocks of a movie are collected.

    Parameters
    ----------
    path
        The folder, made where it is missing.
    made_of
        Digest of movie and settings; blocks of others do not count.

    Raises
    ------
    SinkError
        If it cannot be made.
    """

    def __init__(self, path: Path, made_of: str) -> None:
        self.path, self.made_of = path, made_of
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make {path}: {error.strerror or error}") from error

    def rows_path(self, block: Block) -> Path:
        """Return the file of the rows of a block."""
        return self.path / f"{block.name}.arrows"

    def partial(self, block: Block) -> Path:
        """Return a name, used once, under which the rows of a block are written."""
        return self.path / f"{block.name}.{uuid.uuid4().hex}.partial"

    def commit(
        self, block: Block, rows: Path, record: BlockRecord, arrays: dict[str, NDArray[np.generic]]
    ) -> None:
        """Make a block count: its rows, written and closed, get their name, then its record.

        Raises
        ------
        SinkError
            If the disk refuses.
        """
        kept: dict[str, Any] = {_STATEMENT: np.array(json.dumps(asdict(record))), **arrays}
        fresh = rows.with_suffix(".npz.partial")
        try:
            with fresh.open("wb") as file:
                np.savez_compressed(file, **kept)
            rows.replace(self.rows_path(block))
            fresh.replace(self._record_path(block))
        except OSError as error:
            raise SinkError(f"cannot write {self.path}: {error.strerror or error}") from error
        finally:
            for path in (rows, fresh):
                with contextlib.suppress(OSError):
                    path.unlink()
        sync_folder(self.path)

    def record(self, block: Block) -> BlockRecord | None:
        """Return the record of a block; None if it is not finished, or not of this movie."""
        found = self._read(block)
        if found is None or not self.rows_path(block).is_file():
            return None
        record = found[0]
        known = (record.start, record.stop, record.made_of) == (
            block.start, block.stop, self.made_of,
        )  # fmt: skip
        return record if known else None

    def missing(self, blocks: list[Block]) -> list[Block]:
        """Return the blocks that are still to be done; those with frames that failed are, too."""
        records = ((block, self.record(block)) for block in blocks)
        return [block for block, record in records if record is None or record.failed]

    def findings(self, block: Block) -> dict[str, NDArray[np.generic]]:
        """Return what `Findings.as_arrays` gave of a block that is finished."""
        found = self._read(block)
        return {} if found is None else found[1]

    def rows(self, block: Block, n_rows: int) -> Iterator[Localizations]:
        """Yield the batches of a block that is finished.

        Raises
        ------
        FileFormatError
            If its rows are not all there. The block does not count any more then.
        """
        found = 0
        with StreamMessages(self.rows_path(block)) as messages:
            for batch in messages.batches():
                found += len(batch)
                yield batch
        if found != n_rows:
            with contextlib.suppress(OSError):
                self._record_path(block).unlink()
            raise FileFormatError(
                f"{self.rows_path(block)} holds {found} of {n_rows} rows; give the same command "
                "again, which localizes these frames anew"
            )

    def _record_path(self, block: Block) -> Path:
        return self.path / f"{block.name}.npz"

    def _read(self, block: Block) -> tuple[BlockRecord, dict[str, NDArray[np.generic]]] | None:
        """Return record and findings; None where there are none that can be read."""
        try:
            # Opened here: of a file that is cut off, NumPy leaves what it has opened to others.
            with (
                self._record_path(block).open("rb") as opened,
                np.load(opened, allow_pickle=False) as file,
            ):
                arrays = {name: file[name] for name in file.files}
            entries = json.loads(str(arrays.pop(_STATEMENT)))
            failed = [(int(frame), str(why)) for frame, why in entries.pop("failed")]
            return BlockRecord(**entries, failed=failed), arrays
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
