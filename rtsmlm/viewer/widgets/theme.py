"""Dark and light theme: colours, and the style sheet made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

ThemeName: TypeAlias = Literal["system", "dark", "light"]
THEMES: tuple[ThemeName, ...] = ("system", "dark", "light")

BASE_PX = 12.5
"""Height of text at scale 1."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours, as #rrggbb, and the size of text."""

    name: str
    window: str
    panel: str
    raised: str
    text: str
    dim: str
    line: str
    accent: str
    blue: str
    green: str
    amber: str
    red: str
    gray: str
    scale: float = 1.0
    """Of all text."""

    @property
    def px(self) -> int:
        """Height of text."""
        return round(BASE_PX * self.scale)

    def curve(self, k: int) -> str:
        """Return the colour of a curve, by its place."""
        return (self.accent, self.blue, self.green, self.red)[k % 4]

    def light(self, name: str) -> str:
        """Return the colour of a light: grey, green, amber or red."""
        found = {"grey": self.gray, "green": self.green, "amber": self.amber, "red": self.red}
        return found[name]


DARK = Theme(
    name="dark", window="#14161b", panel="#1b1e25", raised="#282d37", text="#e7e9ee",
    dim="#9aa3b2", line="#333a47", accent="#f2a33a", blue="#6bb3ff", green="#4fcf8b",
    amber="#f2b33a", red="#ff5f56", gray="#5b6472",
)  # fmt: skip
LIGHT = Theme(
    name="light", window="#eceef2", panel="#ffffff", raised="#e6e9ef", text="#181c24",
    dim="#566072", line="#c9cfd9", accent="#b85a00", blue="#1766c2", green="#138a4e",
    amber="#b57a00", red="#cf222e", gray="#a3abb8",
)  # fmt: skip

_SHEET = """
QWidget {{ color: {text}; font-size: {px}px; }}
QWidget#live, QDialog, QScrollArea, QScrollArea > QWidget > QWidget {{ background: {window}; }}
QFrame#panel {{ background: {panel}; border: 1px solid {line}; border-radius: 6px; }}
QLabel, QWidget#clear {{ background: transparent; }}
QLabel#title {{ font-weight: 600; }}
QLabel#dim {{ color: {dim}; }}
QLabel#unit {{ color: {dim}; background: {panel}; padding: 0px 2px; }}
QLabel#big {{ font-size: {big}px; font-weight: 600; }}
QLabel#armed {{ background: {amber}; color: {window}; border-radius: 4px; padding: 2px 7px;
    font-weight: 700; }}
QLabel#alarm {{ background: {red}; color: white; border-radius: 4px; padding: 4px 6px; }}
QLabel#caution {{ background: {amber}; color: {window}; border-radius: 4px; padding: 4px 6px; }}
QLabel#confirmed {{ background: {green}; color: {window}; border-radius: 4px; padding: 4px 6px; }}
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {line}; padding: 4px; }}
QPushButton {{ background: {raised}; border: 1px solid {line}; border-radius: 5px;
    padding: 4px 9px; }}
QPushButton:hover {{ border-color: {accent}; }}
QPushButton:pressed, QPushButton:checked {{ background: {accent}; color: {window};
    border-color: {accent}; }}
QPushButton:disabled {{ color: {gray}; border-color: {line}; background: transparent; }}
QPushButton:focus, QComboBox:focus, QAbstractSpinBox:focus, QFrame#panel > QLineEdit:focus,
QFrame#panel > QPlainTextEdit:focus {{ border: 1px solid {accent}; }}
QPushButton#off {{ background: {red}; color: white; font-weight: 700; font-size: {large}px;
    padding: 7px 16px; border: 1px solid {red}; }}
QPushButton#off:hover {{ border-color: {text}; }}
QPushButton#off:disabled {{ background: {raised}; color: {dim}; border-color: {line}; }}
QPushButton#chip {{ background: {raised}; border: 1px solid {accent}; border-radius: 9px;
    padding: 1px 8px; }}
QToolButton#tool {{ background: transparent; border: 1px solid transparent; border-radius: 4px;
    padding: 2px; }}
QToolButton#tool:hover {{ border-color: {accent}; }}
QToolButton#tool:checked {{ background: {accent}; }}
QToolButton#tool:focus {{ border: 1px solid {accent}; }}
QToolButton#help {{ background: transparent; color: {dim}; border: 1px solid {line};
    border-radius: {round}px; padding: 0px; font-weight: 600; }}
QToolButton#help:hover {{ color: {accent}; border-color: {accent}; }}
QMenu {{ background: {panel}; color: {text}; border: 1px solid {line}; }}
QMenu::item {{ padding: 4px 16px; }}
QMenu::item:selected {{ background: {accent}; color: {window}; }}
QLineEdit#side {{ background: {raised}; border: 1px solid {line}; border-radius: 4px;
    padding: 0px 3px; selection-background-color: {accent}; selection-color: {window}; }}
QLineEdit#side:focus {{ border: 1px solid {accent}; }}
QComboBox, QAbstractSpinBox, QFrame#panel > QLineEdit,
QFrame#panel > QPlainTextEdit {{ background: {raised}; border: 1px solid {line};
    border-radius: 4px; padding: 2px 5px; selection-background-color: {accent};
    selection-color: {window}; }}
QComboBox:disabled, QAbstractSpinBox:disabled, QLineEdit:disabled, QPlainTextEdit:disabled,
QCheckBox:disabled {{ color: {gray}; }}
QAbstractSpinBox {{ padding-right: 0px; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button, QAbstractSpinBox::up-arrow,
QAbstractSpinBox::down-arrow {{ width: 0px; height: 0px; border: none; image: none; }}
QComboBox {{ padding-right: 18px; }}
QComboBox::drop-down {{ border: none; width: 16px; }}
QComboBox::down-arrow {{ image: none; width: 0px; height: 0px; margin-right: 6px;
    border-left: 4px solid {raised}; border-right: 4px solid {raised};
    border-top: 5px solid {dim}; }}
QCheckBox {{ background: transparent; spacing: 6px; }}
QCheckBox::indicator {{ width: {box}px; height: {box}px; border: 1px solid {dim};
    border-radius: 3px; background: {raised}; }}
QCheckBox::indicator:checked {{ background: {accent}; border-color: {accent}; }}
QCheckBox::indicator:disabled {{ border-color: {line}; }}
QCheckBox::indicator:checked:disabled {{ background: {gray}; }}
QCheckBox:focus {{ color: {accent}; }}
QComboBox QAbstractItemView {{ background: {panel}; color: {text};
    selection-background-color: {accent}; selection-color: {window}; }}
QTabWidget::pane {{ border: 1px solid {line}; border-radius: 6px; background: {panel}; top: -1px; }}
QTabBar {{ background: transparent; }}
QTabBar::tab {{ background: transparent; color: {dim}; padding: 5px 7px; border: none;
    border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {text}; border-bottom: 2px solid {accent}; }}
QTabBar::tab:hover {{ color: {text}; }}
QTabBar::scroller {{ width: {scroller}px; }}
QTabBar QToolButton {{ background: {raised}; border: 1px solid {line}; }}
QTabBar QToolButton::left-arrow, QTabBar QToolButton::right-arrow {{ image: none; width: 0px;
    height: 0px; border-top: 4px solid {raised}; border-bottom: 4px solid {raised}; }}
QTabBar QToolButton::right-arrow {{ border-left: 5px solid {text}; }}
QTabBar QToolButton::left-arrow {{ border-right: 5px solid {text}; }}
QTabBar QToolButton::right-arrow:disabled {{ border-left: 5px solid {line}; }}
QTabBar QToolButton::left-arrow:disabled {{ border-right: 5px solid {line}; }}
QListWidget, QTableWidget, QTextBrowser {{ background: {panel}; border: 1px solid {line};
    border-radius: 5px; }}
QHeaderView::section {{ background: {raised}; border: none; padding: 4px; }}
QSplitter::handle {{ background: {window}; }}
QSplitter::handle:hover {{ background: {accent}; }}
QScrollArea {{ border: none; }}
QScrollBar {{ background: {window}; width: 9px; height: 9px; border: none; }}
QScrollBar::handle {{ background: {line}; border-radius: 4px; min-height: 20px; min-width: 20px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0px; height: 0px; }}
QSlider::groove:horizontal {{ height: 4px; background: {line}; border-radius: 2px; }}
QSlider::handle:horizontal {{ background: {accent}; width: 12px; margin: -5px 0;
    border-radius: 6px; }}
QSlider::handle:horizontal:disabled {{ background: {gray}; }}
QProgressBar {{ background: {raised}; border: none; border-radius: 3px; max-height: 7px; }}
QProgressBar::chunk {{ background: {accent}; border-radius: 3px; }}
QFrame#walk {{ background: {panel}; border: 2px solid {accent}; border-radius: 8px; }}
"""


def theme_of(name: str, scale: float = 1.0) -> Theme:
    """Return a theme by its name; `system` asks the system, and is dark where it has none."""
    if name == "system":
        return replace(_of_system(), scale=scale)
    return replace(LIGHT if name == "light" else DARK, scale=scale)


def _of_system() -> Theme:
    hints = QtGui.QGuiApplication.styleHints()
    if hints is not None and hasattr(hints, "colorScheme"):
        return LIGHT if hints.colorScheme() == QtCore.Qt.ColorScheme.Light else DARK
    return DARK


def style_sheet(theme: Theme) -> str:
    """Return the style sheet of a window and everything in it."""
    px = theme.px
    sizes = {"px": px, "box": round(0.8 * px), "big": round(1.35 * px), "large": round(1.15 * px),
             "scroller": round(1.6 * px), "round": round(0.6 * px)}  # fmt: skip
    colors = {name: getattr(theme, name) for name in Theme.__slots__}
    return _SHEET.format(**sizes, **colors)


def palette(theme: Theme) -> QtGui.QPalette:
    """Return the palette, for what the style draws itself."""
    roles = QtGui.QPalette.ColorRole
    colors = QtGui.QPalette()
    for role, color in {
        roles.Window: theme.window,
        roles.Base: theme.panel,
        roles.AlternateBase: theme.raised,
        roles.Button: theme.raised,
        roles.Text: theme.text,
        roles.WindowText: theme.text,
        roles.ButtonText: theme.text,
        roles.ToolTipBase: theme.raised,
        roles.ToolTipText: theme.text,
        roles.Highlight: theme.accent,
        roles.HighlightedText: theme.window,
        roles.PlaceholderText: theme.dim,
    }.items():
        colors.setColor(role, QtGui.QColor(color))
    return colors


def scale_for(widget: QtWidgets.QWidget) -> float:
    """Return the text scale for the screen that a widget is on, 1 at 1280 x 800 and 1080 lines."""
    screen = widget.screen()
    height = 1080 if screen is None else screen.availableGeometry().height()
    return min(max(height / 1200, 1.0), 2.0)
