"""Session: one run from open to close; the only place that knows all parts.

Order of leaving, whatever the reason: the lasers go dark, the camera stops, the ring drains into
the localizer, the recorder writes what it holds, the files close, skipped frames are caught up.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rtsmlm import plugins
from rtsmlm.acquisition import Acquisition
from rtsmlm.config import RunSettings
from rtsmlm.errors import AnalysisError, RecordingError, RtsmlmError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.files.camera_maps import resolve_calibration, what_was_assumed
from rtsmlm.files.movies import open_movie
from rtsmlm.files.raw_recorder import RawRecorder
from rtsmlm.files.report import TableSummary
from rtsmlm.files.run_folder import RunFolder, free_mb
from rtsmlm.finish import finish_table, keep_table, write_accounts
from rtsmlm.ledger import Ledger
from rtsmlm.offline import catch_up
from rtsmlm.pipeline import AnalysisJob
from rtsmlm.prepare import (
    open_localizer,
    with_calibration,
    with_local_limit,
    with_sigma,
)
from rtsmlm.protocols import Actuator, Camera, Localizer
from rtsmlm.resolution_watch import ResolutionWatch
from rtsmlm.ring import FrameRing, frames_that_fit
from rtsmlm.run_report import RunReport, RunStatus, status_message
from rtsmlm.stats import RateMeter, now_ns
from rtsmlm.steering import Steering
from rtsmlm.supervisor import AnalysisSupervisor
from rtsmlm.workers import Worker

_CAMERA_STOP_S = 30.0
_DRAIN_S = 120.0
_TELL_S = 0.25
_TELLER_END_S = 15.0

_log = logging.getLogger(__name__)


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
        What `settings.lasers` and `settings.stages` name, open; the session does not close them.
    arm
        Send commands to lasers and stages; `feedback.arm` must be set as well.
    spoil
        For drills: what happens to an estimate of the density before it counts.
    on_step
        Called with the name of what is being done while starting and leaving.
    on_progress
        Called with frames done and to do while skipped frames are caught up.
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
        spoil: Callable[[DensityEstimate], DensityEstimate] | None = None,
        on_step: Callable[[str], None] = lambda step: None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._camera = camera
        self._on_step = on_step
        self._on_progress = on_progress
        self.calibration = resolve_calibration(settings.camera, camera.stated)
        self.calibration.check_frame_shape(camera.shape)
        self.settings = with_calibration(settings, self.calibration)
        self.assumed = what_was_assumed(settings.camera, camera.stated)
        results = settings.results
        self.folder = folder or RunFolder.create(results.out, results.name)
        self.report = RunReport(self.folder.path)
        self.ledger = Ledger()
        self._lasers, self._stages = lasers or {}, stages or {}
        self._spoil = spoil
        self._arm = arm and settings.feedback.arm
        self.ended = threading.Event()
        """Set when the camera has ended, for whatever reason."""
        self._ring: FrameRing | None = None
        self._recorder: RawRecorder | None = None
        self._supervisor: AnalysisSupervisor | None = None
        self._acquisition: Acquisition | None = None
        self._steering: Steering | None = None
        self._resolution: ResolutionWatch | None = None
        self._timer: threading.Timer | None = None
        self._rate = RateMeter()
        self._emitters = RateMeter(window=100)  # rows per frame, over the last hundred frames
        self._lock = threading.Lock()
        self._closed = False
        self._teller = Worker("tell", self._tell)
        self._summary = TableSummary()

    # -- starting ------------------------------------------------------------------------

    def start(self, stop: threading.Event | None = None) -> None:
        """Start analysis, recorder and camera, in this order.

        Parameters
        ----------
        stop
            Breaks off the wait for the analysis.

        Raises
        ------
        RtsmlmError
            If a part cannot be started; what was started is stopped again.
        """
        try:
            self._start(stop or threading.Event())
        except BaseException:
            self._take_down()
            if not self.ledger.totals().received:
                self.folder.discard()
            raise

    def _start(self, stop: threading.Event) -> None:
        settings = self.settings
        shape = self._camera.shape
        self.folder.write_settings(settings, {"camera": dict(self._camera.describe())})
        plugins.find("rtsmlm.localizer", settings.localizer.name)  # a misspelling shows here
        n_frames = settings.acquisition.frames
        capacity = frames_that_fit(shape, settings.analysis.ring_mb)
        self._ring = FrameRing.create(shape, capacity, shared=settings.analysis.process)
        ring_name = self._ring.name if settings.analysis.process else ""
        job = AnalysisJob(ring_name, self.folder.path, settings)
        if self._lasers or self._stages or self.settings.feedback.stop.ends_by_itself:
            self._steering = self._make_steering()
        self._supervisor = AnalysisSupervisor(
            job,
            self._ring,
            self.ledger,
            self._warn,
            on_density=self._hear_density,
            on_lost=self._analysis_lost,
        )
        self._on_step("loading the localizer (compiled on the very first run)")
        self._supervisor.start()
        self._supervisor.wait_ready(stop)
        if settings.record.raw:
            self._check_disk(shape, n_frames)
            self._recorder = RawRecorder(
                self.folder,
                shape,
                n_frames=n_frames,
                buffer_mb=settings.record.buffer_mb,
                chunk_mb=settings.record.chunk_mb,
                attributes=self._recording_attributes(),
                on_written=self.ledger.record,
                on_failure=lambda error: self._fail(str(error)),
            )
        if self._steering is not None:
            self._on_step("lasers")
            self._steering.start()
        self._acquisition = Acquisition(
            self._camera,
            self._ring,
            self.ledger,
            recorder=self._recorder,
            n_frames=n_frames,
            wait_for_ring=settings.analysis.when_behind == "wait",
            on_end=self._camera_ended,
            power=None if self._steering is None else self._steering.power,
        )
        self._acquisition.analysis_is_gone = self._supervisor.gave_up
        self._teller.start()
        self._on_step("running")
        self._acquisition.worker.start()
        if settings.acquisition.seconds is not None:
            self._timer = threading.Timer(settings.acquisition.seconds, self.stop)
            self._timer.name = "rtsmlm-timer"
            self._timer.start()

    def _make_steering(self) -> Steering:
        if self.settings.feedback.stop.needs_resolution:
            self._resolution = ResolutionWatch(
                self.folder.localizations, self._camera.shape, self.calibration.pixel_nm
            )
            self._resolution.start()
        return Steering(
            with_local_limit(self.settings),
            self._lasers,
            self._stages,
            folder=self.folder,
            armed=self._arm,
            warn=self._warn,
            finish=self._finish,
            resolution=self._resolution_so_far,
            spoil=self._spoil,
        )

    def _resolution_so_far(self) -> Sequence[tuple[int, float]]:
        return () if self._resolution is None else self._resolution.history

    def _hear_density(self, estimate: DensityEstimate, localizations: int) -> None:
        if self._steering is not None:
            self._steering.hear(estimate, localizations)

    def _analysis_lost(self, reason: str) -> None:
        if self._steering is not None:
            self._steering.lost(reason)

    def _finish(self, reason: str) -> None:
        self.report.ended_by = reason
        self.stop()

    def _recording_attributes(self) -> dict[str, Any]:
        calibration = self.calibration
        numbers = {
            "pixel_nm": calibration.pixel_nm,
            "offset_adu": calibration.offset_adu,
            "e_per_adu": calibration.e_per_adu,
            "em_gain": calibration.em_gain,
            "read_noise_e": calibration.read_noise_e,
            "exposure_ms": self._camera.exposure_ms,
        }
        return {name: value for name, value in numbers.items() if isinstance(value, float)}

    def _check_disk(self, shape: tuple[int, int], n_frames: int | None) -> None:
        free = free_mb(self.folder.path)
        needed = (n_frames or 0) * shape[0] * shape[1] * 2 / 2**20
        if needed > free:
            raise RecordingError(
                f"{n_frames} frames need {needed:.0f} MB, the disk of {self.folder.path} has "
                f"{free:.0f} MB free; choose another results.out, fewer frames, or record.raw=false"
            )

    # -- running -------------------------------------------------------------------------

    def status(self) -> RunStatus:
        """Return the state of the run at this moment."""
        totals = self.ledger.totals()
        news = self._supervisor.news if self._supervisor else None
        rows = news.localizations if news else 0
        total = (news.latency_ms if news else {}).get("total", {})
        return RunStatus(
            totals=totals,
            frames_per_s=self._rate.update(totals.received, now_ns()) * 1e9,
            localizations=rows,
            emitters_per_frame=self._emitters.update(rows, totals.localized),
            p50_ms=total.get("p50", float("nan")),
            p99_ms=total.get("p99", float("nan")),
            backlog=self._ring.backlog if self._ring and not self._closed else 0,
            recorder_backlog=self._recorder.backlog if self._recorder and not self._closed else 0,
            model=news.validity.get("verdict", "") if news else "",
            loop=self._steering.status() if self._steering else None,
        )

    @property
    def analysis_pid(self) -> int | None:
        """Number of the analysis process; None while there is none, or where it is a thread."""
        return self._supervisor.pid if self._supervisor else None

    def message(self) -> dict[str, Any]:
        """Return the state of the run as plain data, as the stream tells it."""
        news = self._supervisor.news if self._supervisor else None
        free = free_mb(self.folder.path)
        shape = self._camera.shape
        status = self.status()
        return status_message(
            status,
            {
                "latency_ms": news.latency_ms if news else {},
                "validity": news.validity if news else {},
                "restarts": news.restarts if news else 0,
                "recording": self._recorder is not None,
                "disk_free_mb": free,
                "disk_mb_per_s": status.frames_per_s * shape[0] * shape[1] * 2 / 2**20,
                "exposure_ms": self._camera.exposure_ms,
                "warnings": self.news(),
            },
        )

    def _tell(self, stop: threading.Event) -> None:
        while not stop.wait(_TELL_S):
            if self._supervisor is not None:
                self._supervisor.tell(self.message())

    @property
    def stream_address(self) -> str | None:
        """Where results are published; None while nobody publishes."""
        return self._supervisor.news.stream_address if self._supervisor else None

    def news(self) -> list[str]:
        """Return all warnings and failures so far."""
        with self._lock:
            return [*self.report.failures, *self.report.warnings]

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the camera has ended; False if it has not within the time-out."""
        return self.ended.wait(timeout_s)

    def stop(self) -> None:
        """Turn the lasers dark and ask the camera to end; does not wait for it."""
        self._go_dark("the run was asked to end")
        if self._acquisition is not None:
            self._acquisition.worker.stop()

    def lasers_off(self, reason: str = "somebody switched the lasers off") -> None:
        """Turn all lasers dark and latch them; the recording goes on."""
        if self._steering is not None:
            self._steering.trip(reason)

    def aim(self, per_um2: float) -> None:
        """Hold another density from now on."""
        if self._steering is not None:
            self._steering.aim(per_um2)

    def reset_trip(self, reason: str) -> None:
        """Lift the latches after a trip, by the hand of a person; the lasers stay dark.

        Raises
        ------
        RtsmlmError
            If what made a guard trip is still there.
        """
        if self._steering is not None:
            self._steering.reset(reason)

    @property
    def tripped(self) -> bool:
        """True if a guard of laser or stage is latched."""
        return self._steering is not None and self._steering.tripped

    def _go_dark(self, reason: str) -> None:
        if self._steering is not None:
            self._steering.leave(reason)

    def _camera_ended(self, error: BaseException | None) -> None:
        self._go_dark("the camera ended" if error is None else f"the camera failed: {error}")
        if error is not None:
            text = str(error) if isinstance(error, RtsmlmError) else repr(error)
            self._fail(text)
            if not isinstance(error, RtsmlmError):
                _log.error("the camera thread died", exc_info=error)
        self.ended.set()

    def _warn(self, text: str) -> None:
        _log.warning("%s", text)
        with self._lock:
            self.report.warnings.append(text)

    def _fail(self, text: str) -> None:
        _log.error("%s", text)
        with self._lock:
            self.report.failures.append(text)

    # -- leaving -------------------------------------------------------------------------

    def close(self) -> RunReport:
        """Leave in order, finish the files and report. Twice is fine."""
        if self._closed:
            return self.report
        self._on_step("finishing the frames on their way")
        self._take_down()
        if self.ledger.totals().received:
            self._guarded(self._complete)
        self._account()
        return self.report

    def _take_down(self) -> None:
        self._closed = True
        self._go_dark("the run ends")
        self._teller.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join(5.0)
        if self._acquisition is not None:
            self._guarded(self._stop_camera)
        if self._supervisor is not None and self._ring is not None:
            self._ring.close_input()
            self._guarded(self._drain)
        if self._recorder is not None:
            self._guarded(self._recorder.close)
        if self._steering is not None:
            self._guarded(self._steering.close)
        if self._resolution is not None:
            self._guarded(self._resolution.close)
        if self._ring is not None:
            self._ring.close()
        self._guarded(lambda: self._teller.join(_TELLER_END_S))

    def _drain(self) -> None:
        supervisor = self._supervisor
        if supervisor is None:
            return
        supervisor.finish(_DRAIN_S)
        if supervisor.gave_up.is_set():
            self._fail(f"the analysis was given up: {supervisor.news.death}")

    def _stop_camera(self) -> None:
        acquisition = self._acquisition
        if acquisition is None:
            return
        acquisition.worker.stop()
        if not acquisition.worker.ended(_CAMERA_STOP_S):
            acquisition.recorder_is_stuck.set()
            acquisition.worker.join(_CAMERA_STOP_S)

    def _guarded(self, step: Callable[[], object]) -> None:
        """Run one step of leaving; its failure is reported and does not stop the next."""
        try:
            step()
        except RtsmlmError as error:
            self._fail(str(error))
        except Exception as error:
            _log.exception("leaving the run")
            self._fail(f"{type(error).__name__}: {error}")

    def _complete(self) -> None:
        """Make the table whole, and of it image and exports."""
        sigma_nm = self._supervisor.news.sigma_nm if self._supervisor else None
        table = self.folder.localizations
        keep_table(table, self._camera.shape, self.calibration.pixel_nm)
        recorded = self._recorder is not None and self._recorder.n_written > 0
        if recorded and self.settings.results.catch_up and len(self.ledger.skipped()):
            self._guarded(lambda: self._catch_up(sigma_nm))
        self._summary = finish_table(
            table,
            self._camera.shape,
            pixel_nm=self.calibration.pixel_nm,
            image_pixel_nm=self.settings.results.image_pixel_nm,
            formats=self.settings.results.export,
            on_step=self._on_step,
        )

    def _catch_up(self, sigma_nm: float | None) -> None:
        skipped = len(self.ledger.skipped())
        if not self.settings.localizer.name.endswith(("-mle", "-lsq")):
            self._warn(
                f"the network could not follow the camera: {skipped} frames were localized after "
                "the run; to see all of them live take a smaller region of interest, or set "
                "localizer.name=flagship-2d-fast, or gaussian-mle (astigmatic-mle with z)"
            )
        self._on_step(f"catching up on {skipped} skipped frames")
        if sigma_nm is None:
            raise AnalysisError("skipped frames cannot be caught up: the PSF width is not known")

        def make_localizer() -> Localizer:
            return open_localizer(self.settings, self.calibration, sigma_nm)

        table = self.folder.localizations
        with open_movie(self.folder.raw, self.settings.movie) as movie:
            catch_up(movie, self.ledger, table, make_localizer, self._on_progress)

    def _account(self) -> None:
        report, news = self.report, self._supervisor.news if self._supervisor else None
        report.totals = self.ledger.totals()
        report.verdict = self.ledger.verdict(recording=self._recorder is not None)
        if news is not None:
            report.latency_ms = dict(news.latency_ms)
            report.validity = news.validity
            report.stream_address = news.stream_address
            report.localizations = news.localizations
            if news.sigma_nm is not None:
                self.settings = with_sigma(self.settings, news.sigma_nm)
        if self._steering is not None and (laser := self._steering.latency_ms())["count"]:
            report.latency_ms["laser"] = laser
        failed_frames = news.failed_frames if news else 0
        self._judge_skipped(report.totals.skipped, failed_frames)
        write_accounts(
            self.folder,
            report,
            self.ledger,
            self.settings,
            camera={"name": self._camera.name, **self._camera.describe()},
            summary=self._summary,
            guarded=self._guarded,
        )

    def _judge_skipped(self, skipped: int, failed: int) -> None:
        if not skipped:
            return
        if failed or (self._recorder is not None and self.settings.results.catch_up):
            self._fail(f"{skipped} frames could not be localized; ledger.json tells which")
        elif self._recorder is None:
            self._warn(
                f"{skipped} frames were skipped and, not being recorded, could not be caught up; "
                "set record.raw=true, or choose a smaller region or a longer exposure"
            )
        else:
            self._warn(
                f"{skipped} frames wait to be caught up (results.catch_up=false); rtsmlm "
                f"reconstruct {self.folder.path} localizes all of them"
            )

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
