"""Reconstruction: a recorded movie through the same localizer, file and image as a live run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rtsmlm.analysis.validity_monitor import ValidityMonitor
from rtsmlm.errors import FileFormatError, LocalizerError
from rtsmlm.files.camera_maps import DEFAULTS, load_camera_maps
from rtsmlm.files.movies.several import open_movies
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.files.tables.arrow_schema import table_metadata
from rtsmlm.files.tables.export import export
from rtsmlm.files.wrong_pixels import NAME as WRONG_PIXELS
from rtsmlm.files.wrong_pixels import write_wrong_pixels
from rtsmlm.fitting.frame_counts import FrameCounter
from rtsmlm.offline.finish_table import finish_table
from rtsmlm.offline.layers import write_layers
from rtsmlm.offline.movie_calibration import MovieCalibration
from rtsmlm.offline.parallel import OfflineLocalizers, batch_frames, with_neighbours
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.report.write import write_report
from rtsmlm.offline.results import draw_table
from rtsmlm.pipeline.localizer import extra_columns_stated, localizer_note, open_localizer
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings

_NO_PART = {
    "camera": {"driver"},
    **dict.fromkeys(
        (
            "micromanager", "acquisition", "replay", "pipeline", "record", "stream", "lasers",
            "stages", "feedback", "safety", "hil",
        ),
        True,
    ),
}  # fmt: skip
"""Settings that have no part in a reconstruction, so that `run.toml` claims no microscope."""


class Reconstruction:
    """A movie to be localized, or several that are read as one.

    Parameters
    ----------
    paths
        The movies, of any format that `open_movie` knows.
    settings
        Settings of the run; what they leave open is taken from the metadata of the movie.
    make_folder
        Makes the folder of the results, once the movie can be read.

    Raises
    ------
    FileFormatError
        If a movie cannot be read, or something about it differs and `movie.strict` is set.
    CalibrationError
        If the camera calibration does not fit it.
    """

    def __init__(
        self, paths: Sequence[Path], settings: RunSettings, make_folder: Callable[[], RunFolder]
    ) -> None:
        # A file without a header does not state its shape; the maps of its camera do.
        maps = [m for m in load_camera_maps(settings.camera.maps) if m is not None]
        known_shape = (maps[0].shape[0], maps[0].shape[1]) if maps else None
        self._movie = open_movies(paths, settings.movie, known_shape=known_shape)
        try:
            camera = settings.camera
            self._movie.settle({name for name in DEFAULTS if getattr(camera, name) is not None})
            self._check_account(settings.movie.strict)
            self._calibrate(settings)
            self.folder = make_folder()
        except BaseException:
            self._movie.close()
            raise

    def _check_account(self, is_strict: bool) -> None:
        """Take what differs to the notes; where it is to be an error, raise `FileFormatError`."""
        self.notes = [*self._movie.account.differences, *self._movie.notes]
        if is_strict and self._movie.account.differences:
            raise FileFormatError(
                f"{self._movie.path} is refused (--strict, movie.strict): "
                + "; ".join(self._movie.account.differences)
            )

    def _calibrate(self, settings: RunSettings) -> None:
        """Find the calibration of the movie, and compare it with its first frames."""
        self.n_frames = self._movie.n_frames
        self._counter = FrameCounter(self._movie.shape)
        self._found = MovieCalibration(self._movie, settings)
        self.calibration, self.settings = self._found.calibration, self._found.settings
        self.notes += self._found.notes
        height, width = self._movie.shape
        more = " and those read with it" if "movies" in self._movie.details else ""
        self.title = f"{self._movie.path}{more}: {self.n_frames} frames of {width}x{height}"

    def _keep_wrong_pixels(self) -> None:
        """Keep the masked pixels with the results, and name the file in their settings."""
        if not self._found.wrong_pixels.any():
            return
        write_wrong_pixels(self.folder.path / WRONG_PIXELS, self._found.wrong_pixels)
        # Relative to run.toml, so that the folder may be moved.
        named = {"wrong_pixels": Path(WRONG_PIXELS)}
        camera = self.settings.camera.model_copy(update=named)
        self.settings = self.settings.model_copy(update={"camera": camera})

    def run(self, on_progress: Callable[[int, int], None], on_step: Callable[[str], None]) -> str:
        """Localize all frames, write table, image and exports; return the verdict in one line.

        Parameters
        ----------
        on_progress
            Called with the number of frames done and of localizations found.
        on_step
            Called with the name of what is being done.
        """
        movie, folder = self._movie, self.folder
        n_notes = len(self._found.notes)
        sigma_nm = self._found.sigma_nm()
        self.notes += self._found.notes[n_notes:]
        self.settings = resolve(self.settings, sigma_nm=sigma_nm)
        if note := localizer_note(self.settings, self.calibration, sigma_nm):
            self.notes.append(note)
        self._keep_wrong_pixels()
        self._write_settings({})
        ledger = Ledger()
        watch = ValidityMonitor(
            self.settings, self.calibration, sigma_nm, self.notes.append, self._found.doubt
        )
        n_rows, failed = self._localize(sigma_nm, ledger, watch, on_progress)
        validity = watch.judge(final=True)
        if validity:
            folder.write_json(folder.validity, validity)
        for frame, _ in failed:
            ledger.fail(frame, frame + 1)
        counts = self._counter.counts()
        if counted := counts.remarks(self.n_frames):  # they take the place of the early ones
            early = self._found.early
            self.notes[:] = [note for note in self.notes if note not in early] + counted
        table, settings = folder.localizations, self.settings
        self.notes += finish_table(table, settings, on_step)
        summary = TableSummary()
        on_step("image")
        draw_table(
            table,
            movie.shape,
            summary,
            pixel_nm=self.calibration.pixel_nm,
            image_pixel_nm=settings.results.image_pixel_nm,
        )
        if settings.results.export:
            on_step("exports")
            export(table, settings.results.export, folder.path)
        self.notes += write_layers(
            table, movie.shape, self.calibration, settings, movie, on_step=on_step
        )
        totals = ledger.totals()
        missing = f" ({totals.lost} more are missing)" if totals.lost else ""
        verdict = (
            f"{n_rows} localizations in {totals.localized} of {self.n_frames} frames{missing}, "
            f"PSF sigma {sigma_nm:.0f} nm"
        )
        self._write_accounts(ledger, summary, validity, verdict, good=not failed)
        on_step("done")
        self._check(ledger, failed)
        return verdict

    def _write_accounts(
        self,
        ledger: Ledger,
        summary: TableSummary,
        validity: dict[str, Any],
        verdict: str,
        *,
        good: bool,
    ) -> None:
        counts = self._counter.counts()
        self._write_settings({"pixels": asdict(counts), "verdict": verdict, "notes": self.notes})
        self.folder.write_json(self.folder.ledger, ledger.as_dict())
        write_report(
            self.folder.path,
            title=self.title,
            verdict=verdict,
            good=good,
            notes=self.notes,
            ledger=ledger.as_dict(),
            latency_ms={},
            validity=validity,
            n_frames=ledger.totals().camera,
            table=summary,
            counts=counts,
            account=self._movie.account,
        )

    def _write_settings(self, run: Mapping[str, object]) -> None:
        """Write the settings that have a part in a reconstruction, and the account of the movie."""
        movie = {"movie": dict(self._movie.describe()), **run}
        self.folder.write_settings(self.settings, movie, leave_out=_NO_PART)

    def _check(self, ledger: Ledger, failed: list[tuple[int, str]]) -> None:
        """Raise if not every frame of the movie has been localized."""
        if failed:
            raise LocalizerError(
                f"{len(failed)} of {self.n_frames} frames could not be localized, the first is "
                f"{failed[0][0]}: {failed[0][1]}; all others are in {self.folder.path}"
            )
        n_localized = ledger.totals().localized
        if n_localized != self.n_frames:
            raise FileFormatError(
                f"{self._movie.path} promised {self.n_frames} frames and gave {n_localized}; "
                f"what there is lies in {self.folder.path}"
            )

    def _localize(
        self,
        sigma_nm: float,
        ledger: Ledger,
        watch: ValidityMonitor,
        on_progress: Callable[[int, int], None],
    ) -> tuple[int, list[tuple[int, str]]]:
        """Localize all frames into the table; return the number of rows and what failed."""
        movie, folder = self._movie, self.folder
        n_done = n_rows = 0
        failed: list[tuple[int, str]] = []

        def make_localizer() -> Localizer:
            return open_localizer(self.settings, self.calibration, sigma_nm)

        settings = self.settings
        metadata = table_metadata(
            folder.path.name, movie.shape, self.calibration.pixel_nm, sigma_nm,
            settings.psf.astigmatism, settings.experiment.stated(), extra_columns_stated(settings),
        )  # fmt: skip
        with ArrowStreamFile(folder.localizations, metadata) as table:
            localizers = OfflineLocalizers(make_localizer)
            chosen = {"name": settings.localizer.name, "label": localizers.name}
            ledger.note_localizer({"from_frame": 0, **chosen, "psf_sigma_nm": sigma_nm})
            batches = movie.batches(batch_frames(movie.shape))
            windows = with_neighbours(batches, localizers.neighbours)
            for batch, localizations in localizers.localize(
                windows, lambda frame, why: failed.append((frame, why))
            ):
                for index in batch.index.tolist():
                    ledger.receive(index, queued=True)
                    ledger.record(index, index + 1)
                ledger.release(len(batch))
                table.put(localizations)
                watch.sample(localizations, batch)
                self._counter.add(batch.pixels)
                n_done += len(batch)
                n_rows += len(localizations)
                on_progress(n_done, n_rows)
        self._counter.look()
        return n_rows, failed

    def close(self) -> None:
        """Close the movie, and give the folder of the results back."""
        self._movie.close()
        self.folder.release()

    def __enter__(self) -> Reconstruction:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
