"""`localizations.arrows`: the table of a run, appended while it runs.

An Arrow IPC stream: the schema message, then one message per batch. Every batch is handed to the
operating system before `put` returns, so that a killed process loses at most the batch it was
writing; that torn message is recognised and left out on reading. A closed file ends with the
end-of-stream mark and opens with `pyarrow.ipc.open_stream`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from rtsmlm.errors import SinkError
from rtsmlm.files.limits import ROW_BYTES, check_size
from rtsmlm.files.tables.arrow_messages import MARK
from rtsmlm.files.tables.arrow_schema import (
    KEY,
    Metadata,
    schema,
    to_batch,
)
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.stream_messages import StreamMessages
from rtsmlm.localizations import Localizations

log = logging.getLogger(__name__)

END_OF_STREAM = MARK + b"\0\0\0\0"


@dataclass(slots=True)
class _Kept:
    """What of an interrupted file stays."""

    schema: pa.Schema
    end: int = 0
    n_rows: int = 0
    last_frame: int = -1


class ArrowStreamFile:
    """Sink that appends localizations to a file. Not for two threads at once."""

    def __init__(
        self,
        path: Path,
        metadata: Mapping[str, object] | None = None,
        *,
        room: int = 0,
        _kept: _Kept | None = None,
    ) -> None:
        """Create the file, replacing one that is there.

        Parameters
        ----------
        path
            The file.
        metadata
            What is known of the table.
        room
            Bytes for what `restate` will add.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        kept = _kept or _Kept(schema(metadata, room=room))
        self.path = path
        self._schema = kept.schema
        self.n_rows = kept.n_rows
        """Rows in the file."""
        self.last_frame = kept.last_frame
        """Highest frame number in the file; -1 while it has no rows."""
        self._end = kept.end
        try:
            # Unbuffered: whatever `put` has written survives the death of this process.
            self._file = path.open("r+b" if _kept else "wb", buffering=0)
        except OSError as error:
            raise SinkError(
                f"cannot write {path}: {error.strerror or error}; choose another folder"
            ) from error
        if _kept is None:
            self._append(self._schema.serialize())
        else:
            self._cut()

    @classmethod
    def resume(cls, path: Path, before_frame: int) -> Self:
        """Go on with the file of a run that was interrupted.

        Kept are the leading batches whose frames are all below `before_frame`; whatever follows
        the first other batch, or a torn one, is cut off. `last_frame` and `n_rows` of the result
        tell what was kept.

        Raises
        ------
        FileFormatError
            If the file has no readable schema.
        SinkError
            If it cannot be opened for writing.
        """
        with StreamMessages(path) as messages:
            kept = _Kept(messages.schema, end=messages.end)
            for batch in messages.batches():
                last_frame = int(batch.frame.max(initial=-1))
                if last_frame >= before_frame:
                    break
                kept.end = messages.end
                kept.n_rows += len(batch)
                kept.last_frame = max(kept.last_frame, last_frame)
        return cls(path, _kept=kept)

    def put(self, localizations: Localizations) -> None:
        """Append the rows as one batch; no rows leave the file as it is.

        Raises
        ------
        SinkError
            If the disk refuses them. The file then still ends after its last whole batch, and
            later rows may be put.
        """
        if self._file.closed:
            raise SinkError(f"{self.path} is closed; it takes no more localizations")
        if not len(localizations):
            return
        self._append(to_batch(localizations, self._schema).serialize())
        self.n_rows += len(localizations)
        self.last_frame = max(self.last_frame, int(localizations.frame.max()))

    def restate(self, metadata: Mapping[str, object]) -> bool:
        """Replace the metadata in place; False, and nothing is changed, where they have no room.

        Raises
        ------
        SinkError
            If the disk refuses them.
        """
        old, n_bytes = (len(s.metadata[KEY]) for s in (self._schema, schema(metadata)))
        restated = schema(metadata, room=max(old - n_bytes, 0))
        head = restated.serialize()
        if n_bytes > old or len(head) != len(self._schema.serialize()):
            return False
        try:
            self._file.seek(0)
            self._file.write(head)
            self._file.seek(self._end)
        except OSError as error:
            raise SinkError(f"cannot write to {self.path}: {error.strerror or error}") from error
        self._schema = restated
        return True

    def close(self) -> None:
        """Write the end-of-stream mark, force all to the disk and close. Safe to call again.

        Raises
        ------
        SinkError
            If the disk refuses.
        """
        if self._file.closed:
            return
        try:
            self._append(END_OF_STREAM)
            os.fsync(self._file.fileno())
        except OSError as error:
            raise SinkError(
                f"{self.path} cannot be forced to the disk: {error.strerror or error}"
            ) from error
        finally:
            self._file.close()

    def _append(self, message: pa.Buffer | bytes) -> None:
        view = memoryview(message).cast("B")
        try:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:]) or 0
        except OSError as error:
            self._cut_quietly()
            raise SinkError(
                f"cannot write to {self.path} after {self.n_rows} rows: "
                f"{error.strerror or error}; free space on the disk"
            ) from error
        self._end += len(view)

    def _cut(self) -> None:
        """Let the file end after its last whole message."""
        try:
            self._file.truncate(self._end)
            self._file.seek(self._end)
        except OSError as error:
            self._file.close()
            raise SinkError(f"cannot shorten {self.path}: {error.strerror or error}") from error

    def _cut_quietly(self) -> None:
        try:
            self._file.truncate(self._end)
            self._file.seek(self._end)
        except OSError:
            log.warning("%s may end with half a batch; readers leave it out", self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def iter_arrow_batches(path: Path) -> Iterator[Localizations]:
    """Yield the batches of a table in their order, one in memory at a time.

    A torn tail, as a killed writer leaves it, is left out with a warning, and so are rows that can
    be no localizations.

    Raises
    ------
    FileFormatError
        If the file cannot be read or is no stream of localizations.
    """
    with StreamMessages(path) as messages:
        yield from messages.sound_batches()


def read_arrow_metadata(path: Path) -> Metadata:
    """Return the metadata of the table, without reading its rows.

    Raises
    ------
    FileFormatError
        If the file cannot be read or is no stream of localizations.
    """
    with StreamMessages(path) as messages:
        return messages.metadata


def read_arrow_table(path: Path, check: RowCheck | None = None) -> tuple[Localizations, Metadata]:
    """Return all whole batches as one table, and the metadata.

    Parameters
    ----------
    path
        The file.
    check
        Counts the rows that are left out; not given only logs their number.

    Raises
    ------
    FileFormatError
        If the file cannot be read, is no stream of localizations, or takes more memory than a file
        of its size may.
    """
    with StreamMessages(path) as messages:
        messages.check = check or messages.check
        parts: list[Localizations] = []
        for batch in messages.sound_batches():
            parts.append(batch)
            n_rows = messages.check.n_rows
            check_size(path, f"{n_rows} rows", ROW_BYTES * n_rows, messages.size)
        messages.check.finish()
        return Localizations.concatenate(parts), messages.metadata
