"""Session: one run from start to close; the only module that knows all parts.

Order of the end, whatever the reason: lasers off, camera stopped, ring drained into the localizer,
recording written, files closed, skipped frames caught up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from rtsmlm.feedback.loop import FeedbackLoop
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.feedback.resolution_monitor import resolution_monitor
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.pipeline.start_events import Preparing
from rtsmlm.protocols import Actuator, Camera
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.safety.rehearsal import Rehearsal
from rtsmlm.session.devices import close_actuators
from rtsmlm.session.finalize import RunFinalizer
from rtsmlm.session.frame_path import FramePath
from rtsmlm.session.local_control import LocalControl
from rtsmlm.session.main_thread import MainThreadWatch
from rtsmlm.session.notices import MOST_NOTICES, Notices
from rtsmlm.session.running_accounts import RunningAccounts
from rtsmlm.session.status import RunStatus, StatusMeter, StatusPublisher, run_message
from rtsmlm.session.timer import RunTimer
from rtsmlm.settings.feedback import checked_gain, checked_target
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings

_LAST_STATUS_S = 1.0


class Session:
    """Record, localize and publish what a camera delivers.

    Use as a context manager, or call `start`, `wait`, and always `close`.

    Parameters
    ----------
    camera
        Where the frames come from; the session does not close it.
    settings
        Settings of the run.
    folder
        Where the run is written; by default a new folder under `results.out`.
    lasers, stages
        What `settings.lasers` and `settings.stages` name, open.
    arm
        Send commands to lasers and stages; `feedback.arm` must be set as well.
    owns_devices
        Close lasers and stages when the session is closed.
    rehearsal
        How the sentinel reaches the lasers; None takes the configuration file of the settings.
    perturb
        For drills: changes an estimate of the density before the laser is steered by it.
    on_step, on_progress
        Called with the name of each step of start and end, and with frames done and to do in it.
    on_preparing
        Called, from another thread, with what the analysis loads and compiles before the start.
    """

    def __init__(
        self,
        camera: Camera,
        settings: RunSettings,
        *,
        folder: RunFolder | None = None,
        lasers: Mapping[str, Actuator] | None = None,
        stages: Mapping[str, Actuator] | None = None,
        arm: bool = False,
        owns_devices: bool = False,
        rehearsal: Rehearsal | None = None,
        perturb: Callable[[DensityEstimate], DensityEstimate] | None = None,
        on_step: Callable[[str], None] = lambda step: None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        on_preparing: Callable[[Preparing], None] = lambda step: None,
    ) -> None:
        self._camera, self._shape = camera, camera.shape
        self._on_step, self._on_progress = on_step, on_progress
        self._on_preparing = on_preparing
        self.calibration = resolve_calibration(settings.camera, camera.stated)
        self.calibration.check_frame_shape(self._shape)
        self.settings = resolve(settings, calibration=self.calibration)
        self.folder = folder or RunFolder.create_for(settings)
        self.folder.claim()
        self.report = RunReport(self.folder.path)
        self._notices = Notices(self.report)
        for note in self.calibration.notes:
            self._notices.warn(note)
        self.ledger = Ledger()
        self._arm = arm and settings.feedback.arm
        self.camera_ended = threading.Event()
        """Set when the camera has ended, for whatever reason."""
        self._path = FramePath(
            camera, self.calibration, self.settings, self.folder, self.ledger, self._notices
        )
        self._path.assume(settings.camera)
        self.run_id = self._path.run_id
        """In every message of the stream."""
        self._accounts = RunningAccounts(self._path, self._notices)
        self._resolution = monitor = resolution_monitor(
            self.folder, self._shape, self.calibration.pixel_nm
        )
        self._loop = FeedbackLoop(
            self.settings,
            lasers or {},
            stages or {},
            folder=self.folder,
            armed=self._arm,
            warn=self._notices.warn, inform=self._notices.inform, finish=self._finish,
            resolution=monitor,
            perturb=perturb,
            rehearsal=rehearsal,
            drift=lambda: self._path.progress.drift_block,
        )  # fmt: skip
        self._control = LocalControl(
            self.run_id, self.folder.path.name, self._loop, self.warn, has_lasers=bool(lasers)
        )
        self._owned = [*(lasers or {}).values(), *(stages or {}).values()] if owns_devices else []
        self._timer = RunTimer(self.settings.acquisition.seconds, self.stop)
        self._meter = StatusMeter(self._path, self.ledger)
        self._closed = False
        self._closing = threading.Lock()
        self._main_thread = MainThreadWatch(self)
        self._asked_to_end = threading.Event()
        self._status = StatusPublisher(self.message, self._path.publish, self._notices.warn)

    # -- starting ------------------------------------------------------------------------

    def start(self, stop: threading.Event | None = None) -> None:
        """Start analysis, recorder and camera, in this order.

        Parameters
        ----------
        stop
            Ends the wait for the analysis.

        Raises
        ------
        RtsmlmError
            If a part cannot be started; what was started is stopped again.
        """
        try:
            self._start(stop or threading.Event())
        except BaseException:
            self._take_down()
            self._notices.run_step(self._accounts.stop)
            if not self.ledger.totals().received:
                self.folder.discard()
            self.folder.release()
            raise

    def _start(self, stop: threading.Event) -> None:
        settings = self.settings
        self.folder.write_settings(settings, {"camera": dict(self._camera.describe())})
        self._accounts.start()
        self._path.check_names()
        self._main_thread.start()
        self._loop.prepare()
        self._on_step("loading the localizer (compiled on the very first run)")
        self._path.start_analysis(
            stop,
            on_density=self._loop.handle_estimate,
            on_lost=self._loop.analysis_lost,
            on_preparing=self._on_preparing,
        )
        if settings.record.raw:
            self._path.start_recording(self._loop.power_unit)
        if self._loop.active:
            self._on_step("lasers")
            self._control.start()
            self._loop.start()
        self._status.start()
        self._on_step("running")
        power = self._loop.power if self._loop.active else None
        self._path.start_camera(power=power, on_end=self._camera_ended)
        if self._asked_to_end.is_set():  # while it was being started
            self.stop()
        self._timer.start()

    def _finish(self, reason: str) -> None:
        self.report.ended_by = reason
        self._status.publish_now(_LAST_STATUS_S)  # with the figure that ends it
        self.stop()

    # -- running -------------------------------------------------------------------------

    def status(self) -> RunStatus:
        """Return the state of the run at this moment."""
        newest, hold = self._resolution.newest, self._loop.hold.status()
        return self._meter.measure(self._loop.status(), newest, hold)

    @property
    def analysis_pid(self) -> int | None:
        """Number of the analysis process; None while there is none, or where it is a thread."""
        return self._path.analysis_pid

    def message(self) -> dict[str, object]:
        """Return the state of the run as it is published."""
        return run_message(
            self.status(),
            self._path.progress,
            camera=self._camera,
            folder=self.folder,
            recording=self._path.recording,
            warnings=self.messages(),
            notices=self._notices.newest(MOST_NOTICES),
        )

    @property
    def stream_address(self) -> str | None:
        """Where results are published; None while nothing is published."""
        return self._path.progress.stream_address

    def messages(self) -> list[str]:
        """Return all failures and warnings so far."""
        return self._notices.so_far()

    def warn(self, text: str) -> None:
        """Note a sentence that the user should read: in report, log, status line and window."""
        self._notices.warn(text)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the camera has ended; False if it has not within the time-out."""
        return self.camera_ended.wait(timeout_s)

    def stop(self, reason: str = "the run was asked to end", *, at_once: bool = False) -> None:
        """Switch the lasers off and end the camera; at once leaves what is not localized yet."""
        self._asked_to_end.set()
        self._loop.shut_down(reason)
        self._path.stop()
        if at_once:
            self._path.break_off()

    def lasers_off(self, reason: str = "lasers switched off by the user") -> None:
        """Switch all lasers off, armed or not, and latch them; the recording goes on."""
        self._loop.switch_off(reason)

    def set_gain(self, gain: float) -> None:
        """Correct this part of the logarithmic error per tick, from now on, or `ConfigError`."""
        self._loop.set_gain(checked_gain(gain))

    def set_target(self, per_um2: float) -> None:
        """Set the density to hold, from now on; `ConfigError` for one that no loop can hold."""
        self._loop.set_target(checked_target(per_um2))

    def reset_trip(self, reason: str) -> None:
        """Lift the latches after a trip, manually; the lasers stay off.

        Raises
        ------
        RtsmlmError
            If the cause of a trip is still there.
        """
        self._loop.reset(reason)

    @property
    def tripped(self) -> bool:
        """True if a guard of laser or stage is latched."""
        return self._loop.tripped

    def _camera_ended(self, error: BaseException | None) -> None:
        self._loop.shut_down("the camera ended" if error is None else f"the camera failed: {error}")
        if error is not None:
            self._notices.fail_with(error)
        self.camera_ended.set()

    # -- the end -------------------------------------------------------------------------

    def close(self) -> RunReport:
        """End the run in order, finish its files and report. Safe to call more than once."""
        with self._closing:
            if not self._closed:
                self._on_step("finishing the frames on their way")
                self._take_down()
                self._end()
        return self.report

    def _take_down(self) -> None:
        self._closed = True
        self._loop.shut_down("the run ends")
        self._main_thread.close()
        self._status.stop()
        self._timer.cancel()
        self._path.drain()
        self._notices.run_step(self._loop.close)
        self._notices.run_step(self._control.close)
        self._notices.run_step(lambda: close_actuators(self._owned))
        self._path.close()
        self._notices.run_step(self._status.join)
        self._notices.run_step(self._main_thread.join)

    def _end(self) -> None:
        """Finish the files of all frames that were received, and write the accounts."""
        ending = RunFinalizer(
            camera=self._camera, shape=self._shape, calibration=self.calibration,
            settings=self.settings, accounts=self._accounts, folder=self.folder,
            ledger=self.ledger, report=self.report, notices=self._notices, path=self._path,
            on_step=self._on_step, on_progress=self._on_progress,
        )  # fmt: skip
        if self.ledger.totals().received:
            self._notices.run_step(ending.complete)
        if self._path.progress.sigma_nm is not None:
            self.settings = ending.settings = self._path.progress.with_psf(ending.settings)
        ending.account(self._loop.latency_ms())
        self._notices.run_step(lambda: ending.publish(self.message()))
        self.folder.release()

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
