"""NoRun: a source without anything new, until there is a run."""

from __future__ import annotations

from rtsmlm.viewer.sources.updates import RunUpdate


class NoRun:
    """A source that never has anything new; implements `updates.Source`."""

    name = "no run yet"

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        """Return nothing new."""
        del most_rows
        return RunUpdate(connection="waiting")

    def close(self) -> None:
        """Nothing is held."""
