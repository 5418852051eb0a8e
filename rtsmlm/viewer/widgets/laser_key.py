"""The keys that switch the lasers off, wherever the focus is."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

KEYS = "F12 or Ctrl+L"
_CTRL = QtCore.Qt.KeyboardModifier.ControlModifier


class LaserKey(QtCore.QObject):
    """Sees every key before any widget does.

    A shortcut would not do: one that the embedding program uses as well is ambiguous and does
    nothing, and none reaches past a modal dialog.

    Parameters
    ----------
    act
        Called once per stroke; returns False if it cannot do anything; if no window can, the
        program gets the key.
    parent
        Owner.
    """

    _acts: ClassVar[list[Callable[[], bool]]] = []

    def __init__(self, act: Callable[[], bool], parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._act = act
        self._application = QtWidgets.QApplication.instance()
        if self._application is not None:
            self._acts.append(act)
            self._application.installEventFilter(self)

    def eventFilter(self, _watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Act on the keys; the first window to see one acts for all."""
        if event.type() != QtCore.QEvent.Type.KeyPress or not isinstance(event, QtGui.QKeyEvent):
            return False
        key, keys = event.key(), QtCore.Qt.Key
        if key != keys.Key_F12 and not (key == keys.Key_L and event.modifiers() == _CTRL):
            return False
        if event.isAutoRepeat():
            return bool(self._acts)
        done = [act() for act in self._acts]
        return any(done)

    def release(self) -> None:
        """See no more keys. Safe to call more than once."""
        if self._application is not None:
            self._acts.remove(self._act)
            self._application.removeEventFilter(self)
            self._application = None
