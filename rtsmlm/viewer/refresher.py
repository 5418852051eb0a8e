"""Refresher: lets a window show what is new, at the pace that the run leaves it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rtsmlm.viewer.figures import WindowMeter
from rtsmlm.viewer.pace import FULL, Pace, pace_for
from rtsmlm.viewer.panels.panel import hand_on
from rtsmlm.viewer.reading_thread import ReadingThread
from rtsmlm.viewer.sources.updates import Source
from rtsmlm.viewer.update_reader import MOST_ROWS, UpdateReader
from rtsmlm.viewer.widgets.qt import QtCore

if TYPE_CHECKING:
    from rtsmlm.viewer.final_account import FinalAccount
    from rtsmlm.viewer.light_state import LightState
    from rtsmlm.viewer.panels.panel import Panel
    from rtsmlm.viewer.panels.super_res_panel import SuperResPanel
    from rtsmlm.viewer.series import RunSeries
    from rtsmlm.viewer.widgets.theme import Theme

MOST_WAITING = 2 * MOST_ROWS
"""Rows that may wait to be drawn; no more are read meanwhile."""


class Refreshed(Protocol):
    """What is asked of the window."""

    panels: list[Panel]
    series: RunSeries
    light: LightState
    final_account: FinalAccount
    super_res: SuperResPanel
    theme: Theme

    def report(self, text: str, color: str | None = None) -> None:
        """Show a line at the bottom."""

    def fit(self, *, anew: bool = False) -> None:
        """Give every part a form for which there is room."""


class Refresher:
    """The ticks of a window: each takes what other threads have finished, and asks for more.

    Parameters
    ----------
    window
        What is refreshed; its image owns the timers.
    source
        Where the updates come from; closed with this.
    """

    def __init__(self, window: Refreshed, source: Source) -> None:
        self._window = window
        self.reader = UpdateReader()
        self.reading = ReadingThread(self.reader, source)
        self.on_ready: Callable[[], None] | None = None
        """Called once, when nothing is left to compile."""
        self.pace: Pace = FULL
        self.plots_at_s = 0.0
        self._updates_before = 0  # pictures before the run
        self.meter = WindowMeter(window.super_res)
        self.timer = QtCore.QTimer(window.super_res)
        self.timer.setInterval(round(FULL.tick_s * 1000))
        self.timer.timeout.connect(self.tick)
        self.timer.start()

    def follow(self, source: Source) -> None:
        """Show another source from now on; the one before is closed."""
        self.reading.follow(source)

    def tick(self) -> None:
        """Show what is new, and ask for what comes next."""
        self.show_newest()
        self.request()

    def request(self) -> None:
        """Ask for the next update, without more rows than can be drawn."""
        waiting = self._window.super_res.drawing.n_waiting
        self.reading.request(max(MOST_WAITING - waiting, 0))

    def show_newest(self) -> None:
        """Hand what was read to all panels and let them draw; a bounded piece of work."""
        window = self._window
        begin_s = time.perf_counter()
        update = self.reading.take()
        if update is not None:
            if update.begins and update.run is not None:
                self._updates_before = window.super_res.updates
                self.meter.begin(update.run.run_id)
            update = window.final_account.complete(update)
            hand_on(
                update,
                (window.series.add, window.light.take, *(p.show_update for p in window.panels)),
                lambda text: window.report(text, window.theme.amber),
            )
            self.reader.learn(update, time.perf_counter() - begin_s)
        elif not self.reader.is_ready:
            window.super_res.show_message("Getting ready to draw; longer on first start …")
        if (problem := window.super_res.drawing.take_problem()) is not None:
            window.report(problem, window.theme.amber)
        self._note_ready()
        self._follow_pace()
        plots = time.monotonic() >= self.plots_at_s
        if plots:
            self.plots_at_s = time.monotonic() + self.pace.plots_s
            window.fit()
        for panel in window.panels:
            if plots or not panel.is_plot:
                panel.refresh()
        self.meter.n_pictures = window.super_res.updates - self._updates_before

    def _note_ready(self) -> None:
        if self.on_ready is not None and self.reader.is_ready:
            on_ready, self.on_ready = self.on_ready, None
            on_ready()

    def _follow_pace(self) -> None:
        pace = pace_for(self.reader.age_s)
        if pace != self.pace:
            self.pace = pace
            self.timer.setInterval(round(pace.tick_s * 1000))
            self.reader.resolution_s = pace.resolution_s
            self._window.super_res.least_s = pace.picture_s

    def close(self) -> None:
        """End the timers and what reads. Safe to call more than once."""
        with suppress(RuntimeError):  # the host may have deleted what is shown
            self.timer.stop()
            self.meter.stop()
        self.reading.close()
