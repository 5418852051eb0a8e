"""Filter chips: what hides rows now, each with a cross that takes it away."""

from __future__ import annotations

from collections.abc import Mapping

from rtsmlm.viewer.widgets.controls import button
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets


class FilterChips(QtWidgets.QWidget):
    """A button for each limit; hidden where there is none."""

    removed = QtCore.Signal(str)
    """Name of the limit that the user takes away."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.chips: dict[str, QtWidgets.QPushButton] = {}
        self._flow = FlowLayout(self)
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        policy.setVerticalPolicy(QtWidgets.QSizePolicy.Policy.Fixed)
        self.setSizePolicy(policy)
        self.hide()

    def show_texts(self, texts: Mapping[str, str]) -> None:
        """Show a chip for each text, by the name of its limit."""
        for name in [name for name in self.chips if name not in texts]:
            chip = self.chips.pop(name)
            self._flow.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        for name, text in texts.items():
            if name not in self.chips:
                made = button("", "Localizations beyond this are hidden (unit: in the text); click "
                              "to show them again.")  # fmt: skip
                made.setObjectName("chip")
                made.clicked.connect(lambda _=False, name=name: self.removed.emit(name))
                self.chips[name] = made
                self._flow.addWidget(made)
            self.chips[name].setText(f"{text}  ✕")
        self.setVisible(bool(texts))
        self._fit()

    def _fit(self) -> None:
        """Be as high as the lines need that the width makes of the chips."""
        height = self._flow.heightForWidth(self.width())
        if height != self.minimumHeight() or height != self.maximumHeight():
            self.setFixedHeight(height)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        """Take the height of another width."""
        super().resizeEvent(event)
        self._fit()
