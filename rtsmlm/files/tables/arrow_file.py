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

from rtsmlm.errors import FileFormatError, SinkError, sentence
from rtsmlm.files.limits import ROW_BYTES, check_size
from rtsmlm.files.tables.arrow_messages import DAMAGE, MARK, PREFIX, parse
from rtsmlm.files.tables.arrow_schema import Metadata, from_batch, metadata_of, schema, to_batch
from rtsmlm.files.tables.sound_rows import RowCheck
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
        _kept: _Kept | None = None,
    ) -> None:
        """Create the file, replacing one that is there.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        kept = _kept or _Kept(schema(metadata))
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
        with _Messages(path) as messages:
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


class _Messages:
    """The whole messages of a stream file, and where each of them ends.

    The file is read, not mapped: a mapped one can be neither shortened nor deleted on Windows,
    and elsewhere a reader would crash when `resume` shortens it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = 0
        """Offset behind the last message that was read whole."""
        self.check = RowCheck(path)
        self._file = None
        try:
            self._file = path.open("rb")
            self.size = path.stat().st_size
            self.schema = pa.ipc.read_schema(pa.py_buffer(self._next() or b""))
            self.metadata = metadata_of(self.schema)
        except (FileFormatError, *DAMAGE) as error:
            self.close()
            raise FileFormatError(
                f"{path} is not a table of localizations (Arrow stream): {error}"
            ) from error

    def batches(self) -> Iterator[Localizations]:
        """Yield the whole batches; stop silently at a torn tail, with a warning at more damage."""
        while self.end < self.size:
            try:
                message = self._next()
                if message is None:
                    return
                batch = pa.ipc.read_record_batch(pa.py_buffer(message), self.schema)
                batch.validate(full=True)
                rows = from_batch(batch)
            except FileFormatError as error:
                named = "" if str(self.path) in str(error) else f"{self.path}: "
                raise FileFormatError(f"{named}{error}") from error
            except DAMAGE as error:
                log.warning(
                    "%s: the last %d of %d bytes are no whole batch and are left out (%s)",
                    self.path,
                    self.size - self._begin,
                    self.size,
                    sentence(str(error)),
                )
                self.end = self._begin
                return
            # A copy, since what shares memory with a message is read-only.
            yield Localizations.concatenate([rows])

    def sound_batches(self) -> Iterator[Localizations]:
        """Yield the batches without rows that can be no localizations; their count is logged."""
        for batch in self.batches():
            yield self.check.sound(batch)
        for note in self.check.notes():
            log.warning("%s", note)

    def _next(self) -> bytes | None:
        """Return the next message with its body, None at the mark of the end."""
        assert self._file is not None  # noqa: S101 - closed only by who is done with it
        self._begin = self.end
        self._file.seek(self.end)
        head = self._file.read(PREFIX.size)
        mark, n_header = PREFIX.unpack(head) if len(head) == PREFIX.size else (b"", 0)
        if mark != MARK or not 0 <= n_header <= self.size - self.end:
            raise ValueError("a message does not begin here")
        if n_header == 0:
            return None
        header = self._file.read(n_header)
        message = parse(header)  # the body may be said to have any length
        self.end += PREFIX.size + n_header + message.body_bytes
        if self.end > self.size:
            raise EOFError(f"the file ends before byte {self.end}")
        body = self._file.read(message.body_bytes)
        needed = message.decoded_bytes(memoryview(body))
        check_size(self.path, f"a batch of {message.n_rows} rows", needed, len(body))
        return head + header + body

    def close(self) -> None:
        """Close the file. Safe to call more than once."""
        if self._file is not None:
            self._file.close()

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
    with _Messages(path) as messages:
        yield from messages.sound_batches()


def read_arrow_metadata(path: Path) -> Metadata:
    """Return the metadata of the table, without reading its rows.

    Raises
    ------
    FileFormatError
        If the file cannot be read or is no stream of localizations.
    """
    with _Messages(path) as messages:
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
    with _Messages(path) as messages:
        messages.check = check or messages.check
        parts: list[Localizations] = []
        for batch in messages.sound_batches():
            parts.append(batch)
            n_rows = messages.check.n_rows
            check_size(path, f"{n_rows} rows", ROW_BYTES * n_rows, messages.size)
        messages.check.finish()
        return Localizations.concatenate(parts), messages.metadata
