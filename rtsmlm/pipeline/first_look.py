"""FirstLook: looks at the first frames of a run in a thread of its own, while they are localized.

It measures the PSF where it is not stated, or compares it with what is stated, and compares what
the frames show with what the run assumes of its camera. Both take as long as several frames do,
which nothing has to wait for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.first_frames import FirstFrames, remarks_on_pixels
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.fitting.psf_meter import PsfMeter, PsfWidth
from rtsmlm.frames import Pixels
from rtsmlm.pipeline.camera_look import CameraFound, CameraLook
from rtsmlm.realtime.worker import Worker, one_line

_END_S = 60.0
"""For a measurement that goes on when the last frame has come."""


class FirstLook:
    """Takes copies of the first frames, and gives the width once it is measured.

    Parameters
    ----------
    calibration
        Calibration in force.
    warn
        Called in the thread with one sentence for each finding.
    assumed
        Names of the values of the calibration that nothing states.
    compares
        Compare the frames with the calibration; false where that was done before.
    meter
        Measures the PSF; None where what is stated is taken.
    camera
        Finds wrong pixels, gain and dark value; None where nothing of it is asked for.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        warn: Callable[[str], None],
        *,
        assumed: Collection[str] = (),
        compares: bool = True,
        meter: PsfMeter | None = None,
        camera: CameraLook | None = None,
    ) -> None:
        self._calibration, self._warn, self._assumed = calibration, warn, assumed
        self._first = FirstFrames() if compares else None
        self._meter, self._camera = meter, camera
        self._found: CameraFound | None = None
        self._mend = PixelMender(calibration)
        self._parts: list[Pixels] = []
        self._n_kept = self._n_seen = 0
        self._has_first, self._are_all = not compares, False
        self._width: PsfWidth | None = None
        self._changed = threading.Condition()
        self._worker = Worker("first-look", self._look, on_death=self._die, has_time=True)
        looks = compares or meter is not None or camera is not None
        self._is_wanted = self._is_started = looks
        if self._is_started:
            self._worker.start()

    @property
    def n_wanted(self) -> int:
        """First frames that measurements want; 0 once they have them all."""
        with self._changed:
            return self._n_wanted()

    def _n_wanted(self) -> int:
        width = 0 if self._meter is None else self._meter.n_wanted
        return max(width, 0 if self._camera is None else self._camera.n_wanted)

    def add(self, pixels: Pixels, n_before: int) -> None:
        """Take frames; copies are kept, and those that were taken before are left out.

        Parameters
        ----------
        pixels
            Frames in their order, uint16 ADU, shape (n, height, width).
        n_before
            Frames of this analysis before these.
        """
        if not self._is_wanted:
            return
        with self._changed:
            new = pixels[max(self._n_seen - n_before, 0) :]
            self._n_seen = max(self._n_seen, n_before + len(pixels))
            if not len(new):
                return
            if self._first is not None and not self._has_first:
                self._has_first = self._first.add(new)
            if (missing := self._n_wanted() - self._n_kept) > 0:
                self._parts.append(new[:missing].copy())
                self._n_kept += len(self._parts[-1])
            measures = self._meter is not None or self._camera is not None
            self._is_wanted = measures or not self._has_first
            self._changed.notify_all()

    def take_width(self) -> PsfWidth | None:
        """Return the width, once, when it is measured; None before and after."""
        with self._changed:
            width, self._width = self._width, None
            return width

    def take_camera(self) -> CameraFound | None:
        """Return what was found of the camera, once; None before, after, and where it is nothing.

        It is there before the width is.
        """
        with self._changed:
            found, self._found = self._found, None
            return found

    def finish(self) -> None:
        """Look at what is there, as no more frames will come, and wait for that."""
        with self._changed:
            self._are_all = True
            self._changed.notify_all()
        if self._is_started:
            self._worker.wait(_END_S)

    def close(self) -> None:
        """End the thread; what it has not looked at is left."""
        if self._is_started:
            self._worker.stop()
            with self._changed:
                self._changed.notify_all()
            self._worker.end(_END_S)

    # -- in the thread ---------------------------------------------------------------------

    def _look(self, stop: threading.Event) -> None:
        if self._camera is not None:
            self._look_at_camera(self._camera, stop)
        measured_nm = None
        if (meter := self._meter) is not None:
            width = self._measure(meter, stop)
            if width is None:
                return
            if not (width.note or meter.is_width_stated):
                measured_nm = width.sigma_nm
        with self._changed:
            self._changed.wait_for(lambda: self._has_first or self._are_all or stop.is_set())
            first = None if self._first is None else self._first.pixels
        if first is None or (stop.is_set() and not self._has_first):
            return
        first = self._mend(first)
        for remark in remarks_on_pixels(first, self._calibration, self._assumed, measured_nm):
            self._warn(remark)

    def _look_at_camera(self, camera: CameraLook, stop: threading.Event) -> None:
        """Find what the frames tell of the camera; the rest is measured with it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._n_kept >= camera.n_wanted or self._are_all or stop.is_set()
            )
            pixels = np.concatenate(self._parts) if self._parts and not stop.is_set() else None
        found = None if pixels is None else camera.find(pixels)
        with self._changed:
            self._camera = None
            if self._meter is None:
                self._parts = []
            if found is None or not found.is_worth_telling:
                return
            self._found = found
        self._calibration, self._mend = found.calibration, PixelMender(found.calibration)
        self._assumed = [name for name in self._assumed if name not in found.values]
        if self._meter is not None:
            self._meter.use(found.calibration)

    def _measure(self, meter: PsfMeter, stop: threading.Event) -> PsfWidth | None:
        width = None
        while width is None:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._n_kept >= meter.n_wanted or self._are_all or stop.is_set()
                )
                if stop.is_set() or not self._parts:
                    return None
                pixels = np.concatenate(self._parts)
                are_all = self._are_all and self._n_kept <= meter.n_wanted
            width = meter.measure(self._mend(pixels[: meter.n_wanted]), are_all=are_all)
        if width.note:
            self._warn(width.note)
        with self._changed:
            self._width, self._parts, self._meter = width, [], None
        return width

    def _die(self, error: BaseException) -> None:
        self._warn(f"the first frames were not looked at: {one_line(error)}")
        with self._changed:
            self._camera = None
        if (meter := self._meter) is not None:
            width = meter.without_frames(one_line(error))
            if width.note:
                nm = f"{width.sigma_nm:.0f} nm"
                self._warn(f"a PSF width of {nm} is assumed; set psf.sigma_nm")
            with self._changed:
                self._width, self._meter = width, None
