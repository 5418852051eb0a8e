"""Closing: a window closes at once, or after a question while lasers of its run may shine."""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.viewer.light_state import LightState
from rtsmlm.viewer.panels.closing_question import ClosingQuestion
from rtsmlm.viewer.widgets.qt import QtWidgets


class Closing:
    """What happens when the user closes a window.

    Parameters
    ----------
    window
        The live widget, by itself or inside another widget, which then closes with it.
    light
        What is known of the lasers.
    """

    def __init__(self, window: QtWidgets.QWidget, light: LightState) -> None:
        self._window, self._light = window, light
        self._answer: bool | None = None
        self.on_closed: Callable[[bool], None] | None = None
        """Called when the user has closed the window: True where the run is to end with it. Only a
        run of another program can go on without the window, so without this no such offer."""
        self.question = ClosingQuestion(window)
        self.question.answered.connect(self._close)

    def allows(self, *, has_control: bool) -> bool:
        """Return whether the window may close now; if not, the user is asked.

        Parameters
        ----------
        has_control
            Whether the window can command the run; one that only shows it closes at once.
        """
        if not has_control or self._answer is not None or not self._light.may_shine:
            return True
        self.question.ask(may_keep=self.on_closed is not None)
        return False

    def report(self) -> None:
        """Hand on what the user wants, as the window closes now."""
        if self.on_closed is not None:
            on_closed, self.on_closed = self.on_closed, None
            on_closed(bool(self._answer))

    def _close(self, stop: bool) -> None:
        self._answer = stop
        around = self._window.parentWidget()
        (self._window if around is None else around).close()
