"""WindowLayout: header, three columns, a line below; in a narrow window tabs in place of columns.

Whatever the size of the window and of its text, LASER OFF stays inside: the header takes as many
rows as it needs, and what has no room below it scrolls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rtsmlm.viewer.preferences import Preferences
from rtsmlm.viewer.widgets.elided_label import ElidedLabel
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets
from rtsmlm.viewer.widgets.side_column import SideColumn

LEAST_SIZE = QtCore.QSize(280, 360)
"""Of a window; with the frame of a host it fits a dock of 300 x 400 pixels."""
_COLUMNS, _ROWS = (24, 46, 30), (50, 50)
"""Shares of the width and, on the right, of the height, in percent."""
MARGIN, _SPACING = 8, 6

Column: TypeAlias = Literal["left", "middle", "right"]


@dataclass(frozen=True, slots=True)
class _Part:
    widget: QtWidgets.QWidget
    column: Column
    tab: str
    """Title of its tab in a narrow window; parts of one title share it."""
    grows: bool
    """Takes the height that is left in its tab."""


class WindowLayout:
    """The places of a window, each of which takes panels.

    Parameters
    ----------
    window
        Takes the layout.
    """

    def __init__(self, window: QtWidgets.QWidget) -> None:
        orientation = QtCore.Qt.Orientation
        self._window = window
        self._parts: list[_Part] = []
        self._is_shared_out = self.is_narrow = False
        self._needed = QtCore.QSize(0, 0)
        """Of the columns, as long as they were shown."""
        self._splitters: dict[str, QtCore.QByteArray] = {}
        self.on_narrow: Callable[[bool], None] = lambda is_narrow: None
        """Called whenever tabs take the place of the columns, True, or columns that of the tabs."""
        window.setMinimumSize(LEAST_SIZE)
        self._rows = QtWidgets.QVBoxLayout(window)
        self._rows.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        self._rows.setSpacing(_SPACING)
        # A window that is too small scrolls; it does not grow beyond its screen.
        self._rows.setSizeConstraint(QtWidgets.QLayout.SizeConstraint.SetNoConstraint)
        self.top, self.bottom = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        self.under_top = QtWidgets.QVBoxLayout()
        self.columns = QtWidgets.QSplitter(orientation.Horizontal)
        self.left, self.middle = SideColumn(), QtWidgets.QSplitter(orientation.Vertical)
        self.right = QtWidgets.QSplitter(orientation.Vertical)
        for column in (self.left, self.middle, self.right):
            self.columns.addWidget(column)
        for splitter in (self.middle, self.right, self.columns):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(6)
        self.columns.setStretchFactor(1, 1)
        self.tabs = QtWidgets.QTabWidget()
        self.tabs.setUsesScrollButtons(True)
        self.tabs.hide()
        self.newest = ElidedLabel("Newest message; all are in the tab Messages.")
        self._line = QtWidgets.QBoxLayout(QtWidgets.QBoxLayout.Direction.LeftToRight)
        self._line.setSpacing(16)
        self._line.addLayout(self.bottom, 0)
        self._line.addWidget(self.newest, 1)
        self._rows.addLayout(self.top)
        self._rows.addLayout(self.under_top)
        self._rows.addWidget(self.columns, 1)
        self._rows.addWidget(self.tabs, 1)
        self._rows.addLayout(self._line)

    def place(
        self, column: Column, tab: str, *, grows: bool = True
    ) -> Callable[[QtWidgets.QWidget], None]:
        """Return what takes a panel: below the others of a column, or in a tab of this title."""

        def take(widget: QtWidgets.QWidget) -> None:
            part = _Part(widget, column, tab, grows)
            self._parts.append(part)
            self._to_column(part)

        return take

    def _to_column(self, part: _Part) -> None:
        if part.column == "left":
            self.left.add(part.widget)
        else:
            (self.middle if part.column == "middle" else self.right).addWidget(part.widget)

    # -- narrow and wide -----------------------------------------------------------------

    def fit(self, *, anew: bool = False) -> bool:
        """Show columns where there is room for them, else tabs; True if that has changed.

        Parameters
        ----------
        anew
            The size of the text has changed, and with it the room that the columns need.
        """
        if not self._window.isVisible():
            return False  # it has no size of its own yet
        was = self.is_narrow
        if anew and self.is_narrow:
            self._show_columns()
        if not self.is_narrow:
            self._needed = self._room_of_columns()
        room, needed = self._window.size(), self._needed
        is_narrow = needed.width() > room.width() or needed.height() > room.height()
        if is_narrow and not self.is_narrow:
            self._show_tabs()
        elif not is_narrow and self.is_narrow:
            self._show_columns()
        if not is_narrow:
            self._share_out()
        directions = QtWidgets.QBoxLayout.Direction
        self._line.setDirection(directions.TopToBottom if is_narrow else directions.LeftToRight)
        self._line.setSpacing(2 if is_narrow else 16)
        return was != self.is_narrow

    def _room_of_columns(self) -> QtCore.QSize:
        """Return the least size of a window that shows its columns."""
        needed = self.columns.minimumSizeHint()
        width, height = self._window.width() - 2 * MARGIN, needed.height()
        for k in range(self._rows.count()):
            item = self._rows.itemAt(k)
            if item is None or item.isEmpty() or item.widget() is self.columns:
                continue
            lines = item.hasHeightForWidth()
            least = item.minimumHeightForWidth(width) if lines else item.minimumSize().height()
            height += least + _SPACING
        return QtCore.QSize(needed.width() + 2 * MARGIN, height + 2 * MARGIN)

    def _show_tabs(self) -> None:
        self._splitters = {
            "columns": self.columns.saveState(), "right": self.right.saveState(),
        }  # fmt: skip
        self.is_narrow = True
        self.on_narrow(True)
        order = ("middle", "left", "right")
        pages: dict[str, QtWidgets.QVBoxLayout] = {}
        for part in sorted(self._parts, key=lambda part: order.index(part.column)):
            if part.tab not in pages:
                pages[part.tab] = self._new_page(part.tab)
            pages[part.tab].addWidget(part.widget, 1 if part.grows else 0)
        for page in pages.values():
            page.addStretch(0)
        self.columns.hide()
        self.tabs.show()

    def _new_page(self, title: str) -> QtWidgets.QVBoxLayout:
        page, inside = QtWidgets.QScrollArea(), QtWidgets.QWidget()
        page.setWidget(inside)
        page.setWidgetResizable(True)
        layout = QtWidgets.QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(_SPACING)
        self.tabs.addTab(page, title)
        return layout

    def _show_columns(self) -> None:
        self.is_narrow = False
        self.on_narrow(False)
        for part in self._parts:
            self._to_column(part)
        while self.tabs.count():
            page = self.tabs.widget(0)
            self.tabs.removeTab(0)
            if page is not None:
                page.deleteLater()
        self.tabs.hide()
        self.columns.show()
        if self._splitters:
            self.columns.restoreState(self._splitters["columns"])
            self.right.restoreState(self._splitters["right"])

    def show_part(self, widget: QtWidgets.QWidget) -> None:
        """Bring the tab of a panel to the front, where there are tabs."""
        for part in self._parts:
            if part.widget is widget and self.is_narrow:
                titles = [self.tabs.tabText(k) for k in range(self.tabs.count())]
                self.tabs.setCurrentIndex(titles.index(part.tab))

    # -- from one start to the next ------------------------------------------------------

    def restore(self, preferences: Preferences) -> None:
        """Share the room as it was when the window was closed last."""
        for name, splitter in (("columns", self.columns), ("right", self.right)):
            state = preferences.bytes(name)
            if state is not None:
                self._is_shared_out = splitter.restoreState(state)

    def save(self, preferences: Preferences) -> None:
        """Remember how the room is shared."""
        now = {"columns": self.columns.saveState(), "right": self.right.saveState()}
        for name, state in (self._splitters if self.is_narrow else now).items():
            preferences.set_bytes(name, state)

    def _share_out(self) -> None:
        """Give each column its share, once the window has its size."""
        if self._is_shared_out:
            return
        self._is_shared_out = True
        width, height = self.columns.width(), self.columns.height()
        self.columns.setSizes([width * share // 100 for share in _COLUMNS])
        self.right.setSizes([height * share // 100 for share in _ROWS])
