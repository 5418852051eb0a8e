"""What a message of an Arrow stream asks for, read from its header before Arrow reads it.

A message is a FlatBuffers table (format/Message.fbs of Apache Arrow), then a body of buffers. A
compressed buffer begins with the length that it will have, for which Arrow makes memory at once.
The headers are read here by their slots; numbers that point anywhere else end in `ValueError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

PREFIX = struct.Struct("<4si")
"""A mark of four bytes 0xff, and the length of the header; a length of 0 ends the stream."""
MARK = b"\xff\xff\xff\xff"
DAMAGE = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    MemoryError,
)
"""What Arrow raises on corrupt bytes."""

_DICTIONARY, _RECORDS = 2, 3


@dataclass(frozen=True, slots=True)
class Message:
    """The header of a message."""

    body_bytes: int
    """Length of the body that follows."""
    n_rows: int = 0
    """Rows of a record batch; 0 for other messages."""
    buffers: tuple[tuple[int, int], ...] = ()
    """Offset in the body and stored length of each compressed buffer; none if it is plain."""

    def decoded_bytes(self, body: memoryview) -> int:
        """Return how much memory the body will ask for.

        Parameters
        ----------
        body
            All bytes of the body.

        Raises
        ------
        ValueError
            If a buffer lies outside of it.
        """
        total = 0
        for offset, length in self.buffers:
            if not 0 <= offset <= offset + length <= len(body) or 0 < length < 8:
                raise ValueError(f"a buffer of {length} bytes at {offset} lies outside its message")
            if length:
                (stated,) = struct.unpack_from("<q", body, offset)
                # -1: this buffer did not become smaller, and is stored as it is.
                total += length if stated == -1 else max(stated, 0)
        return total if self.buffers else len(body)


def parse(header: bytes | memoryview) -> Message:
    """Return what the header of a message states.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        (root,) = struct.unpack_from("<I", header)
        message = _Table(memoryview(header), root)
        body_bytes = message.number(3, "<q")
        if body_bytes < 0:
            raise ValueError(f"a message states a body of {body_bytes} bytes")
        kind = message.number(1, "<B")
        batch = message.table(2) if kind in (_DICTIONARY, _RECORDS) else None
        if batch is not None and kind == _DICTIONARY:
            batch = batch.table(1)
        if batch is None:
            return Message(body_bytes)
        packed = batch.table(3) is not None
        return Message(
            body_bytes,
            n_rows=batch.number(0, "<q"),
            buffers=tuple(batch.pairs(2)) if packed else (),
        )
    except struct.error as error:
        raise ValueError(f"the header of a message is damaged: {error}") from error


class _Table:
    """A FlatBuffers table; a slot that it lacks reads as 0 or None."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data = data
        self._at = at
        self._slots = at - self._read("<i", at)
        self._size = self._read("<H", self._slots)

    def _read(self, code: str, at: int) -> int:
        # struct counts negative offsets from the end.
        if at < 0:
            raise ValueError(f"the header of a message points to byte {at}")
        value: int = struct.unpack_from(code, self._data, at)[0]
        return value

    def _place(self, slot: int) -> int | None:
        at = 4 + 2 * slot
        offset = self._read("<H", self._slots + at) if at + 2 <= self._size else 0
        return self._at + offset if offset else None

    def number(self, slot: int, code: str) -> int:
        """Return the number in a slot."""
        place = self._place(slot)
        return 0 if place is None else self._read(code, place)

    def table(self, slot: int) -> _Table | None:
        """Return the table in a slot."""
        place = self._place(slot)
        return None if place is None else _Table(self._data, place + self._read("<I", place))

    def pairs(self, slot: int) -> Iterator[tuple[int, int]]:
        """Yield the pairs of 64-bit numbers of the vector in a slot."""
        place = self._place(slot)
        if place is None:
            return
        start = place + self._read("<I", place)
        for k in range(self._read("<I", start)):
            yield self._read("<q", start + 4 + 16 * k), self._read("<q", start + 12 + 16 * k)
