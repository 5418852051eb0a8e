"""Recovery: table, ledger, image and report of a run that was cut, from whatever is left of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtsmlm.calibration import CameraCalibration, StatedCalibration
from rtsmlm.errors import ConfigError, FileFormatError, LocalizerError, RtsmlmError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.owner import owner_of
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.run.state import CUT_AT, RUN_SO_FAR, RunState, read_ledger, run_state
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_metadata
from rtsmlm.files.tables.arrow_schema import table_metadata
from rtsmlm.files.tables.export import export
from rtsmlm.files.wrong_pixels import as_run_masked
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.fitting.psf_meter import PsfMeter
from rtsmlm.offline import remains
from rtsmlm.offline.catch_up import catch_up
from rtsmlm.offline.cut_run import CutRun, LastLedger
from rtsmlm.offline.finish_table import finish_table
from rtsmlm.offline.layers import write_layers
from rtsmlm.offline.localize_again import localize_again
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.results import draw_table, write_accounts
from rtsmlm.pipeline.localizer import extra_columns_stated, open_localizer, with_localizer
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.worker import one_line
from rtsmlm.settings.load import load
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings

_log = logging.getLogger(__name__)


class Recovery:
    """A run that was cut, and its completion. Use as a context manager.

    Parameters
    ----------
    path
        The run folder.
    config
        Settings of the run, where its own `run.toml` is missing or damaged.

    Raises
    ------
    ConfigError
        If there is no run, if it goes on, if it ended in order, or if its settings are not known.
    SinkError
        If the folder cannot be written to.
    """

    def __init__(self, path: Path, config: Path | None = None) -> None:
        self.folder = RunFolder(path)
        self.state = _checked(self.folder)
        self.settings = _settings(self.folder, config)
        self.folder.claim_existing()
        self.failures: list[str] = []
        """What could not be recovered, one sentence each."""
        self.notes: list[str] = []
        """What was found, one sentence each."""
        self._data = read_ledger(self.folder) or {}
        so_far = self._data.get(RUN_SO_FAR)
        self._so_far: dict[str, Any] = so_far if isinstance(so_far, dict) else {}
        self._movie: Movie | None = None
        self._calibration: CameraCalibration | None = None

    def run(self, on_progress: Callable[[int, int], None], on_step: Callable[[str], None]) -> str:
        """Complete the files of the run and return the verdict in one line.

        May be repeated: it finds the same each time.

        Parameters
        ----------
        on_progress
            Called with frames done and to do, while recorded frames are localized.
        on_step
            Called with the name of what is being done.
        """
        folder, notes = self.folder, self.notes
        on_step("waiting for the analysis of the run to end")
        remains.wait_for_analysis(self._so_far)
        on_step("reading what is left")
        remains.tidy(folder)
        movie = self._movie = remains.open_recording(folder, self.settings, notes)
        if movie is not None:
            self._try(lambda: remains.finish_raw(folder, movie))
        with_rows, n_rows = remains.close_table(folder, notes)
        cut = CutRun(
            LastLedger.of(self._data | {"localizations": self._so_far.get("localizations")}),
            None if movie is None else remains.frames_of(movie),
            remains.indexed(folder, notes),
            with_rows,
            n_rows,
        )
        if not self._data:
            self.notes.append(
                "ledger.json is missing or damaged: frames that are in no file count as lost"
            )
        ledger = cut.ledger()
        for localizer in self._localizers():
            ledger.note_localizer(localizer)
        if movie is not None and (len(ledger.skipped()) or self._assumed_before):
            self._try(lambda: self._catch_up(movie, ledger, on_step, on_progress))
        table = folder.localizations
        self._try(lambda: notes.extend(finish_table(table, self.settings, on_step)))
        if formats := self.settings.results.export:
            on_step("exports")
            self._try(lambda: export(table, formats, folder.path))
        summary = TableSummary()
        on_step("image")
        self._try(lambda: self._draw(summary))
        if self.settings.results.image_models:
            self._try(lambda: self._write_layers(on_step))
        on_step("report")
        return self._account(ledger, summary)

    @property
    def _assumed_before(self) -> int:
        """Frames before this one were localized with a PSF width that was assumed."""
        before = self._so_far.get("assumed_before")
        return before if isinstance(before, int) and before > 0 else 0

    def _localizers(self) -> list[dict[str, Any]]:
        """Return what had localized before the cut."""
        noted = self._data.get("localizers")
        return [n for n in noted if isinstance(n, dict)] if isinstance(noted, list) else []

    def _catch_up(
        self,
        movie: Movie,
        ledger: Ledger,
        on_step: Callable[[str], None],
        on_progress: Callable[[int, int], None],
    ) -> None:
        calibration = self._resolved()
        calibration.check_frame_shape(movie.shape)
        sigma_nm = self._sigma_nm(movie, calibration)
        refined = self._so_far.get("psf_refined") or {}
        settings = resolve(self.settings, calibration=calibration, sigma_nm=sigma_nm)
        self.settings = settings = resolve(settings, refined=refined)
        on_step(f"localizing {len(ledger.skipped())} recorded frames")
        used = [str(n["name"]) for n in self._localizers() if "name" in n]

        def make_localizer() -> Localizer:
            chosen = with_localizer(settings, used[-1]) if used else settings
            return open_localizer(chosen, calibration, sigma_nm)

        table = self.folder.localizations
        if not table.exists():
            name, pixel_nm = self.folder.path.name, calibration.pixel_nm
            curves, stated = settings.psf.astigmatism, settings.experiment.stated()
            extras = extra_columns_stated(settings)
            metadata = table_metadata(name, movie.shape, pixel_nm, sigma_nm, curves, stated, extras)
            ArrowStreamFile(table, metadata).close()
        localize_again(movie, ledger, table, make_localizer, self._assumed_before)
        catch_up(movie, ledger, table, make_localizer, on_progress)
        if n_left := len(ledger.skipped()):
            raise LocalizerError(f"{n_left} frames could not be localized; ledger.json lists them")

    def _sigma_nm(self, movie: Movie, calibration: CameraCalibration) -> float:
        """Return the PSF width of the run: as set, as measured then, or measured now."""
        known, measured = self.settings.psf.known_sigma_nm, self._so_far.get("psf_sigma_nm")
        if known is not None and not (self.settings.psf.refine and measured):
            return known
        measured = measured or self._table().get("psf_sigma_nm")
        if isinstance(measured, float | int) and measured > 0:
            return float(measured)
        meter = PsfMeter(calibration, most_frames=movie.n_frames)
        width = None
        while width is None:
            width = meter.measure(next(iter(movie.batches(meter.n_wanted))).pixels)
        if width.note:
            self.notes.append(width.note)
        return width.sigma_nm

    def _table(self) -> dict[str, Any]:
        try:
            return dict(read_arrow_metadata(self.folder.localizations))
        except FileFormatError:
            return {}

    def _shape(self) -> tuple[int, int]:
        if self._movie is not None:
            return self._movie.shape
        shape = self._table().get("shape")
        if shape is None or not self.folder.localizations.exists():
            raise FileFormatError("there is neither a row nor a raw frame to make an image of")
        return int(shape[0]), int(shape[1])

    def _resolved(self) -> CameraCalibration:
        stated = StatedCalibration() if self._movie is None else self._movie.stated
        self.settings = resolve(self.settings, measured=self._so_far.get("camera_measured") or {})
        camera = self.settings.camera
        calibration = resolve_calibration(camera, stated)
        if self._movie is None:
            return calibration
        calibration = as_run_masked(calibration, camera, self.folder.path, self._movie.shape)
        self._movie.mend = PixelMender(calibration)
        return calibration

    def _write_layers(self, on_step: Callable[[str], None]) -> None:
        table = self.folder.localizations
        self.notes += write_layers(
            table, self._shape(), self._resolved(), self.settings, self._movie, on_step=on_step
        )

    def _draw(self, summary: TableSummary) -> None:
        pixel_nm = self._resolved().pixel_nm
        draw_table(
            self.folder.localizations,
            self._shape(),
            summary,
            pixel_nm=float(self._table().get("pixel_nm", pixel_nm)),
            image_pixel_nm=self.settings.results.image_pixel_nm,
        )

    def _account(self, ledger: Ledger, summary: TableSummary) -> str:
        totals = ledger.totals()
        last = self.state.last_frame
        cut_at = last if self.state.stage == "recovered" else max(last, totals.camera - 1)
        sentence = RunState("recovered", cut_at).note or ""
        if n_late := len(ledger.caught_up()):
            self.notes.append(f"{n_late} recorded frames were localized after the cut")
        if totals.lost_in_cut:
            self.notes.append(
                f"{totals.lost_in_cut} frames are lost in the cut: they were received, and no file "
                "has them"
            )
        report = RunReport(self.folder.path, totals=totals, localizations=summary.n_rows)
        report.verdict = f"{sentence}; {ledger.verdict(recording=self._movie is not None)}"
        report.failures = [sentence, *self.failures]
        messages = self._so_far.get("messages")
        report.warnings = [*self.notes, *(messages if isinstance(messages, list) else [])]
        latency, validity = self._so_far.get("latency_ms"), self._so_far.get("validity")
        report.latency_ms = latency if isinstance(latency, dict) else {}
        report.validity = validity if isinstance(validity, dict) else {}
        camera = self.settings.run.get("camera", {})
        write_accounts(
            self.folder,
            report,
            ledger,
            self.settings,
            camera={"name": self.settings.camera.driver, **camera},
            summary=summary,
            run_step=self._try,
            state="recovered",
            more={CUT_AT: cut_at, RUN_SO_FAR: self._so_far},
        )
        return report.verdict

    def _try(self, step: Callable[[], object]) -> None:
        """Run a step; its failure is noted, and the next is still done."""
        try:
            step()
        except Exception as error:
            if not isinstance(error, RtsmlmError):
                _log.exception("a step of the recovery failed")
            self.failures.append(one_line(error))

    def close(self) -> None:
        """Close the recording and give the folder back."""
        if self._movie is not None:
            self._movie.close()
        self.folder.release()

    def __enter__(self) -> Recovery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _checked(folder: RunFolder) -> RunState:
    """Return the state of a run that can be recovered.

    Raises
    ------
    ConfigError
        If there is no such run.
    """
    path, state = folder.path, run_state(folder.path)
    if state.stage == "none":
        raise ConfigError(f"{path} holds no run; give the folder of one, with its run.toml")
    if state.stage == "running":
        owner = owner_of(path)
        raise ConfigError(f"the run in {path} goes on ({owner}); it can be recovered if it is cut")
    if state.stage == "ended":
        raise ConfigError(f"the run in {path} ended in order; there is nothing to recover")
    return state


def _settings(folder: RunFolder, config: Path | None) -> RunSettings:
    if config is None and not folder.settings.is_file():
        raise ConfigError(
            f"{folder.settings} is missing, so that the settings of the run are not known; give "
            "those of a similar run with --config"
        )
    try:
        settings = load(config or folder.settings)
    except ConfigError as error:
        if config is not None:
            raise
        raise ConfigError(
            f"{one_line(error)}; give the settings of the run with --config"
        ) from error
    if "movie" in settings.run:
        raise ConfigError(
            f"{folder.path} holds the reconstruction of a movie, which was cut; run rtsmlm "
            "reconstruct again"
        )
    return settings
