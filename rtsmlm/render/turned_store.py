"""TurnedStore: the rows of a store as a projection shows them, made piece by piece."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rtsmlm.localizations import F32
from rtsmlm.render.projection import Projection
from rtsmlm.render.store import SLAB, LocalizationStore


class TurnedStore:
    """A second store, of rows that are turned; a flat projection needs none.

    Parameters
    ----------
    of
        The rows where they are.
    projection
        How they are seen.
    """

    def __init__(self, of: LocalizationStore, projection: Projection) -> None:
        self.store = LocalizationStore(of.field)
        self._of, self._projection = of, projection
        self._n_chunks = 0
        self.is_complete = False
        """Whether all rows of the other store are here."""

    def turn(self, table: F32) -> F32:
        """Return rows as they are seen."""
        return self._projection.project(table, self._of.field)

    def missing(self, deadline_s: float) -> Iterator[F32]:
        """Yield tables of rows that are not here yet, turned, until the time is over.

        Parameters
        ----------
        deadline_s
            Of `time.perf_counter`; at least one table is yielded.
        """
        while self._n_chunks < self._of.n_chunks:
            slab = self._of.slabs[self._n_chunks // SLAB]
            yield self.turn(slab.tables[self._n_chunks % SLAB])
            self._n_chunks += 1
            if time.perf_counter() > deadline_s:
                return
        # The newest rows come last and at once: they change their order when their chunk is full.
        yield self.turn(self._of.open[:, : self._of.n_open])
        self.is_complete = True

    def clear(self) -> None:
        """Forget all; the other store is empty, too."""
        self.store.clear()
        self._n_chunks, self.is_complete = 0, True
