"""Getting ready for the first frame: all is opened, compiled and used once before it may come."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.ladder import ladder
from rtsmlm.feedback.density.meter import LEAST_FRAMES
from rtsmlm.files.tables.arrow_schema import schema, to_batch
from rtsmlm.fitting.frame_counts import FrameCounter
from rtsmlm.fitting.psf_meter import PsfMeter, is_measured
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.camera_look import CameraLook
from rtsmlm.pipeline.events import Event, Warned
from rtsmlm.pipeline.in_force import InForce, LocalizerMaker
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.rate import keeps_up, measure_rate, simulated_frames
from rtsmlm.pipeline.start_events import Informed, Preparing
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.compiling import on_compiling
from rtsmlm.settings.run import RunSettings

_STEPS = 5
"""Where one localizer is tried, and the PSF width is known."""
_LEAST_FRAMES = 16
"""Simulated frames with enough emitters to measure a PSF width on, also where frames are small."""

_log = logging.getLogger(__name__)


class Start:
    """Prepares an analysis, step by step, and tells each.

    Parameters
    ----------
    job
        What the analysis is to do.
    calibration
        Calibration in force.
    shape
        Height and width of the frames.
    maker
        Makes localizers.
    emit
        Called with every event.
    """

    def __init__(
        self,
        job: PipelineJob,
        calibration: CameraCalibration,
        shape: tuple[int, int],
        maker: LocalizerMaker,
        emit: Callable[[Event], None],
    ) -> None:
        self._job, self._calibration, self._shape = job, calibration, shape
        self._settings: RunSettings = job.settings
        self._maker, self._emit = maker, emit
        self._done, self._total = 0, _STEPS
        self._step = ""
        self.rates: dict[str, float] = {}
        """Frames localized per second, by the name of each localizer that was tried."""

    def begin(self, step: str) -> None:
        """Tell that a step begins, and that those before it are done."""
        if self._step:
            self._done += 1
            self._total = max(self._total, self._done + 1)
        self._step = step
        self._tell()

    def _tell(self, function: str = "") -> None:
        self._emit(Preparing(self._step, self._done, self._total, function))

    def run(self, sigma_nm: float, *, is_known: bool) -> InForce:
        """Return the localizer of the first frame, after all that follows it was used once.

        Parameters
        ----------
        sigma_nm
            PSF width to begin with.
        is_known
            Whether it is the one of the data; else it is measured on the first frames.

        Raises
        ------
        RtsmlmError
            If the localizer cannot be opened.
        """
        self.begin("frames to try it on")
        with on_compiling(self._tell):
            n_frames = self._settings.pipeline.batch_frames
            frames = simulated_frames(
                self._shape, self._calibration, sigma_nm, max(n_frames, _LEAST_FRAMES)
            )
            name, localizer = self._localizer(sigma_nm, frames)
            self.begin("meters of density, model and frames")
            first = self._maker.with_meters(name, localizer, sigma_nm, is_assumed=not is_known)
            self._rehearse(first, frames, with_psf=is_measured(self._settings))
            return first

    def _localizer(self, sigma_nm: float, frames: FrameBatch) -> tuple[str, Localizer]:
        """Return the best localizer that keeps up with the camera; if none does, the fastest."""
        if self._job.localizer is not None:  # of an analysis that died
            self.begin(f"localizer {self._job.localizer}")
            return self._job.localizer, self._maker.open(self._job.localizer, sigma_nm)
        tried: dict[str, Localizer] = {}
        for name in ladder(self._settings, self._calibration, sigma_nm):
            self.begin(f"localizer {name}")
            tried[name] = self._maker.open(name, sigma_nm)
            self.begin(f"rate of {name}")
            self.rates[name] = self._rate(tried[name], frames)
            if keeps_up(self.rates[name], self._camera_frames_per_s):
                break
        name = max(self.rates, key=lambda n: -math.inf if math.isnan(r := self.rates[n]) else r)
        if keeps_up(self.rates[name], self._camera_frames_per_s):
            name = list(self.rates)[-1]
        self._say(name)
        return name, tried[name]

    def _rate(self, localizer: Localizer, frames: FrameBatch) -> float:
        try:
            return measure_rate(localizer, frames.frames(0, self._settings.pipeline.batch_frames))
        except Exception:  # that of a lab raises what it likes, and the frames may suit it better
            _log.exception("the rate of %s is not known", localizer.name)
            return math.nan

    @property
    def _camera_frames_per_s(self) -> float:
        wanted = self._job.camera_frames_per_s
        return math.nan if wanted is None else wanted

    def _say(self, name: str) -> None:
        """Say in one line which localizer was taken, and whether it will keep up."""
        camera, rate, (height, width) = self._camera_frames_per_s, self.rates[name], self._shape
        text = f"{name} localizes {rate:.0f} frames/s of {width} x {height} pixels here"
        if math.isnan(rate) or math.isnan(camera):
            self._emit(Informed(text if not math.isnan(rate) else f"{name} localizes"))
            return
        text += f", measured on simulated ones; the camera delivers {camera:.0f}"
        if keeps_up(rate, camera):
            slower = [f"{other} {r:.0f}" for other, r in self.rates.items() if other != name]
            text += f" ({', '.join(slower)} frames/s)" if slower else ""
            self._emit(Informed(text))
            return
        self._emit(
            Warned(
                f"{text}: beside everything else it will hardly keep up, and frames that are "
                "skipped are localized after the run; take a smaller region, a longer exposure, or "
                "a faster localizer (localizer.name)"
            )
        )

    def _rehearse(self, first: InForce, frames: FrameBatch, *, with_psf: bool) -> None:
        """Use all that works on frames and rows once, on simulated frames and other instances."""
        try:
            rows = first.localizer(frames)
        except Exception:
            _log.exception("%s could not be tried", first.name)
            return
        to_batch(rows, schema()).serialize()
        self._rehearse_meters(first, frames, rows)
        counter = FrameCounter(self._shape)
        counter.add(frames.pixels)
        counter.look()
        self.begin("look at the camera")
        camera = self._settings.camera
        look = CameraLook(self._calibration, camera, (), self._shape, most_frames=len(frames))
        look.rehearse(frames.pixels.copy())
        if with_psf:
            self.begin("measurement of the PSF")
            psf, n = self._settings.psf, len(frames)
            PsfMeter(self._calibration, most_frames=n, psf=psf).measure(frames.pixels)

    def _rehearse_meters(self, first: InForce, frames: FrameBatch, rows: Localizations) -> None:
        """Let meters whose answers go nowhere see rows until a tick of the loop is over."""
        silent = LocalizerMaker(self._settings, self._calibration, self._shape, lambda text: None)
        meters = silent.with_meters(first.name, first.localizer, first.sigma_nm)
        tick_ns = int(self._settings.feedback.tick_s * 1e9)
        for k in range(LEAST_FRAMES + 1):
            times = np.full(len(frames), (k + 1) * tick_ns, dtype=np.int64)
            meters.density.add(rows, replace(frames, t_exposure_end_ns=times))
        meters.validity.sample(rows, frames)
        meters.validity.judge(final=True)
