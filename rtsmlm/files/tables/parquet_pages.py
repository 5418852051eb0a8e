"""How long the pages of a Parquet column will be, from their headers, before Parquet reads them.

A column is a row of pages, each behind a header in the compact protocol of Thrift (`PageHeader` of
parquet.thrift): field 2 is the length that the page will have, for which memory is made at once,
and field 3 the length that it has in the file.
"""

from __future__ import annotations

from rtsmlm.files.limits import MAX_PAGE_BYTES

_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY = (1, 2), 3, (4, 5, 6), 7, 8
_LISTS, _MAP, _STRUCT = (9, 10), 11, 12
_UNPACKED, _STORED = 2, 3
_DEEPEST = 8


def check_pages(column: bytes) -> None:
    """Raise `ValueError` if a page of a column is longer than pages are, or ends outside.

    Parameters
    ----------
    column
        The bytes of one column of one row group: headers and pages.
    """
    at = 0
    while at < len(column):
        reader = _Reader(column, at)
        fields = reader.struct()
        unpacked, stored = fields.get(_UNPACKED, -1), fields.get(_STORED, -1)
        if not 0 <= unpacked <= MAX_PAGE_BYTES:
            raise ValueError(
                f"a page states {unpacked} bytes; rtsmlm reads pages of up to {MAX_PAGE_BYTES}"
            )
        at = reader.at + stored
        if stored < 0 or at > len(column):
            raise ValueError(f"a page of {stored} bytes ends outside of its column")


class _Reader:
    """Reads values of the compact protocol, one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Return the whole numbers of a struct by their field; the rest is passed over."""
        if depth > _DEEPEST:
            raise ValueError("the header of a page is nested too deeply")
        fields: dict[int, int] = {}
        field = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            field = field + delta if delta else self._signed()
            if kind in _INTEGERS:
                fields[field] = self._signed()
            elif kind not in _BOOLEANS:  # these have no value behind their head
                self._skip(kind, depth)
        return fields

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (*_BOOLEANS, _BYTE):
            self._byte()
        elif kind in _INTEGERS:
            self._unsigned()
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            length = self._unsigned()
            self.at += length
        elif kind in _LISTS:
            head = self._byte()
            n = head >> 4 if head >> 4 < 15 else self._unsigned()
            self._skip_all([head & 15], n, depth)
        elif kind == _MAP:
            n = self._unsigned()
            kinds = self._byte() if n else 0
            self._skip_all([kinds >> 4, kinds & 15], n, depth)
        elif kind == _STRUCT:
            self.struct(depth + 1)
        else:
            raise ValueError(f"the header of a page holds a value of unknown kind {kind}")
        if self.at > len(self._data):
            raise ValueError("the header of a page is cut short")

    def _skip_all(self, kinds: list[int], n: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("the header of a page is nested too deeply")
        for _ in range(n):
            for kind in kinds:
                self._skip(kind, depth + 1)

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise ValueError("the header of a page is cut short")
        self.at += 1
        return self._data[self.at - 1]

    def _unsigned(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("the header of a page holds a number of more than 64 bits")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
