"""Walk-through: five steps on the simulator, shown when the window opens for the first time."""

from __future__ import annotations

from rtsmlm.viewer.widgets.controls import button, label
from rtsmlm.viewer.widgets.laser_key import KEYS
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

STEPS: tuple[tuple[str, str], ...] = (
    (
        "1 of 5 · What the camera sees",
        "Camera: the newest frame, of a simulated microscope until you configure your own. Every "
        "ring is a molecule found in this frame.",
    ),
    (
        "2 of 5 · The image that grows",
        "Image: all localizations so far. Turn the wheel to zoom, drag to pan, double click to "
        "see the whole field. Choose Depth z, Time or Photons to give them colours.",
    ),
    (
        "3 of 5 · The loop",
        "Laser: the density of molecules is held at the target by the power of the laser. Change "
        "the target, and the laser follows; the curves show both.",
    ),
    (
        "4 of 5 · Keep only what is good",
        "Filters: tick Precision or Photons and choose the range. Nothing is deleted, and new "
        "rows never move your range.",
    ),
    (
        "5 of 5 · Safety and bookkeeping",
        f"{KEYS} switches the lasers off from anywhere. The lights at the bottom account for every "
        "frame: received, recorded, localized, skipped, lost.",
    ),
)


class WalkThrough(QtWidgets.QFrame):
    """One step at a time, in a row of its own: it covers nothing of what it explains."""

    step_shown = QtCore.Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("walk")
        self.step = 0
        self.title = label("", "title")
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.back = button("Back", "The step before (no unit).")
        self.next = button("Next", "The next step (no unit).")
        self.skip = button("Skip", "Close this; Help shows it again (no unit).")
        first = QtWidgets.QHBoxLayout()
        first.addWidget(self.title, 1)
        for widget in (self.skip, self.back, self.next):
            first.addWidget(widget)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(12, 6, 12, 8)
        layout.setSpacing(4)
        layout.addLayout(first)
        layout.addWidget(self.text)
        self.back.clicked.connect(lambda: self._go(self.step - 1))
        self.next.clicked.connect(lambda: self._go(self.step + 1))
        self.skip.clicked.connect(self.hide)
        self.hide()

    def begin(self) -> None:
        """Show the first step."""
        self._go(0)
        self.show()

    def _go(self, step: int) -> None:
        if step >= len(STEPS):
            self.hide()
            return
        self.step = max(step, 0)
        title, text = STEPS[self.step]
        self.title.setText(title)
        self.text.setText(text)
        self.back.setEnabled(self.step > 0)
        self.next.setText("Done" if self.step == len(STEPS) - 1 else "Next")
        self.step_shown.emit(self.step)
