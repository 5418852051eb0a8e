"""FramePath: frames from the camera through the ring to analysis and disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.image_models import check_image_models
from rtsmlm.engines.selection import factory_of
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.files.camera_maps import names_assumed, what_was_assumed
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.raw_recorder import RawRecorder
from rtsmlm.files.run.reserve import reserve_bytes
from rtsmlm.models.catalog import neighbours_of
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.pipeline.sinks import check_sinks
from rtsmlm.pipeline.start_events import Preparing
from rtsmlm.pipeline.supervisor import PipelineSupervisor
from rtsmlm.protocols import Camera
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing, frames_that_fit
from rtsmlm.session.acquisition import Acquisition
from rtsmlm.session.camera_rate import frames_per_s_of
from rtsmlm.session.notices import Notices
from rtsmlm.session.recording import start_recording
from rtsmlm.settings.camera import CameraSettings
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.addresses import check_stream_address
from rtsmlm.stream.wire import new_run_id

_CAMERA_STOP_S = 30.0
_DRAIN_S = 120.0


class FramePath:
    """Started in the order analysis, disk, camera, and drained in the order camera, analysis, disk.

    Parameters
    ----------
    camera
        Where the frames come from.
    calibration
        Calibration in force.
    settings
        Settings of the run.
    folder
        The run folder.
    ledger
        Where every frame is booked.
    notices
        Where warnings and failures go.
    """

    def __init__(
        self,
        camera: Camera,
        calibration: CameraCalibration,
        settings: RunSettings,
        folder: RunFolder,
        ledger: Ledger,
        notices: Notices,
    ) -> None:
        self._camera, self._calibration = camera, calibration
        self._settings, self._notices = settings, notices
        self.folder, self.ledger = folder, ledger
        self.run_id = new_run_id()
        """Number of the run, in every message of its stream."""
        self._ring: FrameRing | None = None
        self._supervisor: PipelineSupervisor | None = None
        self._recorder: RawRecorder | None = None
        self._acquisition: Acquisition | None = None
        self._closing = False
        self.broken_off = threading.Event()
        """Set where the frames that are not localized yet are to be left as they are."""
        self._assumed: tuple[str, ...] = ()

    # -- starting ------------------------------------------------------------------------

    def check_names(self) -> None:
        """Make unknown names, and an address that is taken, an error before anything is started.

        Raises
        ------
        ConfigError
            If there is no localizer, sink or network of images of a name in the settings, or the
            stated address of the stream is taken.
        """
        factory_of(self._settings.localizer.name)
        check_sinks(self._settings.results.sinks)
        check_image_models(self._settings.results)
        check_stream_address(self._settings.stream)

    def assume(self, given: CameraSettings) -> None:
        """Warn of what neither the settings as they were given nor the camera state.

        The analysis compares it with the first frames.
        """
        self._assumed = names_assumed(given, self._camera.stated)
        if phrases := what_was_assumed(given, self._camera.stated):
            self._notices.warn("not specified; assumed: " + "; ".join(phrases))

    def start_analysis(
        self,
        stop: threading.Event,
        *,
        on_density: Callable[[DensityEstimate, int], None],
        on_lost: Callable[[str], None],
        on_preparing: Callable[[Preparing], None] = lambda step: None,
    ) -> None:
        """Make the ring, start the analysis, and wait until it can take frames.

        Parameters
        ----------
        stop
            Ends the wait.
        on_density, on_lost, on_preparing
            As for `PipelineSupervisor`.

        Raises
        ------
        PipelineError
            If it does not come up.
        CalibrationError
            If a view does not lie on the frames.
        """
        shape, settings = self._camera.shape, self._settings
        settings.channels.check_frame_shape(shape)
        shared = settings.pipeline.process
        capacity = frames_that_fit(shape, settings.pipeline.ring_mb)
        kept = neighbours_of(settings.localizer.name)
        ring = self._ring = FrameRing.create(shape, capacity, shared=shared, kept=kept)
        self._supervisor = PipelineSupervisor(
            PipelineJob(
                ring.name if shared else "",
                self.folder.path,
                settings,
                run_id=self.run_id,
                assumed=self._assumed,
                camera_frames_per_s=frames_per_s_of(self._camera),
            ),
            ring,
            self.ledger,
            self._notices.warn,
            on_density=on_density,
            on_lost=on_lost,
            inform=self._notices.inform,
            on_preparing=on_preparing,
        )
        self._supervisor.start()
        self._supervisor.wait_ready(stop)

    def start_recording(self, activation_unit: str | None) -> None:
        """Record all frames to come; the unit is that of the power that comes with them.

        Raises
        ------
        RecordingError
            If the disk is too small, or the recording cannot be started.
        """
        self._recorder = start_recording(
            self._camera,
            self._calibration,
            self._settings,
            self.folder,
            self.ledger,
            activation_unit=activation_unit,
            warn=self._notices.warn,
            fail=self._notices.fail,
        )

    def start_camera(
        self,
        *,
        power: Callable[[], float] | None,
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        """Start taking frames; the analysis must have been started.

        Parameters
        ----------
        power, on_end
            As for `Acquisition`.
        """
        ring, supervisor = self._ring, self._supervisor
        if ring is None or supervisor is None:
            raise RuntimeError("the camera was started before the analysis")
        self._acquisition = Acquisition(
            self._camera,
            ring,
            self.ledger,
            recorder=self._recorder,
            n_frames=self._settings.acquisition.frames,
            wait_for_ring=self._settings.pipeline.when_behind == "wait",
            analysis_is_gone=supervisor.gave_up,
            on_end=on_end,
            power=power,
            warn=self._notices.warn,
        )
        self._acquisition.worker.start()

    # -- running -------------------------------------------------------------------------

    @property
    def progress(self) -> PipelineProgress:
        """What the analysis has reported so far."""
        return PipelineProgress() if self._supervisor is None else self._supervisor.progress

    @property
    def analysis_pid(self) -> int | None:
        """Number of the analysis process; None while there is none, or where it is a thread."""
        return None if self._supervisor is None else self._supervisor.pid

    @property
    def accounts_bytes(self) -> int:
        """Room that image and accounts take at the end."""
        pixel_nm, image_pixel_nm = self._calibration.pixel_nm, self._settings.results.image_pixel_nm
        return reserve_bytes(self._camera.shape, pixel_nm, image_pixel_nm)

    @property
    def recording(self) -> bool:
        """True if frames are, or were, to be written to disk."""
        return self._recorder is not None

    @property
    def n_recorded(self) -> int:
        """Frames on disk."""
        return 0 if self._recorder is None else self._recorder.n_written

    @property
    def backlog(self) -> int:
        """Frames in the ring."""
        return 0 if self._ring is None or self._closing else self._ring.backlog

    @property
    def recorder_backlog(self) -> int:
        """Frames that wait to be written to disk."""
        return 0 if self._recorder is None or self._closing else self._recorder.backlog

    def publish(self, status: Mapping[str, object]) -> None:
        """Publish the state of the run through the analysis; may block while that is frozen."""
        if self._supervisor is not None:
            self._supervisor.publish(status)

    # -- the end -------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask the camera to end; returns at once."""
        if self._acquisition is not None:
            self._acquisition.worker.stop()

    def break_off(self) -> None:
        """Ask for the end without what is not localized yet; returns at once."""
        self.broken_off.set()
        if (ring := self._ring) is not None:
            ring.give_up_rest()

    def drain(self) -> None:
        """Wait for the camera, then for all frames to be processed; failures go to the notices."""
        self._closing = True
        run_step = self._notices.run_step
        if self._acquisition is not None:
            run_step(self._stop_camera)
        if self._supervisor is not None:
            run_step(self._drain_ring)
        if self._recorder is not None:
            run_step(self._recorder.close)

    def close(self) -> None:
        """Release the ring, which must not be used any more."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.close()

    def _stop_camera(self) -> None:
        acquisition = self._acquisition
        if acquisition is None:
            return
        acquisition.worker.stop()
        if not acquisition.worker.wait(_CAMERA_STOP_S):
            acquisition.recorder_is_stuck.set()
            acquisition.worker.join(_CAMERA_STOP_S)

    def _drain_ring(self) -> None:
        ring, supervisor = self._ring, self._supervisor
        if ring is None or supervisor is None:
            return
        ring.close_input()
        supervisor.finish(_DRAIN_S)
        if supervisor.gave_up.is_set() and not self.broken_off.is_set():
            self._notices.fail(f"the analysis was given up: {supervisor.progress.death}")
