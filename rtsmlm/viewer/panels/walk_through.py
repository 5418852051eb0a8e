"""Walk-through: a tour in a row of its own, a step at a time; it covers nothing it explains."""

from __future__ import annotations

from rtsmlm.viewer.tours import FIRST_RUN, Step, Tour
from rtsmlm.viewer.widgets.controls import allow, button, label
from rtsmlm.viewer.widgets.elided_label import ElidedLabel
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

_BUSY = "a run goes on, and the simulator would take cores from it; stop it first"


class WalkThrough(QtWidgets.QFrame):
    """Title, text and buttons of a step, and the command that starts the run of the tour."""

    step_shown = QtCore.Signal(object)
    """The `Step` that is explained; None when the tour is over."""
    start_asked = QtCore.Signal(object)
    """The `Tour` whose run is to start in a window of its own."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("walk")
        self.tour, self.step = FIRST_RUN, 0
        self.title = ElidedLabel("Step of the tour.", bold=True)
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.command = label("", "dim", "What starts the simulated run of this tour (no unit).")
        self.command.setWordWrap(True)
        self.command.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy = button("Copy", "Copy the command, to paste it into a terminal (no unit).")
        self.start = button("Start it", "Start this simulated run in a window of its own, where "
                            "the tour goes on (no unit).")  # fmt: skip
        self.back = button("Back", "The step before (no unit).")
        self.next = button("Next", "The next step (no unit).")
        self.skip = button("Close", "Close the tour; Help has it again (no unit).")
        first, last = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        first.addWidget(self.title, 1)
        for made in (self.skip, self.back, self.next):
            first.addWidget(made)
        last.addWidget(self.command, 1)
        last.addWidget(self.copy)
        last.addWidget(self.start)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(12, 6, 12, 8)
        layout.setSpacing(4)
        layout.addLayout(first)
        layout.addWidget(self.text)
        layout.addLayout(last)
        self.back.clicked.connect(lambda: self._go(self.step - 1))
        self.next.clicked.connect(lambda: self._go(self.step + 1))
        self.skip.clicked.connect(self.end)
        self.copy.clicked.connect(self._copy)
        self.start.clicked.connect(lambda: self.start_asked.emit(self.tour))
        self.hide()

    def begin(self, tour: Tour = FIRST_RUN, *, is_running: bool = True) -> None:
        """Show the first step.

        Parameters
        ----------
        tour
            One of `TOURS`.
        is_running
            Whether the window shows the run of this tour already; otherwise its command is shown.
        """
        self.tour = tour
        self.command.setText("" if is_running else f"This tour needs: {tour.command}")
        for widget in (self.command, self.copy, self.start):
            widget.setVisible(not is_running)
        self._go(0)
        self.show()

    def allow_start(self, *, is_live: bool) -> None:
        """Offer to start the run of the tour, unless a run goes on."""
        allow([self.start], _BUSY if is_live else None)

    def end(self) -> None:
        """Close the tour."""
        self.hide()
        self.step_shown.emit(None)

    def _go(self, step: int) -> None:
        steps = self.tour.steps
        if step >= len(steps):
            self.end()
            return
        self.step = max(step, 0)
        shown: Step = steps[self.step]
        self.title.set_text(f"{self.tour.title}, {self.step + 1} of {len(steps)}  ·  {shown.title}")
        self.text.setText(shown.text)
        self.back.setEnabled(self.step > 0)
        self.next.setText("Done" if self.step == len(steps) - 1 else "Next")
        self.step_shown.emit(shown)

    def _copy(self) -> None:
        clipboard = QtGui.QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.tour.command)
