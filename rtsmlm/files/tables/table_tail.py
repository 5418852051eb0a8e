"""TableTail: rows out of a growing table, and whether it is still the table it was.

A table is cut after a crash of the analysis and grows again with other bytes. So the last bytes
that are here are read once more: where they differ, all rows have to come again.
"""

from __future__ import annotations

from rtsmlm.files.tables.arrow_decoder import ArrowDecoder
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.localizations import Localizations

OVERLAP_BYTES = 8192
"""The last columns of a batch, channel and probability, are often the same in all rows: five bytes
a row, so that some hundred bytes of another batch may well be equal."""

_MOST_BYTES = 128 << 20
"""Of one message: two million rows, which no frames of one batch have."""


class TableTail:
    """What has been read of a table, and where to go on."""

    def __init__(self) -> None:
        self._feed = ArrowDecoder(_MOST_BYTES)
        self._last = b""

    @property
    def n_bytes(self) -> int:
        """Bytes of the table that are here."""
        return self._feed.n_bytes

    @property
    def offset(self) -> int:
        """Where to read on; a few bytes back, see `take`."""
        return self._feed.n_bytes - len(self._last)

    @property
    def ended(self) -> bool:
        """True after the mark that a closed table ends with."""
        return self._feed.ended

    @property
    def metadata(self) -> Metadata:
        """What the table states of itself, once its first message is here."""
        return self._feed.metadata

    @property
    def left_out(self) -> str | None:
        """One sentence on the rows that can be no localizations; None where all can."""
        return next(iter(self._feed.check.notes()), None)

    def take(self, data: bytes) -> Localizations | None:
        """Take the bytes from `offset` on and return the rows that they complete.

        Returns
        -------
        :
            None if the bytes are not those of the table that was read so far: begin again.

        Raises
        ------
        FileFormatError
            If they are no table of localizations.
        """
        if data[: len(self._last)] != self._last:
            return None
        new = data[len(self._last) :]
        if not new:
            return Localizations.empty()
        self._last = data[-OVERLAP_BYTES:]
        return Localizations.concatenate(self._feed.feed(new))
