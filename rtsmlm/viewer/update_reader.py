"""Takes news from a source, in bites that keep the window alive, and tells every part of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtsmlm.viewer.live_resolution import LiveResolution
from rtsmlm.viewer.sources.updates import RunUpdate, Source
from rtsmlm.viewer.warm_up import WarmUp

if TYPE_CHECKING:
    from rtsmlm.viewer.live_widget import LiveWidget

LEAST_ROWS, MOST_ROWS = 2_000, 100_000
WANTED_S = 0.03
"""For taking news in one tick."""


class UpdateReader:
    """What a window knows of a run.

    Parameters
    ----------
    window
        Its parts are told.
    """

    def __init__(self, window: LiveWidget) -> None:
        self._window = window
        self._warm_up = WarmUp()
        self._field: tuple[Any, ...] | None = None
        self._resolution: LiveResolution | None = None
        self._most_rows = LEAST_ROWS
        self.polls = 0
        """How often the source was asked."""
        self.backlog = 0
        """Frames that wait for the localizer, as last told."""

    @property
    def is_ready(self) -> bool:
        """True once nothing is left to compile."""
        return self._warm_up.is_done

    def read(self, source: Source) -> None:
        """Take what is new."""
        if not self._warm_up.is_done:
            self._window.super_res.canvas.message = "Getting ready to draw; longer on first start …"
            self._window.super_res.canvas.update()
            return
        begin_s = time.perf_counter()
        news = source.poll(self._most_rows)
        self.polls += 1
        self._take(source, news)
        if n_rows := sum(map(len, news.rows)):
            spent_s = max(time.perf_counter() - begin_s, 1e-4)
            fitting = n_rows * WANTED_S / spent_s
            # No faster than twice: few rows say little about many.
            fitting = min(fitting, 2 * self._most_rows)
            self._most_rows = round(min(max(fitting, LEAST_ROWS), MOST_ROWS))

    def _take(self, source: Source, news: RunUpdate) -> None:
        window = self._window
        window.header.title.set_text(source.name)
        window.header.show_connection(news.connection, news.behind_bytes)
        window.laser.set_over(news.connection == "ended")
        self._begin(news.about)
        self._say_why_empty(news)
        if news.connection == "ended":
            window.camera.say_over()
        if news.restarted:
            self._forget_rows()
        window.series.add(news)
        if news.rows:
            window.super_res.add(news.rows)
            window.camera.add(news.rows)
            window.histograms.add_rows(news.rows)
            if self._resolution is not None:
                self._resolution.add(news.rows)
        if self._resolution is not None and (found := self._resolution.take()) is not None:
            window.series.note_resolution(found)
        if news.connection != "live":
            self.backlog = 0
        if news.status is not None:
            self.backlog = int(news.status.get("backlog") or 0)
            self._show_status(news.status)
            self._show_rate(news)
        if news.frame is not None:
            window.camera.take_frame(news.frame)

    def _begin(self, about: Mapping[str, Any]) -> None:
        if "shape" not in about or "pixel_nm" not in about:
            return
        field = about.get("run"), tuple(about["shape"]), float(about["pixel_nm"])
        if field == self._field:
            return
        self._field = field
        window, shape = self._window, (int(about["shape"][0]), int(about["shape"][1]))
        if self._resolution is not None:
            self._resolution.close()
        self._resolution = LiveResolution(shape, field[2])
        window.camera.pixel_nm = field[2]
        window.camera.clear()
        window.histograms.clear()
        window.super_res.begin(shape, field[2])
        settings: Mapping[str, Any] = about.get("settings") or {}
        feedback: Mapping[str, Any] = settings.get("feedback") or {}
        window.trends.limit_per_um2 = feedback.get("max_local_per_um2")
        window.acquisition.show_settings(settings, shape)
        if "gain" in feedback:
            window.laser.set_gain(float(feedback["gain"]))

    def _forget_rows(self) -> None:
        window = self._window
        window.super_res.clear()
        window.camera.clear()
        window.histograms.clear()
        if self._resolution is not None and self._field is not None:
            self._resolution.close()
            self._resolution = LiveResolution(self._field[1], self._field[2])

    def _say_why_empty(self, news: RunUpdate) -> None:
        canvas = self._window.super_res.canvas
        message = ""
        if self._field is None:
            message = "Waiting for a run …" if news.connection != "ended" else "This run is empty."
        if canvas.message != message:
            canvas.message = message
            canvas.update()

    def _show_status(self, status: Mapping[str, Any]) -> None:
        window = self._window
        loop: Mapping[str, Any] | None = status.get("loop")
        window.trends.laser = str((loop or {}).get("laser") or "")
        window.trends.power_unit = str((loop or {}).get("unit") or "")
        window.lights.show_status(status)
        window.laser.show_loop(loop)
        window.acquisition.show_status(status)
        warnings = [str(text) for text in status.get("warnings") or []]
        if window.messages.show_texts(warnings):
            at = window.trends.indexOf(window.messages)
            window.trends.setTabText(at, f"Messages {len(warnings)}" if warnings else "Messages")
            if warnings:
                window.say(warnings[-1], window.theme.amber)

    def _show_rate(self, news: RunUpdate) -> None:
        status: Mapping[str, Any] = news.status or {}
        rate, emitters = status.get("frames_per_s"), status.get("emitters_per_frame")
        texts = [] if rate is None else [f"{rate:.0f} frames/s"]
        texts += [] if emitters is None else [f"{emitters:.1f} per frame"]
        over = news.connection == "ended"
        self._window.header.rate.setText("" if over else "  ·  ".join(texts))

    def close(self) -> None:
        """End all threads. Safe to call more than once."""
        self._warm_up.close()
        if self._resolution is not None:
            self._resolution.close()
            self._resolution = None
