"""UpdateReader: polls a source in portions that keep the window responsive; no Qt here.

It adds what no source knows by itself: whether another run begins, and the resolution where the run
measures none. It knows no panel: the window hands the update to all of them.
"""

from __future__ import annotations

import math
from dataclasses import replace

from rtsmlm.stream.messages import ResolutionMessage
from rtsmlm.viewer.live_resolution import EVERY_S, LiveResolution
from rtsmlm.viewer.sources.updates import RunUpdate, Source
from rtsmlm.viewer.warm_up import WarmUp

LEAST_ROWS, MOST_ROWS = 2_000, 100_000
WANTED_S = 0.02
"""For all that the event loop does with one update."""


class UpdateReader:
    """Updates for a window, one at a time."""

    def __init__(self) -> None:
        self._warm_up = WarmUp()
        self._field: tuple[str, str, tuple[int, int], float] | None = None
        self._own_resolution: LiveResolution | None = None
        self._run_frame = -1  # of the newest resolution that the run has stated
        self._most_rows = LEAST_ROWS
        self.polls = 0
        """How often a source was asked."""
        self.age_s = 0.0
        """Age of the newest localized frame, by the newest status of a run that goes on."""
        self.resolution_s = EVERY_S
        """From one measurement of the resolution to the next, where this measures it."""

    @property
    def is_ready(self) -> bool:
        """True once nothing is left to compile."""
        return self._warm_up.is_done

    def read(self, source: Source, most_rows: int = MOST_ROWS) -> RunUpdate | None:
        """Return what is new; None while what draws is still being compiled.

        Parameters
        ----------
        source
            Where it comes from.
        most_rows
            No more than about so many.
        """
        if not self.is_ready:
            return None
        update = source.poll(min(self._most_rows, most_rows))
        self.polls += 1
        begins = self._begins(update)
        if begins or update.restarted:
            self._restart_resolution()
        update = replace(
            update, source_name=source.name, begins=begins, resolution=self._resolution(update)
        )
        if update.connection != "live":
            self.age_s = 0.0
        elif update.status is not None:
            self.age_s = update.status.newest_age_s
        return update

    def learn(self, update: RunUpdate, spent_s: float) -> None:
        """Ask for more or fewer rows next time, by the time that these have taken.

        Parameters
        ----------
        update
            What was read.
        spent_s
            Until all panels had it.
        """
        n_rows = sum(map(len, update.rows))
        if not n_rows:
            return
        fitting = n_rows * WANTED_S / max(spent_s, 1e-4)
        # No faster than twice: few rows do not predict the time of many.
        fitting = min(fitting, 2 * self._most_rows)
        self._most_rows = round(min(max(fitting, LEAST_ROWS), MOST_ROWS))

    def forget(self) -> None:
        """Take the next update for the first of a run: the source is another one."""
        self._field = None

    def _begins(self, update: RunUpdate) -> bool:
        run = update.run
        if run is None:
            return False
        field = run.run_id, run.run, run.shape, run.pixel_nm
        begins, self._field = field != self._field, field
        return begins

    # -- resolution ------------------------------------------------------------------------

    def _restart_resolution(self) -> None:
        self._close_own()
        self._run_frame = -1
        if self._field is not None:
            _, _, shape, pixel_nm = self._field
            self._own_resolution = LiveResolution(shape, pixel_nm)

    def _close_own(self) -> None:
        if self._own_resolution is not None:
            self._own_resolution.close()
            self._own_resolution = None

    def _resolution(self, update: RunUpdate) -> ResolutionMessage | None:
        """Return a resolution that is new: the run's own wherever the run measures one."""
        status = update.status
        if status is not None and status.resolution is not None:
            self._close_own()
            stated = status.resolution
            if stated.frame <= self._run_frame or not math.isfinite(stated.resolution_nm):
                return None
            self._run_frame = stated.frame
            return stated
        if self._own_resolution is None:
            return None
        self._own_resolution.every_s = self.resolution_s
        self._own_resolution.add(update.rows)
        return self._own_resolution.take()

    def close(self) -> None:
        """End all threads. Safe to call more than once."""
        self._warm_up.close()
        self._close_own()
