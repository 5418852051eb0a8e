"""Image layers of networks of localizations, made anew every few seconds while the table grows.

They read the rows from the table of the run, so that they cost the analysis nothing: it does not
even know of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rtsmlm.engines.localization_image import LocalizationImage
from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.table_tail import OVERLAP_BYTES, TableTail
from rtsmlm.localizations import Localizations
from rtsmlm.protocols import ImageLayer

EVERY_S = 3.0
"""From one image to the next at least; one that takes longer is followed by a pause as long."""
_PIECE_BYTES = 4 << 20

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The process is to end; the image of the whole table is made after the run."""


class TableLayers:
    """Networks of localizations on the table of a run; one that fails is left out.

    Parameters
    ----------
    table
        `localizations.arrows`; it need not be there yet.
    networks
        What makes the images.
    show
        Called with each image.
    fail
        Called with the name of a network that failed and why.
    note
        Called with a sentence on what a network was not given, once for each such thing.
    """

    def __init__(
        self,
        table: Path,
        networks: list[LocalizationImage],
        show: Callable[[ImageLayer], None],
        fail: Callable[[str, BaseException], None],
        note: Callable[[str], None],
    ) -> None:
        self._table, self._networks = table, networks
        self._show, self._fail, self._note = show, fail, note
        self._noted: set[tuple[str, str]] = set()
        self._tail = TableTail()
        self._shown: dict[str, int] = {}
        self._next_s = 0.0

    def __len__(self) -> int:
        return len(self._networks)

    @property
    def names(self) -> list[str]:
        """Names of the layers."""
        return [network.name for network in self._networks]

    def update(self, stop: threading.Event) -> None:
        """Make the images anew if it is time and there are new rows; end at `stop`, in a part."""
        begin_s = time.monotonic()
        if not self._networks or begin_s < self._next_s:
            return
        self._read()
        for network in tuple(self._networks):
            if stop.is_set():
                return
            if self._shown.get(network.name, 0) != network.n_localizations:
                self._make(network, stop)
        end_s = time.monotonic()
        self._next_s = end_s + max(EVERY_S, end_s - begin_s)

    def _make(self, network: LocalizationImage, stop: threading.Event) -> None:
        def look(_done: int, _total: int) -> None:
            if stop.is_set():
                raise _Stopped

        try:
            self._show(network.layer(look))
            for about, text in network.remarks.items():
                if (network.name, about) not in self._noted:
                    self._noted.add((network.name, about))
                    self._note(f"{network.name}: {text}")
            self._show(network.uncertainty(look))
        except _Stopped:
            return
        except Exception as error:  # a library may fail as it likes: the run has its table
            self._networks.remove(network)
            self._fail(network.name, error)
        self._shown[network.name] = network.n_localizations

    def _read(self) -> None:
        """Take the rows that are new; all of them where the table was cut and grows again."""
        try:
            with self._table.open("rb") as file:
                while True:
                    before = self._tail.n_bytes
                    file.seek(self._tail.offset)
                    rows = self._tail.take(file.read(OVERLAP_BYTES + _PIECE_BYTES))
                    if rows is None:
                        self._begin_again()
                        continue
                    self._add(rows)
                    if self._tail.n_bytes == before:
                        return
        except FileFormatError as error:  # half a message, while it is cut: the next time is soon
            _log.warning("%s: %s", self._table, error)
            self._begin_again()
        except OSError as error:
            _log.debug("the table cannot be read now: %s", error)

    def _begin_again(self) -> None:
        self._tail = TableTail()
        for network in self._networks:
            network.clear()

    def _add(self, rows: Localizations) -> None:
        if len(rows):
            for network in self._networks:
                network.add_localizations(rows)
