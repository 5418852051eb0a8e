"""Playback: the recorded frames of a finished run, to play and to step through."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rtsmlm.viewer.raw_frames import RawFrame, RawFrames
from rtsmlm.viewer.widgets.controls import button, explained, number, show_number
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_STEP_MS = 50


class Playback(QtWidgets.QWidget):
    """A row of controls that is there only while a recording is open."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._frames: RawFrames | None = None
        self._position, self._is_waiting = 0, False
        self.play = button("Play", "Play the recorded frames, 20 a second.", checkable=True)
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        explained(self.slider, "Which of the recorded frames is shown.")
        self.number = number((0, 1e9), "Place of the frame in the recording, from 0 (frames).")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.play)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.number)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._go_on)
        self.play.toggled.connect(self._play)
        self.slider.valueChanged.connect(self._go_to)
        self.number.valueChanged.connect(lambda value: self._go_to(round(value)))
        self.hide()

    @property
    def folder(self) -> Path | None:
        """The run folder that is open; None where none is."""
        return None if self._frames is None else self._frames.folder

    @property
    def problem(self) -> str | None:
        """Why there are no frames; None where there are, or that is not known yet."""
        return None if self._frames is None else self._frames.problem

    def open(self, folder: Path) -> None:
        """Open the recording of a run; it shows its first frame as soon as it is read."""
        self.close_recording()
        self._frames = RawFrames(folder)

    def close_recording(self) -> None:
        """Close the recording. Safe to call more than once."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None
            self._position, self._is_waiting = 0, False
            with suppress(RuntimeError):  # the host may have deleted what is shown
                self.play.setChecked(False)
                self.hide()

    def take(self) -> RawFrame | None:
        """Return a frame that is new, to be shown; None where there is none."""
        taken = None if self._frames is None else self._frames.take()
        if self._frames is None or taken is None:
            return None
        self._is_waiting = False
        if self.isHidden():
            self.slider.setRange(0, self._frames.n_frames - 1)
            self.number.setRange(0, self._frames.n_frames - 1)
            self.show()
        return taken

    def _play(self, is_on: bool) -> None:
        self.play.setText("Pause" if is_on else "Play")
        if not is_on:
            self._timer.stop()
            return
        if self._position >= self.slider.maximum():
            self._go_to(0)
        self._timer.start()

    def _go_on(self) -> None:
        if self._position >= self.slider.maximum():
            self.play.setChecked(False)
        elif not self._is_waiting:
            self._go_to(self._position + 1)

    def _go_to(self, position: int) -> None:
        if self._frames is None or position == self._position:
            return
        self._position, self._is_waiting = position, True
        was = self.slider.blockSignals(True)
        self.slider.setValue(position)
        self.slider.blockSignals(was)
        show_number(self.number, position)
        self._frames.ask(position)
