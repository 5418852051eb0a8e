"""RunFinalizer: the work after the last frame of a run: catching up, files, accounts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import PipelineError, RtsmlmError
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.tables.export import export
from rtsmlm.files.wrong_pixels import NAME as WRONG_PIXELS
from rtsmlm.files.wrong_pixels import with_wrong_pixels
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.offline.catch_up import catch_up
from rtsmlm.offline.finish_table import finish_table
from rtsmlm.offline.layers import write_layers
from rtsmlm.offline.localize_again import localize_again
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.results import draw_table, keep_table, write_accounts
from rtsmlm.pipeline.camera_look import with_values
from rtsmlm.pipeline.localizer import extra_columns_stated, open_localizer, with_localizer
from rtsmlm.protocols import Camera, Localizer
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.worker import one_line
from rtsmlm.session.final_status import publish_final_status
from rtsmlm.session.frame_path import FramePath
from rtsmlm.session.notices import Notices
from rtsmlm.session.running_accounts import RunningAccounts
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings


@dataclass(kw_only=True)
class RunFinalizer:
    """Finish the files of a run, and account for its frames."""

    camera: Camera
    shape: tuple[int, int]
    """Height and width of the frames of this run, whatever the camera has now."""
    calibration: CameraCalibration
    settings: RunSettings
    """Settings in force."""
    folder: RunFolder
    ledger: Ledger
    report: RunReport
    notices: Notices
    path: FramePath
    """Drained: what the analysis has reported, and whether and what was recorded."""
    accounts: RunningAccounts
    """Of the run while it went on; they end with the last ones."""
    on_step: Callable[[str], None]
    on_progress: Callable[[int, int], None]
    _summary: TableSummary = field(default_factory=TableSummary, init=False)

    def complete(self) -> None:
        """Complete the table with the skipped frames, and write the exports and layers asked for.

        Room for the accounts stays reserved meanwhile, so that these cannot take it.
        """
        run_step, results = self.notices.run_step, self.settings.results
        run_step(self._take_camera)
        table = self.folder.localizations
        extras = extra_columns_stated(self.settings)
        run_step(lambda: keep_table(table, self.shape, self.calibration.pixel_nm, extras))
        is_broken_off = self.path.broken_off.is_set
        if self.path.progress.assumed_before:
            run_step(self._localize_again)
        if self.path.n_recorded and results.catch_up and len(self.ledger.skipped()):
            run_step(self._catch_up)
        if not is_broken_off():
            run_step(self._finish_table)
        if results.export and not is_broken_off():
            self.on_step("exports")
            run_step(lambda: export(table, results.export, self.folder.path))
        if results.image_models:
            run_step(self._write_layers)
        if is_broken_off():
            self._note_what_is_left()

    def _finish_table(self) -> None:
        for note in finish_table(self.folder.localizations, self.settings, self.on_step):
            self.notices.inform(note)

    def _take_camera(self) -> None:
        """Go on with what the first frames have told of the camera."""
        found = self.path.progress.camera
        calibration, camera = self.calibration, self.settings.camera
        if found is not None:
            self.settings = resolve(self.settings, measured=found.values)
            calibration = with_values(calibration, found.values)
            if found.has_wrong_pixels:
                # Relative to run.toml, so that the folder may be moved.
                own = self.settings.camera.model_copy(update={"wrong_pixels": Path(WRONG_PIXELS)})
                self.settings = self.settings.model_copy(update={"camera": own})
                camera = camera.model_copy(update={"wrong_pixels": self.folder.path / WRONG_PIXELS})
        self.calibration = with_wrong_pixels(calibration, camera, self.shape)

    def _open_recording(self) -> Movie:
        """Return the recording of the run, whose frames are mended as in the run."""
        movie = open_movie(self.folder.raw, self.settings.movie)
        movie.mend = PixelMender(self.calibration)
        return movie

    def _note_what_is_left(self) -> None:
        """Say what was not done after the last frame, and what does it."""
        skipped = self.ledger.totals().skipped
        left = [f"{skipped} frames are not localized"] if skipped else []
        if self.settings.results.export:
            left.append("the table may not be exported")
        if self.settings.drift.correct or self.settings.linking.write:
            left.append("drift and linking are as they were live")
        if left:
            self.notices.warn(
                f"the end of the run was broken off: {', '.join(left)}; rtsmlm reconstruct "
                f"{self.folder.path} does all of it"
            )

    def _write_layers(self) -> None:
        """Complete the layers that have grown in the run, as far as the frames are there.

        Where the end was broken off it notes alone which are left, and what makes them.
        """

        def write(movie: Movie | None) -> None:
            notes = write_layers(
                self.folder.localizations,
                self.shape,
                self.calibration,
                self.settings,
                movie,
                on_step=self.on_step,
                is_broken_off=self.path.broken_off.is_set,
            )
            for note in notes:
                self.notices.warn(note)

        if not (self.path.n_recorded and self.settings.results.catch_up):
            write(None)
            return
        with self._open_recording() as movie:
            write(movie)

    def _draw(self) -> None:
        self.on_step("image")
        draw_table(
            self.folder.localizations,
            self.shape,
            self._summary,
            pixel_nm=self.calibration.pixel_nm,
            image_pixel_nm=self.settings.results.image_pixel_nm,
        )

    def _localize_again(self) -> None:
        """Bring the frames before the measured PSF width to that width, or say that they are not.

        It fails no run: their rows are there, and only somewhat less exact.
        """
        before, is_broken_off = self.path.progress.assumed_before, self.path.broken_off.is_set
        sigma_nm, is_done, why = self.path.progress.sigma_nm or math.nan, False, ""
        if self.path.n_recorded and self.settings.results.catch_up and not is_broken_off():
            self.on_step(f"localizing the frames before {before} again, with the PSF as measured")
            try:
                with self._open_recording() as movie:
                    is_done = localize_again(
                        movie, self.ledger, self.folder.localizations,
                        self._open_localizer,
                        before, is_broken_off=is_broken_off,
                    )  # fmt: skip
            except RtsmlmError as error:
                why = f" ({one_line(error)})"
        if not is_done and self.path.progress.camera is not None:
            self.notices.warn(
                f"frames before {before} are localized without what was measured on them of the "
                f"camera and the PSF{why}"
            )
        elif not is_done:
            self.notices.warn(
                f"frames before {before} are localized with an assumed PSF width: that of "
                f"{sigma_nm:.0f} nm was measured on them, and is in force from there on{why}; set "
                "psf.sigma_nm to have one for all"
            )

    def _open_localizer(self) -> Localizer:
        """Return the localizer that was in force at the end, for frames that are left to do."""
        sigma_nm, used = self.path.progress.sigma_nm, self.path.progress.localizers
        if sigma_nm is None:
            raise PipelineError("skipped frames cannot be caught up: the PSF width is not known")
        settings = self.path.progress.with_psf(self.settings)
        settings = with_localizer(settings, used[-1].name) if used else settings
        return open_localizer(settings, self.calibration, sigma_nm)

    def _catch_up(self) -> None:
        if self.path.broken_off.is_set():
            return
        skipped = len(self.ledger.skipped())
        self.notices.warn(
            f"localization could not follow the camera: {skipped} frames were localized after the "
            "run; to see all of them live take a smaller region of interest, or a faster localizer "
            "(localizer.name): flagship-2d-fast, then gaussian-mle, or astigmatic-mle with z"
        )
        self.on_step(f"catching up on {skipped} skipped frames")
        table = self.folder.localizations
        with self._open_recording() as movie:
            catch_up(
                movie, self.ledger, table, self._open_localizer, self.on_progress,
                is_broken_off=self.path.broken_off.is_set,
            )  # fmt: skip

    def publish(self, status: Mapping[str, object]) -> None:
        """Publish how the run ended to those who listened, after the accounts were written."""
        publish_final_status(
            status,
            progress=self.path.progress,
            settings=self.settings,
            calibration=self.calibration,
            shape=self.shape,
            folder=self.folder,
            run_id=self.path.run_id,
        )

    def account(self, laser_latency_ms: dict[str, Any]) -> None:
        """Fill the report, and write image, ledger, latency, settings and the page.

        Parameters
        ----------
        laser_latency_ms
            From the end of the exposure to the command; empty where there was none.
        """
        report, progress = self.report, self.path.progress
        self.notices.run_step(self.accounts.stop)
        if self.ledger.totals().received:
            self.notices.run_step(self._draw)
        report.totals = self.ledger.totals()
        report.verdict = self.ledger.verdict(recording=self.path.recording)
        report.latency_ms = dict(progress.latency_ms)
        report.validity = progress.validity
        report.counts = progress.counts
        for remark in progress.counts.remarks(report.totals.received):
            self.notices.warn(remark)
        report.stream_address = progress.stream_address
        report.localizations = progress.localizations
        if laser_latency_ms:
            report.latency_ms["laser"] = laser_latency_ms
        self._judge_skipped(report.totals.skipped)
        write_accounts(
            self.folder,
            report,
            self.ledger,
            self.settings,
            camera=self._describe_camera(),
            summary=self._summary,
            run_step=self.notices.run_step,
        )

    def _describe_camera(self) -> dict[str, str]:
        try:
            return {"name": self.camera.name, **self.camera.describe()}
        except Exception as error:  # vendor code; the camera may be unplugged
            self.notices.warn(f"the camera cannot be described any more: {one_line(error)}")
            return {"name": self.camera.name}

    def _judge_skipped(self, skipped: int) -> None:
        if not skipped:
            return
        is_caught_up = self.settings.results.catch_up and not self.path.broken_off.is_set()
        if self.path.progress.failed_frames or (self.path.recording and is_caught_up):
            self.notices.fail(f"{skipped} frames could not be localized; ledger.json lists them")
        elif not self.path.recording:
            self.notices.warn(
                f"{skipped} frames were skipped and, not being recorded, could not be caught up; "
                "set record.raw=true, or choose a smaller region or a longer exposure"
            )
        elif not self.path.broken_off.is_set():
            self.notices.warn(
                f"{skipped} frames are still to be caught up (results.catch_up=false); rtsmlm "
                f"reconstruct {self.folder.path} localizes all of them"
            )
