"""What is made of a table once all rows are in it: drift taken off, emitters linked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtsmlm.offline.drift import correct_drift
from rtsmlm.offline.linking import link_table
from rtsmlm.settings.run import RunSettings


def finish_table(table: Path, settings: RunSettings, on_step: Callable[[str], None]) -> list[str]:
    """Do what the settings ask for with all rows of a run; return a sentence on each.

    Parameters
    ----------
    table
        `localizations.arrows` of the run, complete.
    settings
        In force.
    on_step
        Called with the name of what is being done.

    Raises
    ------
    FileFormatError
        If the table is damaged.
    SinkError
        If a file cannot be written; the table is as it was then.
    """
    notes = []
    if settings.drift.correct:
        on_step("drift")
        notes.append(correct_drift(table))
    if settings.linking.write:
        on_step("linking")
        notes.append(link_table(table, settings.linking.gap_frames).sentence)
    return notes
