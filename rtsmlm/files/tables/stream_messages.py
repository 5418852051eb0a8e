"""StreamMessages: the messages of a table file one by one, as far as they are whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pyarrow as pa

from rtsmlm.errors import FileFormatError, sentence
from rtsmlm.files.limits import check_size
from rtsmlm.files.tables.arrow_messages import DAMAGE, MARK, PREFIX, parse
from rtsmlm.files.tables.arrow_schema import from_batch, metadata_of
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.localizations import Localizations

log = logging.getLogger(__name__)


class StreamMessages:
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
