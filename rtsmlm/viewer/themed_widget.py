"""ThemedWidget: panels that share a theme, a size of text and a line of news."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.preferences import Preferences
from rtsmlm.viewer.widgets.controls import add_shortcuts
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets
from rtsmlm.viewer.widgets.theme import THEMES, Theme, palette, scale_for, style_sheet, theme_of
from rtsmlm.viewer.window_layout import WindowLayout

_STEP = 1.1
_LEAST_SCALE, _MOST_SCALE = 0.8, 3.0
_SCALE_WIDTH, _SCALE_HEIGHT = 230, 210
"""Pixels of a window at text scale 1; in fewer, LASER OFF would have no room."""
_SAME_SCALE = 0.02

P = TypeVar("P", bound=Panel)


class ThemedWidget(QtWidgets.QWidget):
    """A window of panels that are told of its theme.

    Parameters
    ----------
    parent
        Owner.
    settings_file
        Ini file with the preferences; None takes the place that the system has for it.
    """

    theme: Theme

    def __init__(self, parent: QtWidgets.QWidget | None, settings_file: Path | None) -> None:
        super().__init__(parent)
        self.setObjectName("live")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        self.preferences = Preferences(settings_file)
        self.panels: list[Panel] = []
        self.layout_parts = WindowLayout(self)
        self.layout_parts.on_narrow = self._set_narrow
        self.newest = self.layout_parts.newest
        add_shortcuts(self, {
            "Ctrl+T": self.next_theme,
            "Ctrl++": lambda: self.scale_text(_STEP),
            "Ctrl+=": lambda: self.scale_text(_STEP),
            "Ctrl+-": lambda: self.scale_text(1 / _STEP),
        })  # fmt: skip
        hints = QtGui.QGuiApplication.styleHints()
        if hints is not None and hasattr(hints, "colorSchemeChanged"):
            hints.colorSchemeChanged.connect(self.apply_theme)

    def apply_theme(self, *_: Any) -> None:
        """Take the theme and the size of text that are chosen."""
        theme = self.theme = theme_of(self.preferences.get("theme"), self._scale())
        self.setPalette(palette(theme))
        self.setStyleSheet(style_sheet(theme))
        for panel in self.panels:
            panel.set_theme(theme)
        self.fit(anew=True)

    def _scale(self) -> float:
        """Return the size of text that is chosen, or the largest for which there is room."""
        chosen = self.preferences.get("text_scale") or scale_for(self)
        if not self.isVisible():
            return float(chosen)
        room = min(self.width() / _SCALE_WIDTH, self.height() / _SCALE_HEIGHT)
        return float(min(chosen, max(room, _LEAST_SCALE)))

    def next_theme(self) -> None:
        """Go on to the next theme: system, dark, light."""
        now = THEMES.index(self.preferences.get("theme"))
        self.set_theme(THEMES[(now + 1) % len(THEMES)])

    def set_theme(self, name: str) -> None:
        """Choose a theme."""
        self.preferences.set("theme", name)
        self.apply_theme()
        self.report(f"Theme: {name}")

    def scale_text(self, factor: float) -> None:
        """Make all text larger or smaller."""
        scale = min(max(self.theme.scale * factor, _LEAST_SCALE), _MOST_SCALE)
        self.preferences.set("text_scale", float(scale))
        self.apply_theme()

    def report(self, text: str, color: str | None = None) -> None:
        """Show a line at the bottom."""
        self.newest.set_text(text, color)

    def report_failure(self, text: str) -> None:
        """Show at the bottom what has failed."""
        self.report(text, self.theme.red)

    def fit(self, *, anew: bool = False) -> None:
        """Give every part a form for which there is room."""
        self.layout_parts.fit(anew=anew)

    def _set_narrow(self, is_narrow: bool) -> None:
        for panel in self.panels:
            panel.set_narrow(is_narrow)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        """Fit into the new size."""
        super().resizeEvent(event)
        if abs(self._scale() - self.theme.scale) > _SAME_SCALE:
            self.apply_theme()
        else:
            self.fit()
