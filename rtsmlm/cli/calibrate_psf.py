"""`rtsmlm calibrate psf`: the PSF width, the astigmatic curves, or a whole PSF, from beads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rtsmlm.calibrate.astigmatic import RUN_BACKGROUND, Astigmatism, calibrate_in_run_boxes
from rtsmlm.calibrate.bead_windows import Planes
from rtsmlm.calibrate.beads import BeadWidths, full_beads, measure_beads
from rtsmlm.calibrate.psf import calibrate_focus, calibrate_in_focus
from rtsmlm.calibration import CameraCalibration
from rtsmlm.cli.calibrate_psf_report import Doubts, report_astigmatic, report_focus
from rtsmlm.cli.calibrate_psf_table import TableRequest, write_table
from rtsmlm.cli.console import console, warn
from rtsmlm.cli.live import overrides
from rtsmlm.cli.options import Overrides
from rtsmlm.errors import CalibrationError, ConfigError
from rtsmlm.files.camera_maps import resolve_calibration, what_was_assumed
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.open import open_movie
from rtsmlm.fitting.saturation import plateau_adu
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.settings.load import load

BATCH_BYTES = 16_000_000
MAX_FRAMES = 50


def psf(
    beads: Annotated[
        Path, typer.Argument(help="Beads: a z-stack, or an image or movie of them in focus.")
    ],
    z_step_nm: Annotated[
        float | None,
        typer.Option(
            help="Distance of the planes; positive where beads move away from the objective, "
            "relative to the focal plane, from one plane to the next. Without: all in focus."
        ),
    ] = None,
    astigmatic: Annotated[
        bool, typer.Option("--astigmatic", help="Fit the curves of width against z along x and y.")
    ] = False,
    symmetric: Annotated[
        bool, typer.Option("--symmetric", help="Astigmatic curves without the cubic term.")
    ] = False,
    planes: Annotated[
        int | None,
        typer.Option(min=1, help="Planes of one stack, where the file holds several in a row."),
    ] = None,
    bead_nm: Annotated[
        float, typer.Option(min=0, help="Diameter of the beads, taken out of the width.")
    ] = 0.0,
    box_px: Annotated[
        int | None, typer.Option(min=5, max=31, help="Side of the fitted box, odd.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Run configuration with the camera's numbers."),
    ] = None,
    pixel_nm: Annotated[
        float | None, typer.Option(min=1, help="Camera pixel in the sample plane.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("psf"),
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Write the image of a bead at every depth, too: psf_table.npz, with which a run "
            "fits lone emitters and rtsmlm train trains networks. Alone, no width "
            "is fitted.",
        ),
    ] = False,
    table_px: Annotated[
        int, typer.Option(min=13, max=101, help="Side of the table, odd: 41 for a tetrapod.")
    ] = 33,
    z_first_nm: Annotated[
        float | None,
        typer.Option(
            help="Table: z of the first plane. Without: counted from the middle plane, with "
            "--astigmatic from where both widths are equal."
        ),
    ] = None,
    positions: Annotated[
        Path | None,
        typer.Option(help="Table: true places of the beads. Without: a Gaussian's in focus."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Write a calibration that its figures disprove, and mark it."),
    ] = False,
    set_: Overrides = None,
) -> None:
    """Measure on beads the PSF width, the astigmatic curves that give z, or the whole PSF."""
    _check(z_step_nm, astigmatic or table, box_px)
    request = TableRequest(
        z_step_nm=z_step_nm or 0.0, z_first_nm=z_first_nm, side_px=table_px, positions=positions
    )
    settings = load(config, overrides(set_, None, None, None))
    if pixel_nm is not None:
        camera = settings.camera.model_copy(update={"pixel_nm": pixel_nm})
    else:
        camera = settings.camera
    with open_movie(beads, settings.movie) as movie, console.status("measuring beads"):
        for phrase in what_was_assumed(camera, movie.stated):
            warn(f"assumed: {phrase}")
        calibration = resolve_calibration(camera, movie.stated)
        calibration.check_frame_shape(movie.shape)
        for note in calibration.notes:
            warn(note)
        highest: Pixels = np.zeros(movie.shape, dtype=np.uint16)
        if table and not astigmatic:
            stacks = _stacks(movie, calibration, planes, highest)
            write_table(stacks, request, calibration.pixel_nm, beads, out)
            return
        sources = (
            _stacks(movie, calibration, planes, highest)
            if z_step_nm is not None
            else [_some_frames(movie, calibration, highest)]
        )
        measured = partial(
            measure_beads,
            sources,
            calibration.pixel_nm,
            bead_nm=bead_nm,
            read_variance=float(np.median(calibration.read_variance())),
        )
        step_nm = z_step_nm or 0.0
        if astigmatic:
            widths, saturated, curves = _curves(measured, highest, step_nm, not symmetric, box_px)
        else:
            widths = measured(defocus=False, box_px=box_px)
            widths, saturated = _without_full_beads(widths, highest)
    if astigmatic:
        doubts = Doubts(saturated + curves.doubts, force)
        if table:
            if z_first_nm is None:
                request = replace(request, z_first_nm=-curves.zero_nm)
            with open_movie(beads, settings.movie) as movie:
                stacks = _stacks(movie, calibration, planes, highest)
                table = _table_if_any(stacks, request, calibration.pixel_nm, beads, out)
        report_astigmatic(curves, widths, step_nm, doubts, out, has_table=table)
        return
    in_focus = z_step_nm is None
    focus = calibrate_in_focus(widths) if in_focus else calibrate_focus(widths, z_step_nm or 0.0)
    report_focus(focus, widths, z_step_nm, Doubts(saturated + focus.doubts, force), out)


def _table_if_any(
    stacks: list[Planes], request: TableRequest, pixel_nm: float, beads: Path, out: Path
) -> bool:
    """Write the table, and return whether the beads allow one: the curves stand without it."""
    try:
        write_table(stacks, request, pixel_nm, beads, out)
    except CalibrationError as error:
        warn(f"no table was written: {error}")
        return False
    return True


def _curves(
    measured: Callable[..., BeadWidths],
    highest: Pixels,
    step_nm: float,
    skew: bool,
    box_px: int | None,
) -> tuple[BeadWidths, tuple[str, ...], Astigmatism]:
    """Return beads, what speaks against them, and the curves, in the boxes of a run."""
    saturated: tuple[str, ...] = ()

    def measure(box: int | None) -> BeadWidths:
        nonlocal saturated
        widths = measured(defocus=True, box_px=box, background_share=RUN_BACKGROUND)
        widths, saturated = _without_full_beads(widths, highest)
        return widths

    widths, curves = calibrate_in_run_boxes(measure, step_nm, skew=skew, box_px=box_px)
    return widths, saturated, curves


def _without_full_beads(widths: BeadWidths, highest: Pixels) -> tuple[BeadWidths, tuple[str, ...]]:
    """Return the beads that do not fill the camera, or all beads and what speaks against them."""
    top = plateau_adu(highest)
    if top is None:
        return widths, ()
    full = full_beads(widths, highest >= top)
    n = len(full)
    if full.all():
        return widths, (
            f"all {n} beads reach {top} ADU, where the camera is full, so that they look too wide; "
            "none may: use less light, or a shorter exposure",
        )
    if full.any():
        warn(
            f"{int(full.sum())} of {n} beads reach {top} ADU, where the camera is full, and are "
            "left out"
        )
    return widths.take(~full), ()


def _check(z_step_nm: float | None, needs_stack: bool, box_px: int | None) -> None:
    if z_step_nm == 0 or (z_step_nm is not None and not np.isfinite(z_step_nm)):
        raise ConfigError(f"--z-step-nm is {z_step_nm:g}; planes lie some 10 to 100 nm apart")
    if needs_stack and z_step_nm is None:
        raise ConfigError(
            "--astigmatic and --table need a z-stack: give its --z-step-nm, such as 50"
        )
    if box_px is not None and box_px % 2 == 0:
        raise ConfigError(f"--box-px is {box_px}; a box has an odd side, such as {box_px + 1}")


def _stacks(
    movie: Movie, calibration: CameraCalibration, planes: int | None, highest: Pixels
) -> list[Planes]:
    """Return the stacks of a movie; reading them notes the highest value of each pixel."""
    per_stack = movie.n_frames if planes is None else planes
    if movie.n_frames % per_stack:
        raise ConfigError(
            f"{movie.path} holds {movie.n_frames} frames, which are no whole number of stacks of "
            f"{per_stack} planes (--planes)"
        )

    def stack(start: int) -> Planes:
        def photons() -> Iterator[F32]:
            n = max(1, BATCH_BYTES // (4 * movie.shape[0] * movie.shape[1]))
            for batch in movie.batches(n, start, start + per_stack):
                np.maximum(highest, batch.pixels.max(axis=0), out=highest)
                yield calibration.to_photons(batch.pixels)

        return photons

    return [stack(start) for start in range(0, movie.n_frames, per_stack)]


def _some_frames(movie: Movie, calibration: CameraCalibration, highest: Pixels) -> Planes:
    """Return frames from all over a movie of beads in focus: more add nothing."""
    positions = np.unique(np.linspace(0, movie.n_frames - 1, MAX_FRAMES).astype(np.int64))

    def photons() -> Iterator[F32]:
        for position in positions:
            pixels = movie.read([position])
            np.maximum(highest, pixels.max(axis=0), out=highest)
            yield calibration.to_photons(pixels)

    return photons
