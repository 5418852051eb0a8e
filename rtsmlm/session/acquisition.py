"""Acquisition: the thread that reads frames and never blocks on the analysis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from rtsmlm.errors import FrameMismatchError
from rtsmlm.files.run.raw_recorder import RawRecorder
from rtsmlm.frames import CameraFrame
from rtsmlm.protocols import Camera
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.frame_numbers import RisingNumbers
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import Worker

_RING_FULL_S = 0.001
_LAST_FRAMES_NS = 5_000_000_000
"""What a camera delivers after a frame of another size is booked for so long at most."""


class Acquisition:
    """Camera to recorder and ring, every frame booked.

    Parameters
    ----------
    camera
        Where the frames come from.
    ring
        Towards the analysis; a frame that finds it full is recorded and booked as skipped.
    ledger
        Where every frame is booked.
    recorder
        Raw frames to disk, None for none.
    n_frames
        Stop after so many.
    wait_for_ring
        Hold frames back while the ring is full, for sources that can wait.
    analysis_is_gone
        Set by the owner when the ring will not be emptied any more: no frame waits for it then.
    on_end
        Called in the thread when the camera has ended, with the error if there was one.
    power
        Called with every frame; returns the power of the activation laser in force, in its
        unit.
    warn
        Called with one sentence that the user should read.
    """

    def __init__(
        self,
        camera: Camera,
        ring: FrameRing,
        ledger: Ledger,
        *,
        recorder: RawRecorder | None,
        n_frames: int | None,
        wait_for_ring: bool,
        analysis_is_gone: threading.Event,
        on_end: Callable[[BaseException | None], None],
        power: Callable[[], float] | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._camera = camera
        self._ring = ring
        self._ledger = ledger
        self._recorder = recorder
        self._n_frames = n_frames
        self._wait_for_ring = wait_for_ring
        self._on_end = on_end
        self._power = power
        self._analysis_is_gone = analysis_is_gone
        self._numbers = RisingNumbers(camera.name, warn)
        self.recorder_is_stuck = threading.Event()
        """Set by the owner once it no longer waits for the disk."""
        self.worker = Worker("acquire", self._acquire, on_death=on_end)

    def _acquire(self, stop: threading.Event) -> None:
        try:
            self._take_all(stop)
        finally:
            self._ring.close_input()
        self._on_end(None)

    def _take_all(self, stop: threading.Event) -> None:
        """Take frames until the camera has no more.

        Raises
        ------
        FrameMismatchError
            If one is of another size or type. The camera is stopped, and what it still delivers is
            booked first.
        """
        mismatch: FrameMismatchError | None = None
        deadline_ns = 0
        frames = self._camera.stream(stop, self._n_frames)
        try:
            for frame in frames:
                error = self._take(frame)
                if error is not None and mismatch is None:
                    mismatch, deadline_ns = error, now_ns() + _LAST_FRAMES_NS
                    self.worker.stop()
                if mismatch is not None and now_ns() > deadline_ns:
                    break
        except FrameMismatchError as error:  # seen by the driver, which has stopped the camera
            for number in error.numbers:
                self._ledger.refuse(self._numbers.next(number))
            mismatch = mismatch or error
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()
        if mismatch is not None:
            raise mismatch

    def _take(self, frame: CameraFrame) -> FrameMismatchError | None:
        """Book a frame and pass it on; one of another size is booked, and its error returned."""
        n_renumbered = self._numbers.n_renumbered
        index = self._numbers.next(frame.index)
        if index != frame.index:
            frame = replace(frame, index=index)
        if self._numbers.n_renumbered != n_renumbered:
            self._ledger.renumber(index)
        try:
            self._ring.check(frame)
        except FrameMismatchError as error:
            self._ledger.refuse(index)
            return error
        # Booked before it is visible: the analysis may be done with it at once.
        queued = self._has_room()
        self._ledger.receive(index, queued=queued)
        if self._power is not None:
            frame = replace(frame, activation_power=self._power())
        if queued:
            self._ring.push(frame)
        if self._recorder is not None:
            self._recorder.push(frame, self.recorder_is_stuck)
        return None

    def _has_room(self) -> bool:
        while self._ring.full:
            if not self._wait_for_ring or self._analysis_is_gone.is_set():
                return False
            self._analysis_is_gone.wait(_RING_FULL_S)
        return True
