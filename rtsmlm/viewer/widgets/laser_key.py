"""The keys that switch the lasers off, wherever the focus is."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

KEYS = "F12 or Ctrl+L"
_CTRL = QtCore.Qt.KeyboardModifier.ControlModifier


class LaserKey(QtCore.QObject):
    """Sees every key before any widget and any shortcut does.

    A shortcut would not do: one that the embedding program uses as well is ambiguous and does
    nothing, and none reaches past a modal dialog.

    Parameters
    ----------
    act
        Called once per stroke.
    can_act
        Whether it would have an effect; if that is so in no window, the program gets the key.
    parent
        Owner.
    """

    _keys: ClassVar[list[LaserKey]] = []

    def __init__(
        self, act: Callable[[], object], can_act: Callable[[], bool], parent: QtCore.QObject
    ) -> None:
        super().__init__(parent)
        self.act, self.can_act = act, can_act
        self._application = QtWidgets.QApplication.instance()
        if self._application is not None:
            self._keys.append(self)
            self._application.installEventFilter(self)

    def eventFilter(self, _watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Act on the keys; the first window to see one acts for all."""
        kind, types = event.type(), QtCore.QEvent.Type
        if kind not in (types.KeyPress, types.ShortcutOverride):
            return False
        if not isinstance(event, QtGui.QKeyEvent) or not _is_ours(event):
            return False
        able = [key for key in self._keys if key.can_act()]
        if kind == types.ShortcutOverride:  # comes first; accepted, no shortcut gets the key
            if able:
                event.accept()
        elif not event.isAutoRepeat():
            for key in able:
                key.act()
        return bool(able)

    def release(self) -> None:
        """See no more keys. Safe to call more than once."""
        if self._application is not None:
            self._keys.remove(self)
            self._application.removeEventFilter(self)
            self._application = None


def _is_ours(event: QtGui.QKeyEvent) -> bool:
    key, keys = event.key(), QtCore.Qt.Key
    return key == keys.Key_F12 or (key == keys.Key_L and event.modifiers() == _CTRL)
