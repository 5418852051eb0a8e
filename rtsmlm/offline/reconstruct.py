"""Reconstruction: a recorded movie through the same localizer, file and image as a live run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
from rtsmlm.fitting.psf_meter import PsfWidth
from rtsmlm.offline.findings import Findings
from rtsmlm.offline.finish_table import finish_table
from rtsmlm.offline.layers import write_layers
from rtsmlm.offline.movie_calibration import MovieCalibration
from rtsmlm.offline.parallel import OfflineLocalizers, localize_part
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.report.write import write_report
from rtsmlm.offline.results import draw_table
from rtsmlm.pipeline.localizer import extra_columns_stated, localizer_note, open_localizer
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
        self.run_entries: dict[str, object] = {}
        """Further entries of `run.toml`, section [run]."""
        self.movie = open_movies(paths, settings.movie, known_shape=known_shape)
        """The movie, open."""
        try:
            camera = settings.camera
            self.movie.settle({name for name in DEFAULTS if getattr(camera, name) is not None})
            self._check_account(settings.movie.strict)
            self._calibrate(settings)
            self.folder = make_folder()
        except BaseException:
            self.movie.close()
            raise

    def _check_account(self, is_strict: bool) -> None:
        """Take what differs to the notes; where it is to be an error, raise `FileFormatError`."""
        self.notes = [*self.movie.account.differences, *self.movie.notes]
        if is_strict and self.movie.account.differences:
            raise FileFormatError(
                f"{self.movie.path} is refused (--strict, movie.strict): "
                + "; ".join(self.movie.account.differences)
            )

    def _calibrate(self, settings: RunSettings) -> None:
        """Find the calibration of the movie, and compare it with its first frames."""
        self.n_frames = self.movie.n_frames
        self._counter = FrameCounter(self.movie.shape)
        self._found = MovieCalibration(self.movie, settings)
        self.calibration, self.settings = self._found.calibration, self._found.settings
        self.notes += self._found.notes
        height, width = self.movie.shape
        more = " and those read with it" if "movies" in self.movie.details else ""
        self.title = f"{self.movie.path}{more}: {self.n_frames} frames of {width}x{height}"

    def keep_wrong_pixels(self) -> None:
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
        sigma_nm = self.measure().sigma_nm
        self.keep_wrong_pixels()
        self._write_settings({})
        localizers = OfflineLocalizers(
            lambda: open_localizer(self.settings, self.calibration, sigma_nm)
        )
        findings = self.findings(sigma_nm, localizers.name)
        with ArrowStreamFile(self.folder.localizations, self.table_metadata(sigma_nm)) as table:
            for batch, rows in localize_part(self.movie, localizers, findings.fail):
                table.put(rows)
                findings.add(batch, rows)
                on_progress(findings.n_frames, findings.n_rows)
        return self.complete(findings, sigma_nm, on_step)

    def measure(self, psf: PsfWidth | None = None) -> PsfWidth:
        """Measure the PSF, unless it is known, and put it among the settings in force.

        Parameters
        ----------
        psf
            The PSF where it was measured before, by the same settings.
        """
        if psf is None:
            n_notes = len(self._found.notes)
            psf = self._found.psf()
            self.notes += self._found.notes[n_notes:]
        elif psf.told:
            self.notes.append(psf.told)
        self.settings = resolve(self.settings, sigma_nm=psf.sigma_nm, refined=psf.values)
        if note := localizer_note(self.settings, self.calibration, psf.sigma_nm):
            self.notes.append(note)
        return psf

    def findings(self, sigma_nm: float, label: str) -> Findings:
        """Return what collects the findings of all frames beside their rows, empty so far.

        Parameters
        ----------
        sigma_nm
            Standard deviation of the PSF in force.
        label
            Of the localizer.
        """
        warn, doubt = self.notes.append, self._found.doubt
        found = Findings(self.settings, self.calibration, sigma_nm, self._counter, warn, doubt)
        chosen = {"name": self.settings.localizer.name, "label": label}
        found.ledger.note_localizer({"from_frame": 0, **chosen, "psf_sigma_nm": sigma_nm})
        return found

    def table_metadata(self, sigma_nm: float) -> dict[str, object]:
        """Return what the table states of its rows."""
        settings, calibration = self.settings, self.calibration
        return table_metadata(
            self.folder.path.name, self.movie.shape, calibration.pixel_nm, sigma_nm,
            settings.psf.astigmatism, settings.experiment.stated(), extra_columns_stated(settings),
        )  # fmt: skip

    def complete(self, findings: Findings, sigma_nm: float, on_step: Callable[[str], None]) -> str:
        """Write image, exports, layers and accounts of the table; return the verdict in one line.

        Raises
        ------
        LocalizerError, FileFormatError
            If a frame of the movie has not been localized. All files are written then, too.
        """
        movie, folder, settings = self.movie, self.folder, self.settings
        findings.finish()
        validity = findings.validity.judge(final=True)
        if validity:
            folder.write_json(folder.validity, validity)
        counts = self._counter.counts()
        if counted := counts.remarks(self.n_frames):  # they take the place of the early ones
            early = self._found.early
            self.notes[:] = [note for note in self.notes if note not in early] + counted
        table = folder.localizations
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
        totals = findings.ledger.totals()
        missing = f" ({totals.lost} more are missing)" if totals.lost else ""
        verdict = (
            f"{findings.n_rows} localizations in {totals.localized} of {self.n_frames} frames"
            f"{missing}, PSF sigma {sigma_nm:.0f} nm"
        )
        self._write_accounts(findings.ledger, summary, validity, verdict, good=not findings.failed)
        on_step("done")
        self._check(findings.ledger, findings.failed)
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
            account=self.movie.account,
        )

    def _write_settings(self, run: Mapping[str, object]) -> None:
        """Write the settings that have a part in a reconstruction, and the account of the movie."""
        movie = {"movie": dict(self.movie.describe()), **run, **self.run_entries}
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
                f"{self.movie.path} promised {self.n_frames} frames and gave {n_localized}; "
                f"what there is lies in {self.folder.path}"
            )

    def close(self) -> None:
        """Close the movie, and give the folder of the results back."""
        self.movie.close()
        self.folder.release()

    def __enter__(self) -> Reconstruction:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
