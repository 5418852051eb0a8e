"""DrawingThread: the picture of a run is drawn beside the event loop; no Qt here.

What draws is compiled and lets go of the interpreter meanwhile. The window hands over rows and what
its canvas shows, and takes the newest picture that is finished; it never waits for one.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from rtsmlm.localizations import Localizations
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.render.field import Field
from rtsmlm.render.filter import Filter
from rtsmlm.render.painter import Color
from rtsmlm.render.projection import Projection
from rtsmlm.render.splat import Mode
from rtsmlm.viewer.live_picture import Appearance, LivePicture, Picture
from rtsmlm.viewer.widgets.viewport import Viewport

LEAST_S = 0.03
"""From one picture to the next while the user moves it."""
MOST_S = 0.5
"""Two pictures per second remain, whatever else the machine does."""
_SHARE = 0.4
"""Most part of the time that may go into drawing."""
_LEAVE_S = 10.0

T = TypeVar("T")
Job = tuple[Callable[[LivePicture], Any], "Future[Any]"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a canvas shows, and how."""

    viewport: Viewport
    canvas_px: tuple[int, int]
    """Width and height."""
    appearance: Appearance


class DrawingThread:
    """A `LivePicture` in a thread; its methods are called by one other thread.

    Parameters
    ----------
    on_drawn
        Called in the thread of the drawing once a picture can be taken.
    """

    def __init__(self, on_drawn: Callable[[], None] = lambda: None) -> None:
        self.picture = LivePicture()
        """Of the thread; others leave it alone while that draws, see `submit`."""
        self.field: Field | None = None
        """What `begin` was called with; None before."""
        self._on_drawn = on_drawn
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._is_busy = False
        self._n_waiting = 0
        self._begun = 0  # how often a field has begun: a picture of the one before is dropped
        self._shown: Shown | None = None
        self._least_s = LEAST_S
        self._next_s = self._rows_at_s = 0.0
        self._drawn_for: tuple[object, ...] = ()
        self._drawn_shown: Shown | None = None
        self._is_complete = True
        self._drawn: Picture | None = None
        self._problem: str | None = None
        self._worker = Worker("draw", self._work, on_death=self._die, has_time=True)
        self._worker.start()

    # -- for the window --------------------------------------------------------------------

    @property
    def n_waiting(self) -> int:
        """Rows that were handed over and are not in the picture yet."""
        return self._n_waiting

    def begin(self, shape_px: tuple[int, int], pixel_nm: float) -> None:
        """Begin a new field without rows."""
        self.field = Field(shape_px, float(pixel_nm))
        with self._changed:
            self._begun += 1
            self._drawn = None
        self.submit(lambda picture: picture.begin(shape_px, pixel_nm))

    def add(self, batches: Sequence[Localizations]) -> None:
        """Add rows; before `begin` they are dropped."""
        n_rows = sum(map(len, batches))
        if not n_rows:
            return

        def work(picture: LivePicture) -> None:
            try:
                picture.add(batches)
            finally:
                with self._changed:
                    self._n_waiting -= n_rows

        with self._changed:
            self._n_waiting += n_rows
        self.submit(work)

    def clear(self) -> None:
        """Forget all rows."""
        self.submit(LivePicture.clear)

    def restyle(
        self,
        mode: Mode | None = None,
        color: Color | None = None,
        shown: Filter | None = None,
        projection: Projection | None = None,
    ) -> None:
        """Change mode, colour, filter or view; None leaves it as it is."""
        self.submit(lambda picture: picture.restyle(mode, color, shown, projection))

    def submit(self, job: Callable[[LivePicture], T]) -> Future[T]:
        """Do something with the picture in the thread, after all that was asked before.

        Returns
        -------
        :
            What the job returns or raises; cancelled if the thread ends before.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._worker.stop_event.is_set():
                future.cancel()
            else:
                self._jobs.append((job, future))
            self._changed.notify_all()
        return future

    def show(self, shown: Shown | None, least_s: float = LEAST_S) -> None:
        """State what is on screen; None draws nothing.

        Parameters
        ----------
        shown
            What the canvas shows.
        least_s
            From the begin of one picture to that of the next where only rows have come; `MOST_S` is
            the most.
        """
        with self._changed:
            if (shown, least_s) != (self._shown, self._least_s):
                self._shown, self._least_s = shown, least_s
                self._changed.notify_all()

    def take(self) -> Picture | None:
        """Return a picture that is new, else None."""
        with self._changed:
            drawn, self._drawn = self._drawn, None
        return drawn

    def take_problem(self) -> str | None:
        """Return a sentence on what could not be drawn, once; else None."""
        with self._changed:
            problem, self._problem = self._problem, None
        return problem

    def finish(self, timeout_s: float) -> bool:
        """Wait until all that was handed over is drawn; False if it is not within the time-out."""
        with self._changed:
            self._next_s = self._rows_at_s = 0.0
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: not (self._jobs or self._is_busy or self._is_wanted()), timeout_s
            )

    def close(self) -> None:
        """End the thread, and those that draw with it. Safe to call more than once."""
        with self._changed:
            self._worker.stop()
            self._changed.notify_all()
        self._worker.end(_LEAVE_S)

    # -- the thread ------------------------------------------------------------------------

    def _work(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()
                    self._changed.wait_for(
                        lambda: stop.is_set() or self._jobs or self._pause_s() == 0,
                        self._pause_s(),
                    )
                    self._is_busy = True
                    jobs, self._jobs = self._jobs, deque()
                for job, future in jobs:
                    self._do(job, future)
                with self._changed:
                    shown, begun = self._shown, self._begun
                    is_due = self._pause_s() == 0
                if shown is not None and is_due:
                    self._draw(shown, begun)
        finally:
            with self._changed:
                for _, future in self._jobs:
                    future.cancel()
            self.picture.close()

    def _is_wanted(self) -> bool:
        """Tell whether another picture than the last one is wanted."""
        if self._shown is None or self.picture.pyramid is None:
            return False
        wanted = (self.picture.version, self._begun, self._shown)
        return wanted != self._drawn_for or not self._is_complete

    def _pause_s(self) -> float | None:
        """Return for how long nothing is to be drawn; None until something is asked for."""
        if self._is_wanted():
            is_open = self._shown != self._drawn_shown or not self._is_complete
            due_s = self._next_s if is_open else max(self._next_s, self._rows_at_s)
        elif self._shown is not None and self._shown.appearance.autocontrast:
            due_s = max(self._rows_at_s, self.picture.judge_at_s)
        else:
            return None
        return None if due_s == math.inf else max(due_s - time.monotonic(), 0.0)

    def _do(self, job: Callable[[LivePicture], Any], future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(job(self.picture))
        except Exception as error:  # a run of another program may send any number
            _log.exception("a change of the picture failed")
            future.set_exception(error)
            self._report(error)

    def _draw(self, shown: Shown, begun: int) -> None:
        begin_s = time.monotonic()
        drawn_for = (self.picture.version, begun, shown)
        drawn = None
        try:
            drawn = self.picture.render(shown.viewport, shown.canvas_px, shown.appearance)
        except Exception as error:  # the next picture may be one that can be drawn
            _log.exception("the picture could not be drawn")
            self._report(error)
        taken_s = time.monotonic() - begin_s
        with self._changed:
            self._next_s = begin_s + min(max(LEAST_S, taken_s / _SHARE), MOST_S)
            self._rows_at_s = begin_s + min(max(self._least_s, taken_s / _SHARE), MOST_S)
            self._drawn_for, self._drawn_shown = drawn_for, shown
            self._is_complete = drawn is None or drawn.view.complete
            is_new = drawn is not None and begun == self._begun
            if is_new:
                self._drawn = drawn
        if is_new:
            self._on_drawn()

    def _report(self, error: BaseException) -> None:
        with self._changed:
            self._problem = f"not shown: {one_line(error)}"

    def _die(self, error: BaseException) -> None:
        _log.error("the picture is not drawn any more", exc_info=error)
        self._report(error)
