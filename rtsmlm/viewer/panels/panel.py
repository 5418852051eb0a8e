"""Panel: what the window asks of each of its parts; all of it may be left as it is here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from rtsmlm.realtime.worker import one_line
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.theme import Theme

_log = logging.getLogger(__name__)


class Panel:
    """Mixed into a widget, before it: `class MyPanel(Panel, QtWidgets.QFrame)`."""

    section = ""
    """Anchor of the section of the help on it (`viewer/help/window.md`); empty where it shows
    nothing."""
    is_plot = False
    """True where drawing is slow, and twice a second is enough."""

    def show_update(self, update: RunUpdate) -> None:
        """Take what is new in the run; called some ten times a second."""

    def refresh(self) -> None:
        """Draw what has changed; called after all panels have the update."""

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme, where the style sheet does not give them."""

    def set_narrow(self, is_narrow: bool) -> None:
        """Take the form for a window in which the panels stand behind tabs, or that for columns."""

    def set_why_not(self, why_not: str | None) -> None:
        """Allow the controls, or show why they cannot be used."""


def hand_on(
    update: RunUpdate,
    takers: Iterable[Callable[[RunUpdate], None]],
    report: Callable[[str], None],
) -> None:
    """Hand an update to all: what one cannot show is reported, and the others show theirs."""
    for take in takers:
        try:
            take(update)
        except Exception as error:  # a run of another program may send any number
            _log.exception("an update could not be shown")
            report(f"not shown: {one_line(error)}")
