"""MicroManagerCamera: any camera of a Micro-Manager core, C++ or Python, frame by frame."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any

from pymmcore_plus import CMMCorePlus

from rtsmlm.calibration import StatedCalibration
from rtsmlm.drivers.micromanager.core import (
    choose_camera,
    load_core,
    release_core,
    set_properties,
)
from rtsmlm.drivers.micromanager.frame_sources import FrameSource, frame_source
from rtsmlm.drivers.micromanager.host_preview import show_preview
from rtsmlm.drivers.micromanager.physical_cameras import physical_cameras
from rtsmlm.drivers.micromanager.reader import FrameReader, Silence
from rtsmlm.drivers.micromanager.side_by_side_reader import SideBySideReader
from rtsmlm.errors import (
    CameraOverflowError,
    CameraStalledError,
    DeviceError,
    FrameMismatchError,
)
from rtsmlm.frames import CameraFrame
from rtsmlm.plugins import CameraFactory
from rtsmlm.protocols import Camera
from rtsmlm.settings.camera import AcquisitionSettings, MicroManagerSettings
from rtsmlm.settings.run import RunSettings

logger = logging.getLogger(__name__)

_ENDLESS = 2**31 - 1  # the largest number of frames that fits a C long on Windows
_BUFFER_S = 3.0
_MOST_GROWTH = 2
_SHORTEST_MS = 0.1  # no camera reads frames out faster than this
_MIB = 2**20
_MIN_FRAMES = 4


class MicroManagerCamera:
    """A camera of a Micro-Manager core, or several side by side, drained from its sequence buffer.

    Fails fast: a full buffer ends the stream with an error that has the frame number, since
    a silent gap would resemble blinking. If the host program already runs a sequence, it
    is drained, and neither started, stopped nor changed; gaps in the frame numbers then
    count what the host let be overwritten.

    Parameters
    ----------
    core
        A core with its devices loaded. A `UniMMCore` has Python cameras too.
    settings
        Camera, properties, region of interest and buffer, applied unless a sequence runs.
    acquisition
        Exposure and stall time-out.
    owns_core
        Unload all devices when the camera is closed.

    Raises
    ------
    DeviceError
        If the camera refuses a setting or gives anything but 8 or 16 bit gray values, or if
        cameras that are joined differ in their frames.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        *,
        settings: MicroManagerSettings | None = None,
        acquisition: AcquisitionSettings | None = None,
        owns_core: bool = False,
    ) -> None:
        self._core = core
        self._settings = settings or MicroManagerSettings()
        self._acquisition = acquisition or AcquisitionSettings()
        self._owns_core = owns_core
        self._started = False
        self._label = choose_camera(core, self._settings.camera)
        is_python = getattr(core, "isPyDevice", None)
        self._python_camera = bool(is_python and is_python(self._label))
        is_running = self._running()
        if is_running:
            logger.info("camera %s is already running: draining it as it is", self._label)
        else:
            set_properties(core, self._settings.properties)  # they may say which cameras are joined
        self._cameras = physical_cameras(
            core, self._label, self._settings.cameras, python_camera=self._python_camera
        )
        if not is_running:
            self._set_up()
        self._cameras.check()
        if not is_running and not self._python_camera:
            self._size_buffer()

    @property
    def name(self) -> str:
        return f"Micro-Manager {self._label}"

    @property
    def core(self) -> CMMCorePlus:
        """The core, for the lasers and stages beside the camera."""
        return self._core

    @property
    def shape(self) -> tuple[int, int]:
        return self._cameras.shape

    @property
    def exposure_ms(self) -> float:
        return self._cameras.exposure_ms

    @property
    def stated(self) -> StatedCalibration:
        return self._cameras.stated()

    def describe(self) -> Mapping[str, str]:
        return self._cameras.describe()

    def stream(self, stop: Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        """Yield frames; see `Camera.stream`.

        A sequence that the host runs is not stopped: the frames waiting when `stop` is set
        are yielded, and where the host ends its sequence, the iterator ends too.
        """
        hosted = self._running()
        if not hosted:
            self._size_buffer()
        # The program that owns the core looks at the newest frame, too.
        source = frame_source(
            self._core, python_camera=self._python_camera, keep_newest=not self._owns_core
        )
        reader = self._reader(source, hosted)
        if not hosted:
            self._start()
        try:
            yield from self._drain(source, reader, stop, n_frames, hosted)
        except FrameMismatchError as error:
            if not hosted:
                self._stop()
            error.numbers += tuple(reader.waiting_numbers())
            raise
        finally:
            (source.leave if hosted else self._stop)()
            reader.finish()

    def close(self) -> None:
        self._stop()
        if self._owns_core:
            self._owns_core = False
            release_core(self._core)

    def _reader(self, source: FrameSource, hosted: bool) -> FrameReader:
        cameras, tag = self._cameras, self._settings.frame_number_tag
        if not cameras.are_several:
            return FrameReader(self._label, source, cameras.part_shape, tag)
        frame_bytes = math.prod(cameras.shape) * self._core.getBytesPerPixel()
        room = self._core.getCircularBufferMemoryFootprint() * _MIB // frame_bytes
        return SideBySideReader(
            cameras, source, tag, from_start=not hosted, most_waiting=max(room, _MIN_FRAMES)
        )

    def _drain(
        self,
        source: FrameSource,
        reader: FrameReader,
        stop: Event,
        n_frames: int | None,
        hosted: bool,
    ) -> Iterator[CameraFrame]:
        silence = Silence(self._acquisition.stall_timeout_s, self.exposure_ms)
        end: int | None = None
        while n_frames is None or reader.taken < n_frames:
            if end is None and stop.is_set():
                if not hosted:
                    self._stop()
                end = reader.popped + source.waiting()
            # A host's camera runs on after `stop`: only what waited then is still ours.
            popped = reader.popped
            frame = reader.take() if end is None or popped < end else None
            if frame is not None:
                silence.broken()
                yield frame
            elif reader.popped > popped and self._may_go_on(source, reader, silence, end):
                continue  # a part of a frame; another camera's is still to come
            elif source.overflowed() and not source.waiting():
                raise self._overflow(reader.last)
            elif end is not None or self._ended(source, reader, hosted):
                return
            elif reader.is_full or silence.too_long():
                raise CameraStalledError(reader.why_silent(silence.limit_s))
            else:
                # Not a wait on `stop`: on Windows that lasts 16 ms, and a sleep 1 ms.
                time.sleep(silence.poll_s)

    def _may_go_on(
        self, source: FrameSource, reader: FrameReader, silence: Silence, end: int | None
    ) -> bool:
        """Return whether further parts of frames may be taken although none is whole."""
        if end is not None or source.overflowed():
            return True  # what there is has an end
        return not (reader.is_full or silence.too_long())

    def _ended(self, source: FrameSource, reader: FrameReader, hosted: bool) -> bool:
        """Return whether the host ended the sequence; raise if the camera did."""
        if self._running() or source.waiting():
            return False
        if source.overflowed():  # it may have overflowed since the check above
            raise self._overflow(reader.last)
        if hosted:
            logger.info("the host ended the sequence of %s", self._label)
            return True
        host = "" if self._owns_core else "the program that owns the core stopped it, or "
        raise CameraStalledError(
            f"the sequence of camera {self._label} ended by itself after frame "
            f"{reader.last}; {host}the log of its adapter has the reason: mmcore logs"
        )

    def _overflow(self, last: int) -> CameraOverflowError:
        return CameraOverflowError(
            f"the buffer of camera {self._label} was full after frame {last}; the camera "
            "was stopped, and nothing was overwritten. Raise its "
            f"{self._core.getCircularBufferMemoryFootprint()} MB "
            "(micromanager.circular_buffer_mb) or lower the frame rate or the region"
        )

    def _set_up(self) -> None:
        self._cameras.set_regions(self._settings)
        if (wanted_ms := self._acquisition.exposure_ms) is not None:
            self._ask(
                f"take an exposure of {wanted_ms:g} ms",
                lambda: self._core.setExposure(self._label, wanted_ms),
            )
        self._cameras.warn_of_exposures(self._acquisition.exposure_ms)

    def _size_buffer(self) -> None:
        """Make room for three seconds of frames, at most twice the value in the settings."""
        # Of one camera each, as the core keeps them.
        frame_bytes = math.prod(self._cameras.part_shape) * self._core.getBytesPerPixel()
        rate_hz = 1000 / max(self.exposure_ms, _SHORTEST_MS) * len(self._cameras.labels)
        allowed = self._settings.circular_buffer_mb * _MIB
        wanted = max(math.ceil(_BUFFER_S * rate_hz) * frame_bytes, allowed)
        size = min(wanted, _MOST_GROWTH * allowed)
        megabytes: float = math.ceil(size / _MIB)
        if self._python_camera:
            # A pool of whole frames: at the end of any other the buffer of pymmcore-plus
            # reports an overflow although there is room, or loses count of what it holds.
            megabytes = max(size // frame_bytes, _MIN_FRAMES) * frame_bytes / _MIB
        elif megabytes == self._core.getCircularBufferMemoryFootprint():
            return  # the core takes a second to clear a gigabyte anew
        if size < wanted:
            logger.info("buffer: %.1f s of frames", size / frame_bytes / rate_hz)
        self._ask(
            f"have a buffer of {megabytes:.0f} MB",
            lambda: self._core.setCircularBufferMemoryFootprint(megabytes),  # type: ignore[arg-type]
        )

    def _start(self) -> None:
        # Not the continuous sequence: that one overwrites frames when its buffer is full.
        self._ask(
            "start",
            lambda: self._core.startSequenceAcquisition(self._label, _ENDLESS, 0, True),
        )
        self._started = True
        if not self._owns_core:
            show_preview(self._core)

    def _stop(self) -> None:
        if self._started:
            self._started = False
            self._ask("stop", lambda: self._core.stopSequenceAcquisition(self._label))

    def _running(self) -> bool:
        return bool(self._core.isSequenceRunning(self._label))

    def _ask(self, what: str, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # vendor code may raise anything
            raise DeviceError(f"camera {self._label} did not {what}: {error}") from error


def open_camera(settings: RunSettings) -> MicroManagerCamera:
    """Load a Micro-Manager configuration into a new core and open its camera.

    Raises
    ------
    ConfigError
        If there is no such configuration file.
    DeviceError
        If a device cannot be loaded or refuses its settings.
    """
    core = load_core(settings.micromanager)
    try:
        mm, acquisition = settings.micromanager, settings.acquisition
        return MicroManagerCamera(core, settings=mm, acquisition=acquisition, owns_core=True)
    except BaseException:
        release_core(core)
        raise


def _conforms(camera: MicroManagerCamera) -> tuple[Camera, CameraFactory]:
    return camera, open_camera
