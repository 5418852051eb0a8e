"""Time bar: which frames of the run are shown, and their film."""

from __future__ import annotations

from rtsmlm.viewer.widgets.controls import button, explained, label, number
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets
from rtsmlm.viewer.widgets.range_slider import RangeSlider
from rtsmlm.viewer.widgets.theme import Theme

STEP_MS = 120
"""From one picture of the film to the next."""
_STEPS_OF_PART = 8
"""Pictures until the part has moved on by its own length."""
_PART_OF_WHOLE = 10
"""The film of a whole run shows a tenth of it at a time."""


class TimeBar(QtWidgets.QWidget):
    """A slider with two handles, both as numbers, and a button that plays.

    It only chooses the range: the filter of the histograms has it, so that it stands there and on
    a chip, too.
    """

    changed = QtCore.Signal()
    """The user, or the film, has chosen other frames."""

    def __init__(self) -> None:
        super().__init__()
        self.play = button(
            "Play", "Show the run as a film: the part moves on by an eighth of its frames at a "
            "time. Space does the same.", checkable=True,
        )  # fmt: skip
        self.slider = RangeSlider()
        explained(
            self.slider,
            "First and last of the frames that are shown. Drag a handle, or the part between "
            "them; arrow keys move it.",
        )
        self.low = number((0, 0), "First frame that is shown.")
        self.high = number((0, 0), "Last frame that is shown.")
        self.whole = button("All", "Show all frames again.")
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(STEP_MS)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.play)
        row.addWidget(self.slider, 1)
        for widget in (self.low, label("–", "dim"), self.high, self.whole):
            row.addWidget(widget)
        self._timer.timeout.connect(self.step)
        self.play.toggled.connect(self._play)
        self.slider.moved.connect(self._take_slider)
        self.whole.clicked.connect(self.show_all)
        for box in (self.low, self.high):
            box.valueChanged.connect(self._take_numbers)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self.slider.set_colors(theme.accent, theme.line)

    # -- the run ---------------------------------------------------------------------------

    def show_frames(self, last: int, sides: tuple[float | None, float | None] | None) -> None:
        """Show how long the run is, and which part of it the filter shows.

        Parameters
        ----------
        last
            Newest frame with a localization.
        sides
            First and last frame shown; None where a side is open.
        """
        low, high = (None, None) if sides is None else sides
        self.slider.set_range(
            round(low or 0), last if high is None else round(min(high, last)), last
        )
        self._show_numbers()

    @property
    def sides(self) -> tuple[float, float] | None:
        """First and last frame for the filter; None shows all, also those that still come."""
        if self.slider.is_whole:
            return None
        return float(self.slider.low), float(self.slider.high)

    def show_all(self) -> None:
        """Show all frames."""
        self.play.setChecked(False)
        self.slider.set_range(0, self.slider.last, self.slider.last)
        self._report()

    def _take_slider(self) -> None:
        self.play.setChecked(False)
        self._report()

    def _take_numbers(self) -> None:
        low, high = round(self.low.value()), round(self.high.value())
        self.slider.set_range(min(low, high), max(low, high), self.slider.last)
        self._take_slider()

    def _report(self) -> None:
        self._show_numbers()
        self.changed.emit()

    def _show_numbers(self) -> None:
        for box, value in ((self.low, self.slider.low), (self.high, self.slider.high)):
            was = box.blockSignals(True)
            if box.maximum() != self.slider.last:
                box.setMaximum(self.slider.last)
            if not box.hasFocus():
                box.setValue(value)
            box.blockSignals(was)

    # -- the film --------------------------------------------------------------------------

    def _play(self, on: bool) -> None:
        self.play.setText("Pause" if on else "Play")
        if not on:
            self._timer.stop()
            return
        last = self.slider.last
        if self.slider.is_whole:
            self.slider.set_range(0, max(last // _PART_OF_WHOLE, 1), last)
        elif self.slider.high == last:
            self.slider.shift(-last)
        self._report()
        self._timer.start()

    def step(self) -> None:
        """Show the next part; the film ends with the run."""
        self.slider.shift(max((self.slider.high - self.slider.low) // _STEPS_OF_PART, 1))
        self._report()
        if self.slider.high == self.slider.last:
            self.play.setChecked(False)

    def hideEvent(self, event: object) -> None:
        """Stop the film where it cannot be seen to go on."""
        self.play.setChecked(False)
        super().hideEvent(event)  # type: ignore[arg-type]
