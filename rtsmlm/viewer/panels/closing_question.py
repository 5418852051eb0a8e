"""ClosingQuestion: what becomes of a run whose lasers are armed when its window is closed."""

from __future__ import annotations

from rtsmlm.viewer.widgets.controls import button, label
from rtsmlm.viewer.widgets.overlay import Overlay
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

TITLE = "The lasers of this run are armed. Close the window?"
_STOP = (
    "<b>Stop the run</b>: the lasers go off, the camera stops, the files are closed in order, "
    "then the window closes."
)
_KEEP = (
    "<b>Keep it running</b>: the window closes, and the loop goes on steering the lasers "
    "unattended. Ctrl-C in the terminal of the run ends it; <tt>rtsmlm lasers-off</tt> in any "
    "terminal of this computer switches the lasers off."
)


class ClosingQuestion(Overlay):
    """Asks over the window, which stays usable: lasers off works meanwhile.

    Parameters
    ----------
    parent
        The window.
    """

    answered = QtCore.Signal(bool)
    """The window is to close: True with the run, False without it."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent, is_central=True)
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.stop = button("Stop the run", "Lasers off, camera stops, files close; then the "
                           "window closes (no unit).")  # fmt: skip
        self.keep = button("Keep it running", "Close the window only: the lasers are steered on, "
                           "unattended (no unit).")  # fmt: skip
        self.cancel = button("Cancel", "Leave window and run as they are (Esc; no unit).")
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.cancel)
        buttons.addStretch(1)
        buttons.addWidget(self.keep)
        buttons.addWidget(self.stop)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(10)
        layout.addWidget(label(TITLE, "title"))
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        self.stop.clicked.connect(lambda: self._answer(True))
        self.keep.clicked.connect(lambda: self._answer(False))
        self.cancel.clicked.connect(self.hide)
        # Only while it is shown, and then wherever the focus is.
        escape = QtGui.QShortcut(QtGui.QKeySequence("Esc"), self)
        escape.activated.connect(self.hide)

    def ask(self, *, may_keep: bool) -> None:
        """Show it; the key that is pressed by habit changes nothing, as Cancel has the focus.

        Parameters
        ----------
        may_keep
            Offer to keep the run; only where it can go on without the window.
        """
        self.text.setText("<br><br>".join([_STOP, _KEEP] if may_keep else [_STOP]))
        self.keep.setVisible(may_keep)
        self.bring_up()
        self.cancel.setFocus()

    def _answer(self, stop: bool) -> None:
        self.hide()
        self.answered.emit(stop)
