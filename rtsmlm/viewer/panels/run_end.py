"""Run end: what became of the frames of a run that is over, with its report and its folder."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.controls import allow, button
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets
from rtsmlm.viewer.widgets.theme import DARK, Theme

_ELSEWHERE = "the run folder is not known here; it is where the run was made"
_ROW_LETTERS = 70
_NOT_YET = "it is written when the last frames are finished"


class RunEnd(Panel, QtWidgets.QFrame):
    """A row that is there only once a run is over."""

    section = "the-end-of-a-run"

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.folder: Path | None = None
        """Of the run that is shown; None where it is on another machine, or not known."""
        self._theme = DARK
        self._totals: LedgerTotals | None = None
        self._is_over = False
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.text.setToolTip("What became of the frames of this run, in frames.")
        self.report = button("Report", "Open the report of the run in a browser (no unit).")
        self.open_folder = button("Folder", "Open the folder of the run (no unit).")
        self._row = QtWidgets.QBoxLayout(QtWidgets.QBoxLayout.Direction.LeftToRight, self)
        self._row.setContentsMargins(10, 4, 6, 4)
        buttons = QtWidgets.QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.report)
        buttons.addWidget(self.open_folder)
        buttons.addWidget(HelpMark(self.section))
        self._row.addWidget(self.text, 1)
        self._row.addLayout(buttons)
        self.report.clicked.connect(lambda: self._open("report"))
        self.open_folder.clicked.connect(lambda: self._open("folder"))
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self._show()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        """Put the buttons beside the sentence, or below it where there is no room."""
        super().resizeEvent(event)
        directions = QtWidgets.QBoxLayout.Direction
        is_narrow = self.width() < _ROW_LETTERS * self.fontMetrics().averageCharWidth()
        self._row.setDirection(directions.TopToBottom if is_narrow else directions.LeftToRight)

    def show_update(self, update: RunUpdate) -> None:
        """Show the end of the run, and hide it when another begins."""
        if update.begins:
            self._totals = None
        if update.folder is not None:
            self.folder = update.folder
        if update.status is not None:
            self._totals = update.status.totals
        is_over = update.connection == "ended" and self._totals is not None
        if is_over != self._is_over or (is_over and update.status is not None):
            self._is_over = is_over
            self._show()

    def refresh(self) -> None:
        """Offer the report as soon as it is written."""
        if self._is_over:
            self._allow()

    @property
    def _is_unfinished(self) -> bool:
        """True while the last files of the run are still to be written."""
        return self.folder is not None and not RunFolder(self.folder).report.is_file()

    def _allow(self) -> None:
        folder = self.folder
        if folder is None or not folder.is_dir():
            allow([self.report, self.open_folder], _ELSEWHERE)
            return
        allow([self.open_folder], None)
        allow([self.report], None if RunFolder(folder).report.is_file() else _NOT_YET)

    def _show(self) -> None:
        self.setVisible(self._is_over)
        if not self._is_over or self._totals is None:
            return
        is_good, sentence = verdict(self._totals)
        sign, color = ("●", "green") if is_good else ("▲", "amber")
        if self._totals.in_ring and self._is_unfinished:
            sign, color, sentence = "○", "grey", "The last frames are being finished."
        color = self._theme.light(color)
        self.text.setText(f'<span style="color:{color}">{sign}</span> <b>Run over.</b> {sentence}')
        self._allow()

    def _open(self, what: str) -> None:
        if self.folder is not None:
            path = RunFolder(self.folder).report if what == "report" else self.folder
            QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(str(path.absolute())))


def verdict(totals: LedgerTotals) -> tuple[bool, str]:
    """Return whether every frame is accounted for, and what became of them in one sentence."""
    counts = f"{_frames(totals.received)} received, {_number(totals.recorded)} recorded, "
    counts += f"{_number(totals.localized)} localized"
    more = [
        f"{_number(count)} {what}"
        for count, what in (
            (totals.skipped, "not localized"), (totals.lost, "lost before they came here"),
            (totals.in_ring, "not finished"), (totals.other_size, "of another size"),
            (totals.lost_in_cut, "lost when the run was cut"),
        )
        if count
    ]  # fmt: skip
    if not totals.received and not more:
        return False, "No frame came."
    if more:
        return False, f"{counts}; {', '.join(more)}."
    return totals.balances, f"Every frame is accounted for: {counts}."


def _number(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def _frames(count: int) -> str:
    return f"{_number(count)} frame{'' if count == 1 else 's'}"
