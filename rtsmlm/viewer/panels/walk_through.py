"""Walk-through: five steps on the simulator, shown when the window opens for the first time."""

from __future__ import annotations

from rtsmlm.viewer.widgets.controls import button, label
from rtsmlm.viewer.widgets.laser_key import KEYS
from rtsmlm.viewer.widgets.overlay import Overlay
from rtsmlm.viewer.widgets.qt import QtWidgets

STEPS: tuple[tuple[str, str], ...] = (
    (
        "1 of 5 · What the camera sees",
        "On the left is the newest camera frame, of a simulated microscope until you configure "
        "your own. Every ring is a molecule found in this frame.",
    ),
    (
        "2 of 5 · The image that grows",
        "In the middle are all localizations so far. Turn the wheel to zoom, drag to pan, double "
        "click to see the whole field. Choose Depth z, Time or Photons to give them colours.",
    ),
    (
        "3 of 5 · The loop",
        "On the right: the density of molecules, with the target as a green band, and the laser "
        "that holds it there. Change the target on the left and the laser follows.",
    ),
    (
        "4 of 5 · Keep only what is good",
        "Tick Precision or Photons below the curves and drag the sides of the range. Nothing is "
        "deleted, and new rows never move your range.",
    ),
    (
        "5 of 5 · Safety and bookkeeping",
        f"{KEYS} switches the lasers off from anywhere. The lights at the bottom account for every "
        "frame: received, recorded, localized, skipped, lost.",
    ),
)


class WalkThrough(Overlay):
    """One step at a time."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.step = 0
        self.title = label("", "title")
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.back = button("Back", "The step before (no unit).")
        self.next = button("Next", "The next step (no unit).")
        self.skip = button("Skip", "Close this; Help shows it again (no unit).")
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.skip)
        buttons.addStretch(1)
        buttons.addWidget(self.back)
        buttons.addWidget(self.next)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        layout.addWidget(self.title)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        self.back.clicked.connect(lambda: self._go(self.step - 1))
        self.next.clicked.connect(lambda: self._go(self.step + 1))
        self.skip.clicked.connect(self.hide)

    def begin(self) -> None:
        """Show the first step."""
        self._go(0)
        self.bring_up()

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
        self.place()
