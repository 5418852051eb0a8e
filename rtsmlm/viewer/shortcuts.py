"""Keys of the live window; those that switch the lasers off are in `widgets.laser_key`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtsmlm.viewer.widgets.qt import QtCore, QtGui

if TYPE_CHECKING:
    from rtsmlm.viewer.live_widget import LiveWidget

_STEP = 1.1
"""Of the size of text."""


def add_shortcuts(window: LiveWidget) -> None:
    """Let the keys of `panels.help_dialog` act while the focus is in the window."""
    keys = {
        "F1": window.help.show,
        "F5": window.header.start.click,
        "Shift+F5": window.header.stop.click,
        "F6": window.header.snap.click,
        "Ctrl+E": window.super_res.export.click,
        "Ctrl+T": window.next_theme,
        "Ctrl++": lambda: window.scale_text(_STEP),
        "Ctrl+=": lambda: window.scale_text(_STEP),
        "Ctrl+-": lambda: window.scale_text(1 / _STEP),
    }
    for key, act in keys.items():
        shortcut = QtGui.QShortcut(QtGui.QKeySequence(key), window)
        shortcut.setContext(QtCore.Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(act)
