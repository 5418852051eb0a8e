"""ArrowDecoder: rows out of the bytes of a growing table, however the bytes are cut.

The file of a run is an Arrow IPC stream that grows by whole messages; a viewer, here or far away,
reads it from its first byte and then whatever is new. So it makes no difference when it joins.
"""

from __future__ import annotations

import struct

import pyarrow as pa

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_schema import Metadata, from_batch, metadata_of
from rtsmlm.localizations import Localizations

_MARK = b"\xff\xff\xff\xff"
_PREFIX = 8
_MOST_BYTES = 1 << 30
"""No message of ours comes near; a length beyond it is damage, not patience."""


class ArrowDecoder:
    """Collect bytes, give out rows."""

    def __init__(self) -> None:
        self.n_bytes = 0
        """Bytes taken so far: where to continue reading."""
        self.ended = False
        """True after the mark that a closed table ends with."""
        self.metadata: Metadata = {}
        """Metadata of the table, once its first message is there."""
        self._schema: pa.Schema | None = None
        self._rest = b""

    def feed(self, data: bytes) -> list[Localizations]:
        """Take the next bytes and return the batches that they complete.

        Parameters
        ----------
        data
            Bytes that follow those taken before.

        Raises
        ------
        FileFormatError
            If they are no table of localizations.
        """
        self.n_bytes += len(data)
        self._rest += data
        done, batches = 0, []
        view = memoryview(self._rest)
        while not self.ended:
            size = self._size(view[done:])
            if size is None or len(view) - done < size:
                break
            message = view[done : done + size]
            done += size
            if size == _PREFIX:
                self.ended = True
            elif (rows := self._rows(message)) is not None:
                batches.append(rows)
        self._rest = bytes(view[done:])
        return batches

    def _size(self, view: memoryview) -> int | None:
        """Return the length of the next message with its body, None if that is not known yet."""
        if len(view) < _PREFIX:
            return None
        if view[:4] != _MARK:
            raise FileFormatError("these bytes are no table of localizations (Arrow stream)")
        (head,) = struct.unpack_from("<i", view, 4)
        if head == 0:
            return _PREFIX
        if not 0 < head < _MOST_BYTES:
            raise FileFormatError(f"the table has a message of {head} bytes, which is damage")
        if len(view) < _PREFIX + head:
            return None
        try:
            message = pa.ipc.read_message(pa.py_buffer(view))
        except (pa.ArrowException, OSError, EOFError):
            return None  # the body is not all there yet
        body = 0 if message.body is None else len(message.body)
        return _PREFIX + int(head) + body

    def _rows(self, message: memoryview) -> Localizations | None:
        try:
            buffer = pa.py_buffer(message)
            if self._schema is None:
                self._schema = pa.ipc.read_schema(buffer)
                self.metadata = metadata_of(self._schema)
                return None
            batch = pa.ipc.read_record_batch(buffer, self._schema)
            # A copy: what shares memory with the message would be gone with it.
            return Localizations.concatenate([from_batch(batch)])
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"the table cannot be read: {error}") from error
