"""Messages: the warnings of a run, the newest first."""

from __future__ import annotations

from collections.abc import Sequence

from rtsmlm.viewer.widgets.qt import QtWidgets


class Messages(QtWidgets.QListWidget):
    """A list of sentences."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.texts: tuple[str, ...] = ()
        self.setWordWrap(True)
        self.setSpacing(3)
        self.setToolTip("Warnings and failures of this run, the newest first (no unit).")

    def show_texts(self, texts: Sequence[str]) -> bool:
        """Show warnings in the order in which they came; tell whether any is new."""
        if tuple(texts) == self.texts:
            return False
        self.texts = tuple(texts)
        self.clear()
        self.addItems([f"▲ {text}" for text in reversed(self.texts)])
        return True
