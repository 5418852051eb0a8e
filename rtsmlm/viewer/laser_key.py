"""The keys that switch the lasers off, wherever the focus is."""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.viewer.qt import QtCore, QtGui, QtWidgets

KEYS = "F12 or Ctrl+L"
_CTRL = QtCore.Qt.KeyboardModifier.ControlModifier


class LaserKey(QtCore.QObject):
    """Sees every key before anybody else does.

    A shortcut would not do: one that the embedding program uses as well is ambiguous and does
    nothing, and none reaches past a modal dialog.

    Parameters
    ----------
    act
        Called once per stroke.
    parent
        Owner.
    """

    def __init__(self, act: Callable[[], None], parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._act = act
        self._application = QtWidgets.QApplication.instance()
        if self._application is not None:
            self._application.installEventFilter(self)

    def eventFilter(self, _watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Act on the keys, and let nobody else see them."""
        if event.type() != QtCore.QEvent.Type.KeyPress or not isinstance(event, QtGui.QKeyEvent):
            return False
        key, keys = event.key(), QtCore.Qt.Key
        is_ours = key == keys.Key_F12 or (key == keys.Key_L and event.modifiers() == _CTRL)
        if is_ours and not event.isAutoRepeat():
            self._act()
        return is_ours

    def release(self) -> None:
        """See no more keys. Twice is fine."""
        if self._application is not None:
            self._application.removeEventFilter(self)
            self._application = None
