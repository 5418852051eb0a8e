"""Slab bar: from which angle the sample is seen, and how thick a slab of it."""

from __future__ import annotations

from rtsmlm.render.projection import Projection
from rtsmlm.viewer.widgets.canvas import Canvas
from rtsmlm.viewer.widgets.controls import button, label, number, tick
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

Qt = QtCore.Qt
_DEG_PER_POINT = 0.5
_SLAB_NM = 300.0


class SlabBar(QtWidgets.QWidget):
    """Angles, slab and pivot; while it is shown, the right mouse button tilts the picture.

    Parameters
    ----------
    canvas
        Its middle is the pivot.
    """

    changed = QtCore.Signal()

    def __init__(self, canvas: Canvas) -> None:
        super().__init__()
        self._canvas = canvas
        self._pivot_nm = (0.0, 0.0, 0.0)
        self._drag: QtCore.QPointF | None = None
        self._make()
        flow = FlowLayout(self, across=6)
        self._groups = (
            (label("tilt", "dim"), self.tilt_x, self.tilt_y),
            (self.is_slab, self.thickness),
            (label("at", "dim"), self.offset),
            (self.from_side, self.reset),
        )
        for group in self._groups:
            flow.addWidget(_in_a_row(group))
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        for box in (self.tilt_x, self.tilt_y, self.thickness, self.offset):
            box.valueChanged.connect(self._change)
        self.is_slab.toggled.connect(self._change)
        self.reset.clicked.connect(self.show_flat)
        self.from_side.clicked.connect(self.show_from_side)
        canvas.mouse_tools.insert(0, self)
        self.hide()

    def _make(self) -> None:
        drag = "or drag with the right mouse button (degrees; no unit)."
        self.tilt_x = number((-180, 180), f"Tilt about the x axis: at 90° the picture shows x and "
                             f"z. Type it, {drag}", suffix="°", step=5)  # fmt: skip
        self.tilt_y = number((-180, 180), f"Tilt about the y axis: at 90° the picture shows z and "
                             f"y. Type it, {drag}", suffix="°", step=5)  # fmt: skip
        self.tilt_x.setPrefix("x ")
        self.tilt_y.setPrefix("y ")
        for box in (self.tilt_x, self.tilt_y):
            box.setWrapping(True)
        self.is_slab = tick("slab", "Show only a slab of the sample, across the line of "
                            "sight (nm).")  # fmt: skip
        self.thickness = number((1, 100_000), "Thickness of the slab in nm.", suffix=" nm", step=50)
        self.thickness.setValue(_SLAB_NM)
        self.offset = number((-50_000, 50_000), "Middle of the slab along the sight, in nm "
                             "behind the pivot.", suffix=" nm", step=50)  # fmt: skip
        self.from_side = button("From the side", "Show x and z of a slab around the middle of the "
                                "picture (nm).")  # fmt: skip
        self.reset = button("Flat", "Show the sample from above again, all of it (no unit).")

    # -- what is asked for -----------------------------------------------------------------

    @property
    def projection(self) -> Projection:
        """From where the sample is seen; flat while the bar is hidden."""
        if self.isHidden():
            return Projection()
        return Projection(
            pivot_nm=self._pivot_nm,
            tilt_x_deg=self.tilt_x.value(),
            tilt_y_deg=self.tilt_y.value(),
            slab_nm=self.thickness.value() if self.is_slab.isChecked() else None,
            offset_nm=self.offset.value() if self.is_slab.isChecked() else 0.0,
        )

    def _take_pivot(self) -> None:
        if self._canvas.viewport is not None:
            self._pivot_nm = (self._canvas.viewport.x_nm, self._canvas.viewport.y_nm, 0.0)

    def _change(self) -> None:
        for box in (self.thickness, self.offset):
            box.setEnabled(self.is_slab.isChecked())
        self.changed.emit()

    def open(self) -> None:
        """Show it, still flat; the middle of what is seen becomes the pivot."""
        self._take_pivot()
        self.show()
        self._change()

    def close_bar(self) -> None:
        """Hide it, and with it every tilt: nothing hides rows without being seen."""
        self.hide()
        self.show_flat()

    def show_flat(self) -> None:
        """Show the sample from above, all of it."""
        self._take_pivot()
        self._set(0.0, 0.0, is_slab=False)

    def show_from_side(self) -> None:
        """Show x and z of a slab around the middle of the picture."""
        if self.projection.is_flat:
            self._take_pivot()
        self._set(90.0, 0.0, is_slab=True)

    def _set(self, tilt_x: float, tilt_y: float, *, is_slab: bool) -> None:
        was = self.blockSignals(True)
        self.tilt_x.setValue(tilt_x)
        self.tilt_y.setValue(tilt_y)
        self.is_slab.setChecked(is_slab)
        self.offset.setValue(0)
        self.blockSignals(was)
        self._change()

    # -- the mouse on the canvas -----------------------------------------------------------

    def on_press(self, event: QtGui.QMouseEvent) -> bool:
        """Begin to tilt with the right button."""
        if self.isHidden() or event.button() != Qt.MouseButton.RightButton:
            return False
        if self.projection.is_flat:
            self._take_pivot()
        self._drag = event.position()
        return True

    def on_move(self, event: QtGui.QMouseEvent) -> bool:
        """Tilt: to the right about y, downwards about x."""
        if self._drag is None:
            return False
        by, self._drag = event.position() - self._drag, event.position()
        was = self.blockSignals(True)
        for box, points in ((self.tilt_y, by.x()), (self.tilt_x, by.y())):
            box.setValue((box.value() + _DEG_PER_POINT * points + 180) % 360 - 180)
        self.blockSignals(was)
        self._change()
        return True

    def on_release(self, _event: QtGui.QMouseEvent) -> bool:
        """End to tilt."""
        was, self._drag = self._drag, None
        return was is not None

    def on_double_click(self, _event: QtGui.QMouseEvent) -> bool:
        """Leave it to the canvas."""
        return False

    def on_key(self, _event: QtGui.QKeyEvent) -> bool:
        """Leave it to the canvas."""
        return False


def _in_a_row(widgets: tuple[QtWidgets.QWidget, ...]) -> QtWidgets.QWidget:
    """Return widgets that stay together in one line."""
    group = QtWidgets.QWidget()
    row = QtWidgets.QHBoxLayout(group)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    return group
