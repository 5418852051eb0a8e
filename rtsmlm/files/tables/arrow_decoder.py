"""ArrowDecoder: rows out of the bytes of a growing table, however the bytes are cut.

The file of a run is an Arrow IPC stream that grows by whole messages; a viewer, here or far away,
reads it from its first byte and then whatever is new. So it makes no difference when it joins.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import check_size
from rtsmlm.files.tables.arrow_messages import DAMAGE, MARK, PREFIX, Message, parse
from rtsmlm.files.tables.arrow_schema import Metadata, from_batch, metadata_of
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.localizations import Localizations

_MOST_BYTES = 1 << 30
"""No message of ours comes near; a length beyond it is damage, not patience."""
_SOURCE = Path("the table")


class ArrowDecoder:
    """Collect bytes, give out rows.

    Parameters
    ----------
    most_bytes
        Longest message to wait for; a longer one is damage.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self.n_bytes = 0
        """Bytes taken so far: where to continue reading."""
        self.ended = False
        """True after the mark that a closed table ends with."""
        self.metadata: Metadata = {}
        """Metadata of the table, once its first message is there."""
        self.check = RowCheck(_SOURCE)
        """Counts the rows that can be no localizations; they are left out."""
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
            if size == PREFIX.size:
                self.ended = True
            elif (rows := self._rows(message)) is not None:
                batches.append(rows)
        self._rest = bytes(view[done:])
        return batches

    def _size(self, view: memoryview) -> int | None:
        """Return the length of the next message with its body, None if that is not known yet."""
        if len(view) < PREFIX.size:
            return None
        mark, n_header = PREFIX.unpack_from(view)
        if mark != MARK:
            raise FileFormatError("these bytes are no table of localizations (Arrow stream)")
        if n_header == 0:
            return PREFIX.size
        if not 0 < n_header < self._most_bytes:
            raise FileFormatError(f"the table has a message of {n_header} bytes, which is damage")
        if len(view) < PREFIX.size + n_header:
            return None
        n_body = _header(view, n_header).body_bytes
        if n_body >= self._most_bytes:
            raise FileFormatError(f"the table has a message of {n_body} bytes, which is damage")
        return PREFIX.size + int(n_header) + n_body

    def _rows(self, message: memoryview) -> Localizations | None:
        try:
            buffer = pa.py_buffer(message)
            if self._schema is None:
                self._schema = pa.ipc.read_schema(buffer)
                self.metadata = metadata_of(self._schema)
                return None
            n_header = PREFIX.unpack_from(message)[1]
            header, body = _header(message, n_header), message[PREFIX.size + n_header :]
            check_size(_SOURCE, "a batch", header.decoded_bytes(body), len(body))
            batch = pa.ipc.read_record_batch(buffer, self._schema)
            batch.validate(full=True)
            # A copy: what shares memory with the message would be gone with it.
            return self.check.sound(Localizations.concatenate([from_batch(batch)]))
        except FileFormatError:
            raise
        except DAMAGE as error:
            raise FileFormatError(f"the table cannot be read: {error}") from error


def _header(message: memoryview, n_header: int) -> Message:
    try:
        return parse(message[PREFIX.size : PREFIX.size + n_header])
    except ValueError as error:
        raise FileFormatError(f"the table cannot be read: {error}") from error
