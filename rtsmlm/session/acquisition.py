"""Acquisition: the thread that reads frames and never blocks on the analysis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from rtsmlm.errors import DeviceError
from rtsmlm.files.run.raw_recorder import RawRecorder
from rtsmlm.protocols import Camera
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import Worker

_RING_FULL_S = 0.001


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
        last = -1
        frames = self._camera.stream(stop, self._n_frames)
        try:
            for frame in frames:
                if frame.index <= last:
                    raise DeviceError(
                        f"{self._camera.name} numbered a frame {frame.index} after {last}; frame "
                        "numbers must rise, or losses cannot be distinguished from repetitions"
                    )
                last = frame.index
                self._ring.check(frame)
                # Booked before it is visible: the analysis may be done with it at once.
                queued = self._has_room()
                self._ledger.receive(frame.index, queued=queued)
                if self._power is not None:
                    frame = replace(frame, activation_power=self._power())
                if queued:
                    self._ring.push(frame)
                if self._recorder is not None:
                    self._recorder.push(frame, self.recorder_is_stuck)
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()

    def _has_room(self) -> bool:
        while self._ring.full:
            if not self._wait_for_ring or self._analysis_is_gone.is_set():
                return False
            self._analysis_is_gone.wait(_RING_FULL_S)
        return True
