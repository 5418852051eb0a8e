"""Buttons, boxes and lists with a tooltip, and the reason why one cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rtsmlm.viewer.commands import Command
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

Ask = Callable[[Command], object]
"""What is called as `Control.ask`."""

_LEAST_SLIDER_PX = 30
"""In a dock of 300 pixels."""
_TIP = "rtsmlm-tip"
_USUAL_NUMBER = "0000"


def explained(widget: QtWidgets.QWidget, tip: str) -> None:
    """Give a control its tooltip."""
    widget.setProperty(_TIP, tip)
    widget.setToolTip(tip)


def allow(widgets: Iterable[QtWidgets.QWidget], why_not: str | None) -> None:
    """Enable controls, or disable them and explain why in the tooltip."""
    for widget in widgets:
        tip = str(widget.property(_TIP) or "")
        shown = tip if why_not is None else f"{tip}\n\nNot now: {why_not}"
        if widget.toolTip() != shown:
            widget.setToolTip(shown)
        if widget.isEnabled() != (why_not is None):
            widget.setEnabled(why_not is None)


class NumberBox(QtWidgets.QDoubleSpinBox):
    """A box for a number; the wheel changes it only with the focus, and scrolls the page else."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QtCore.QSize:
        """Return the room for four figures or so, not for the highest number that there may be."""
        size = super().sizeHint()
        metrics = self.fontMetrics()
        texts = (f"{_USUAL_NUMBER}{self.suffix()}", self.specialValueText())
        width = max(metrics.horizontalAdvance(text) for text in texts) + round(
            1.25 * metrics.height()
        )
        return QtCore.QSize(min(size.width(), width), size.height())

    def minimumSizeHint(self) -> QtCore.QSize:
        """Return the same: a number is not cut off."""
        return self.sizeHint()

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        """Take the wheel, or leave it to what scrolls."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


def button(text: str, tip: str, *, checkable: bool = False) -> QtWidgets.QPushButton:
    """Return a push button."""
    made = QtWidgets.QPushButton(text)
    made.setCheckable(checkable)
    explained(made, tip)
    return made


def choice(entries: Sequence[tuple[str, str]], tip: str) -> QtWidgets.QComboBox:
    """Return a list to choose from.

    Parameters
    ----------
    entries
        Text and data of each.
    tip
        Tooltip.
    """
    made = QtWidgets.QComboBox()
    for text, data in entries:
        made.addItem(text, data)
    made.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents)
    explained(made, tip)
    return made


def choose(box: QtWidgets.QComboBox, data: str) -> None:
    """Choose an entry by its data; an unknown one changes nothing."""
    found = box.findData(data)
    if found >= 0:
        box.setCurrentIndex(found)


def number(
    limits: tuple[float, float],
    tip: str,
    *,
    decimals: int = 0,
    suffix: str = "",
    step: float = 1.0,
    lowest: str = "",
) -> NumberBox:
    """Return a box for a number, which reports a change only once it is complete.

    Parameters
    ----------
    limits
        Lowest and highest number.
    tip
        Tooltip.
    decimals
        Digits after the point.
    suffix
        Unit, with a blank before it.
    step
        Of one key stroke.
    lowest
        Text shown in place of the lowest number, where that stands for no number.
    """
    made = NumberBox()
    made.setDecimals(decimals)
    made.setRange(*limits)
    made.setSingleStep(step)
    made.setSuffix(suffix)
    made.setSpecialValueText(lowest)
    made.setKeyboardTracking(False)
    explained(made, tip)
    return made


def show_number(box: QtWidgets.QDoubleSpinBox, value: float) -> None:
    """Set a box without reporting a change; one that is being edited is left alone."""
    if not box.hasFocus() and box.value() != round(value, box.decimals()):
        was = box.blockSignals(True)
        box.setValue(value)
        box.blockSignals(was)


def tick(text: str, tip: str) -> QtWidgets.QCheckBox:
    """Return a box to tick."""
    made = QtWidgets.QCheckBox(text)
    explained(made, tip)
    return made


def label(text: str = "", name: str = "", tip: str = "") -> QtWidgets.QLabel:
    """Return a label; `name` chooses its style in the style sheet."""
    made = QtWidgets.QLabel(text)
    made.setObjectName(name)
    if tip:
        explained(made, tip)
    return made


def panel_layout(frame: QtWidgets.QFrame) -> QtWidgets.QVBoxLayout:
    """Give a frame a ground of its own and return its layout."""
    frame.setObjectName("panel")
    layout = QtWidgets.QVBoxLayout(frame)
    layout.setContentsMargins(8, 6, 8, 8)
    layout.setSpacing(5)
    return layout


def show_as(made: QtWidgets.QLabel, name: str, text: str) -> None:
    """Show a text in another style, and let the label take the size that it needs then."""
    if made.objectName() != name:
        made.setObjectName(name)
        made.style().unpolish(made)
        made.style().polish(made)
        # Only then does a label learn of its new margins.
        change = QtCore.QEvent(QtCore.QEvent.Type.StyleChange)
        QtWidgets.QApplication.sendEvent(made, change)
        made.setText("")
    if made.text() != text:
        made.setText(text)


def add_shortcuts(window: QtWidgets.QWidget, keys: Mapping[str, Callable[[], object]]) -> None:
    """Let keys act while the focus is in a window."""
    for key, act in keys.items():
        shortcut = QtGui.QShortcut(QtGui.QKeySequence(key), window)
        shortcut.setContext(QtCore.Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(act)


def slider(low: int, high: int, tip: str) -> QtWidgets.QSlider:
    """Return a horizontal slider."""
    made = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
    made.setRange(low, high)
    made.setMinimumWidth(_LEAST_SLIDER_PX)
    explained(made, tip)
    return made
