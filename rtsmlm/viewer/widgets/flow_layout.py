"""FlowLayout: widgets side by side, in as many lines as the width asks for."""

from __future__ import annotations

from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets


class FlowLayout(QtWidgets.QLayout):
    """Like words in a text.

    Parameters
    ----------
    parent
        Takes the layout.
    across, down
        Distance of neighbours and of lines in pixels.
    """

    def __init__(self, parent: QtWidgets.QWidget, across: int = 8, down: int = 4) -> None:
        super().__init__(parent)
        self._across, self._down = across, down
        self._items: list[QtWidgets.QLayoutItem] = []
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QtWidgets.QLayoutItem) -> None:
        """Add an item at the end."""
        self._items.append(item)

    def count(self) -> int:
        """Return the number of items."""
        return len(self._items)

    def itemAt(self, index: int) -> QtWidgets.QLayoutItem | None:
        """Return an item, None beyond the last."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QtWidgets.QLayoutItem | None:
        """Remove an item and return it, None beyond the last."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> QtCore.Qt.Orientation:
        """Return that it wants no more room than it needs."""
        return QtCore.Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        """Return that its height follows from its width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of all lines."""
        return self._arrange(QtCore.QRect(0, 0, width, 0), is_shown=False)

    def setGeometry(self, rect: QtCore.QRect) -> None:
        """Place all items."""
        super().setGeometry(rect)
        room = rect.height() - self.heightForWidth(rect.width())
        self._arrange(rect.adjusted(0, max(room // 2, 0), 0, 0), is_shown=True)

    def sizeHint(self) -> QtCore.QSize:
        """Return the size of one line."""
        sizes = [item.sizeHint() for item in self._items if not item.isEmpty()]
        width = sum(size.width() for size in sizes) + self._across * max(len(sizes) - 1, 0)
        return QtCore.QSize(width, max((size.height() for size in sizes), default=0))

    def minimumSize(self) -> QtCore.QSize:
        """Return the size of the largest item."""
        size = QtCore.QSize(0, 0)
        for item in self._items:
            size = size if item.isEmpty() else size.expandedTo(item.minimumSize())
        return size

    def _arrange(self, rect: QtCore.QRect, *, is_shown: bool) -> int:
        """Go through the items line by line; return the height that they take."""
        x, y, line_height = rect.x(), rect.y(), 0
        for item in self._items:
            if item.isEmpty():
                continue
            size = item.sizeHint()
            if x > rect.x() and x + size.width() > rect.x() + rect.width():
                x, y, line_height = rect.x(), y + line_height + self._down, 0
            if is_shown:
                size.setWidth(min(size.width(), rect.width()))
                item.setGeometry(QtCore.QRect(QtCore.QPoint(x, y), size))
            x += size.width() + self._across
            line_height = max(line_height, size.height())
        return y + line_height - rect.y()
