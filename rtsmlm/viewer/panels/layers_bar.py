"""Layers bar: which channels are shown, and what networks predict, laid over the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rtsmlm.protocols import ImageLayer, Quantity
from rtsmlm.render.blend import LayerShown, color_of
from rtsmlm.render.rgb import CHANNEL_COLORS
from rtsmlm.viewer.widgets.controls import label, tick
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

_OPACITY = 60
_TIPS: dict[Quantity, str] = {
    "prediction": "Lay the image that the network {} predicts over the rows; these are no "
    "localizations (no unit).",
    "uncertainty": "Lay over it how far what the network {} predicts depends on which data came: "
    "the standard deviation of each pixel,\nas bright as the prediction where nothing is sure "
    "(no unit).",
}


class LayersBar(QtWidgets.QWidget):
    """A box for each channel, and a box with a slider for each prediction and its uncertainty."""

    channels_changed = QtCore.Signal()
    predictions_changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self.channels: dict[int, QtWidgets.QCheckBox] = {}
        self.predictions: dict[str, tuple[QtWidgets.QCheckBox, QtWidgets.QSlider]] = {}
        self._names: list[str] = []
        self._flow = FlowLayout(self, across=8)
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.hide()

    @property
    def why_empty(self) -> str | None:
        """Why there is nothing to choose; None where there is."""
        if len(self.channels) > 1 or self.predictions:
            return None
        return "this run has one channel, and no image that a network predicts"

    def clear(self) -> None:
        """Forget all layers, for another run."""
        while (item := self._flow.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.channels.clear()
        self.predictions.clear()
        self._names.clear()

    # -- channels --------------------------------------------------------------------------

    def add_channels(self, seen: Sequence[int], name_of: Callable[[int], str]) -> None:
        """Offer channels that have rows, by name; those that are there already but once."""
        for channel in seen:
            if channel in self.channels:
                continue
            name = name_of(channel)
            made = tick(name, f"Show the localizations of channel {channel} ({name}) in its "
                        "colour (no unit).")  # fmt: skip
            made.setChecked(True)
            made.setIcon(_swatch(CHANNEL_COLORS[channel % len(CHANNEL_COLORS)] * 255))
            made.toggled.connect(self.channels_changed)
            self.channels[channel] = made
            self._flow.addWidget(made)

    @property
    def hidden_channels(self) -> tuple[int, ...]:
        """Channels that are off."""
        return tuple(sorted(k for k, box in self.channels.items() if not box.isChecked()))

    def show_channels(self) -> None:
        """Switch all channels on."""
        for box in self.channels.values():
            box.setChecked(True)

    # -- predictions -----------------------------------------------------------------------

    def add_predictions(self, layers: Sequence[ImageLayer]) -> None:
        """Offer images, those that are there already but once, off until chosen."""
        for layer in layers:
            if layer.key in self.predictions:
                continue
            if layer.quantity == "prediction":
                self._names.append(layer.name)
            made = tick(f"{layer.quantity}: {layer.name}", _TIPS[layer.quantity].format(layer.name))
            made.setIcon(_swatch(np.array(color_of(layer, self._names))))
            opacity = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
            opacity.setRange(5, 100)
            opacity.setValue(_OPACITY)
            opacity.setFixedWidth(80)
            opacity.setToolTip(f"Opacity of the {layer.quantity} of {layer.name} in percent.")
            group = QtWidgets.QWidget()
            row = QtWidgets.QHBoxLayout(group)
            row.setContentsMargins(0, 0, 0, 0)
            for widget in (made, label("opacity", "dim"), opacity):
                row.addWidget(widget)
            made.toggled.connect(self.predictions_changed)
            opacity.valueChanged.connect(self.predictions_changed)
            self.predictions[layer.key] = (made, opacity)
            self._flow.addWidget(group)

    @property
    def shown(self) -> tuple[LayerShown, ...]:
        """Layers that are on."""
        return tuple(
            LayerShown(key, opacity.value() / 100)
            for key, (box, opacity) in self.predictions.items()
            if box.isChecked()
        )


def _swatch(color: np.ndarray) -> QtGui.QIcon:
    """Return a small square of a colour, 0 to 255."""
    pixmap = QtGui.QPixmap(12, 12)
    pixmap.fill(QtGui.QColor(*(round(float(part)) for part in color)))
    return QtGui.QIcon(pixmap)
