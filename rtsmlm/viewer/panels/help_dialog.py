"""Help: one section at a time of the pages that are installed, and the way to the tours."""

from __future__ import annotations

from rtsmlm.viewer.help_pages import FIRST, PAGES, sections
from rtsmlm.viewer.tours import TOURS
from rtsmlm.viewer.widgets.controls import allow, button, choice, choose
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets
from rtsmlm.viewer.widgets.theme import DARK, Theme

_LETTERS, _LINES = 96, 40
_APART, _INSIDE = 0.7, 0.25
"""From one paragraph to the next, and from one entry of a list to the next, in heights of text."""
_NOTHING = "this is the first section that was opened"
_KINDS = dict(zip(PAGES, ("Window", "Theory"), strict=True))


class HelpDialog(QtWidgets.QDialog):
    """Sections to choose and to follow by links; the window stays usable meanwhile."""

    tour_asked = QtCore.Signal(str)
    """Name of the tour."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("rtsmlm: help")
        self.setModal(False)
        self._theme = DARK
        self._before: list[str] = []
        self.section = ""
        """Anchor of the one that is shown."""
        entries = [(f"{_KINDS[s.page]}: {s.title}", s.anchor) for s in sections().values()]
        self.contents = choice(entries, "Section of the help (no unit).")
        self.contents.setMinimumContentsLength(12)
        self.contents.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.browser = QtWidgets.QTextBrowser()
        self.browser.setOpenLinks(False)
        self.browser.setToolTip("")
        self.back = button("Back", "The section before (no unit).")
        self.tours = button("Tours", "Some minutes each on the simulated microscope (no unit).")
        menu = QtWidgets.QMenu(self.tours)
        for tour in TOURS.values():
            menu.addAction(tour.title).setData(tour.name)
        menu.triggered.connect(lambda action: self._ask_for_tour(str(action.data())))
        self.tours.setMenu(menu)
        close = button("Close", "Close this help (Esc; no unit).")
        self._lay_out(close)
        self.contents.activated.connect(lambda: self.open_section(self.contents.currentData()))
        self.browser.anchorClicked.connect(self._follow)
        self.back.clicked.connect(self._go_back)
        close.clicked.connect(self.close)

    def _lay_out(self, close: QtWidgets.QPushButton) -> None:
        above, below = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        above.addWidget(self.back)
        above.addWidget(self.contents, 1)
        below.addWidget(self.tours)
        below.addStretch(1)
        below.addWidget(close)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(above)
        layout.addWidget(self.browser, 1)
        layout.addLayout(below)

    def show_section(self, anchor: str = FIRST) -> None:
        """Show a section, and the dialog if it is hidden; of an unknown one the first.

        Parameters
        ----------
        anchor
            As in `help_pages.sections`.
        """
        self.open_section(anchor)
        if not self.isVisible():
            self._take_size()
        self.show()
        self.raise_()

    def open_section(self, anchor: str) -> None:
        """Show a section, and remember the one before."""
        if self.section and anchor != self.section:
            self._before.append(self.section)
        self._show(anchor)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        if self.section:
            self._show(self.section)

    def _show(self, anchor: str) -> None:
        section = sections().get(anchor) or sections()[FIRST]
        self.section = section.anchor
        choose(self.contents, section.anchor)
        allow([self.back], None if self._before else _NOTHING)
        self.browser.setMarkdown(f"## {section.title}\n\n{section.text}")
        self._set_apart()
        self._color_links()
        self.browser.moveCursor(QtGui.QTextCursor.MoveOperation.Start)

    def _set_apart(self) -> None:
        """Set paragraphs apart, which Qt leaves to the text."""
        height = self.browser.fontMetrics().height()
        cursor = QtGui.QTextCursor(self.browser.document())
        block = self.browser.document().begin()
        while block.isValid():
            following = block.next()
            is_inside = block.textList() is not None and following.textList() is not None
            is_code = block.blockFormat().nonBreakableLines()
            goes_on = is_code and following.blockFormat().nonBreakableLines()
            cursor.setPosition(block.position())
            if cursor.currentTable() is None:
                form = block.blockFormat()
                form.setBottomMargin(0 if goes_on else height * (_INSIDE if is_inside else _APART))
                cursor.setBlockFormat(form)
            block = following

    def _color_links(self) -> None:
        """Give links and code the colours of the theme; Qt takes those of the system."""
        document = self.browser.document()
        cursor = QtGui.QTextCursor(document)
        block = document.begin()
        while block.isValid():
            at = block.begin()
            while not at.atEnd():
                fragment = at.fragment()
                wanted = fragment.charFormat()
                if wanted.isAnchor():
                    wanted.setForeground(QtGui.QColor(self._theme.accent))
                elif wanted.fontFixedPitch():
                    wanted.setForeground(QtGui.QColor(self._theme.blue))
                if wanted != fragment.charFormat():
                    cursor.setPosition(fragment.position())
                    end = fragment.position() + fragment.length()
                    cursor.setPosition(end, QtGui.QTextCursor.MoveMode.KeepAnchor)
                    cursor.setCharFormat(wanted)
                at += 1
            block = block.next()

    def _follow(self, url: QtCore.QUrl) -> None:
        if url.scheme():
            QtGui.QDesktopServices.openUrl(url)
        elif url.fragment() in sections():
            self.open_section(url.fragment())

    def _go_back(self) -> None:
        if self._before:
            self._show(self._before.pop())

    def _ask_for_tour(self, name: str) -> None:
        self.close()
        self.tour_asked.emit(name)

    def _take_size(self) -> None:
        """Take a size for reading, within the screen."""
        metrics = self.browser.fontMetrics()
        room = self.screen().availableGeometry()
        width, height = _LETTERS * metrics.averageCharWidth(), _LINES * metrics.lineSpacing()
        self.resize(min(width, room.width() - 40), min(height, room.height() - 80))
