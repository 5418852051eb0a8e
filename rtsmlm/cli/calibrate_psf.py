"""`rtsmlm calibrate psf`: the PSF width, or the astigmatic curves, from beads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import tomli_w
import typer
from rich.markup import escape
from rich.table import Table as RichTable

from rtsmlm.calibrate.astigmatic import Astigmatism, calibrate_astigmatic
from rtsmlm.calibrate.beads import BeadWidths, Planes, measure_beads
from rtsmlm.calibrate.plot import Series, width_plot
from rtsmlm.calibrate.psf import FocusWidth, calibrate_focus, calibrate_in_focus
from rtsmlm.calibration import CameraCalibration
from rtsmlm.cli.console import console, warn
from rtsmlm.cli.live import overrides
from rtsmlm.cli.options import Overrides
from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.camera_maps import resolve_calibration, what_was_assumed
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.open import open_movie
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.settings.load import load

BATCH_BYTES = 16_000_000
MAX_FRAMES = 50
# Where cameras of 12 to 16 bits end.
FULL_SCALES = (4095, 16383, 65535)


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
    set_: Overrides = None,
) -> None:
    """Measure the PSF width on beads, or the astigmatic curves that give z from the widths."""
    _check(z_step_nm, astigmatic, box_px)
    settings = load(config, overrides(set_, None, None, None))
    if pixel_nm is not None:
        camera = settings.camera.model_copy(update={"pixel_nm": pixel_nm})
    else:
        camera = settings.camera
    highest = [0]
    with open_movie(beads, settings.movie) as movie, console.status("measuring beads"):
        for phrase in what_was_assumed(camera, movie.stated):
            warn(f"assumed: {phrase}")
        calibration = resolve_calibration(camera, movie.stated)
        calibration.check_frame_shape(movie.shape)
        widths = measure_beads(
            _stacks(movie, calibration, planes, highest)
            if z_step_nm is not None
            else [_some_frames(movie, calibration, highest)],
            calibration.pixel_nm,
            defocus=astigmatic,
            box_px=box_px,
            bead_nm=bead_nm,
            read_variance=float(np.median(calibration.read_variance())),
        )
    if highest[0] in FULL_SCALES:
        warn(f"pixels reach {highest[0]} ADU: beads that are saturated look too wide")
    if astigmatic:
        step_nm = z_step_nm or 0.0
        _report_astigmatic(
            calibrate_astigmatic(widths, step_nm, skew=not symmetric), widths, step_nm, out
        )
    elif z_step_nm is not None:
        _report_focus(calibrate_focus(widths, z_step_nm), widths, z_step_nm, out)
    else:
        _report_focus(calibrate_in_focus(widths), widths, None, out)


def _check(z_step_nm: float | None, astigmatic: bool, box_px: int | None) -> None:
    if z_step_nm == 0 or (z_step_nm is not None and not np.isfinite(z_step_nm)):
        raise ConfigError(f"--z-step-nm is {z_step_nm:g}; planes lie some 10 to 100 nm apart")
    if astigmatic and z_step_nm is None:
        raise ConfigError("--astigmatic needs a z-stack: give its --z-step-nm, such as 50")
    if box_px is not None and box_px % 2 == 0:
        raise ConfigError(f"--box-px is {box_px}; a box has an odd side, such as {box_px + 1}")


def _stacks(
    movie: Movie, calibration: CameraCalibration, planes: int | None, highest: list[int]
) -> list[Planes]:
    """Return the stacks of a movie; reading them notes the highest value of the camera."""
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
                highest[0] = max(highest[0], int(batch.pixels.max()))
                yield calibration.to_photons(batch.pixels)

        return photons

    return [stack(start) for start in range(0, movie.n_frames, per_stack)]


def _some_frames(movie: Movie, calibration: CameraCalibration, highest: list[int]) -> Planes:
    """Return frames from all over a movie of beads in focus: more add nothing."""
    positions = np.unique(np.linspace(0, movie.n_frames - 1, MAX_FRAMES).astype(np.int64))

    def photons() -> Iterator[F32]:
        for position in positions:
            pixels = movie.read([position])
            highest[0] = max(highest[0], int(pixels.max()))
            yield calibration.to_photons(pixels)

    return photons


def _report_focus(
    result: FocusWidth, widths: BeadWidths, z_step_nm: float | None, out: Path
) -> None:
    rows = _table("PSF in focus", widths, len(result.sigma_x_nm), result.n_dropped)
    sigma = result.sigma_nm
    rows.add_row("standard deviation", f"{sigma:.1f} nm, {sigma / widths.pixel_nm:.3f} px")
    rows.add_row("full width at half maximum", f"{2.3548 * sigma:.0f} nm")
    rows.add_row("spread among beads", f"{result.spread_nm:.1f} nm")
    rows.add_row("ellipticity (x / y)", f"{result.ellipticity:.3f}")
    if z_step_nm is not None:
        rows.add_row("best focus, from the first plane", f"{np.median(result.focus_nm):.0f} nm")
        apart = float(np.nanmedian(result.focus_x_nm - result.focus_y_nm))
        rows.add_row("focus along x - along y", f"{apart:+.0f} nm")
        rows.add_row("width grows by 1.41 at", f"{np.median(result.depth_nm):.0f} nm from focus")
    text = (
        "# Measured by rtsmlm calibrate psf on "
        f"{len(result.sigma_x_nm)} beads, in boxes of {widths.box_px} pixels.\n"
    )
    text += tomli_w.dumps({"psf": {"sigma_nm": round(sigma, 2)}})
    _write(out, "psf.toml", text, _focus_plot(result, widths, z_step_nm))
    console.print(rows)
    for note in result.notes:
        warn(note)
    console.print(f"results  {escape(str(out))}")
    console.print(f"use      --set psf.sigma_nm={sigma:.1f}, or copy psf.toml into rig.toml")


def _focus_plot(result: FocusWidth, widths: BeadWidths, z_step_nm: float | None) -> str:
    z = np.arange(widths.sigma_x_nm.shape[1]) * (z_step_nm or 1.0)
    label = "frame"
    curve_z = curve = None
    if z_step_nm is not None:
        z, label = z - float(np.median(result.focus_nm)), "z (nm)"
        depth = float(np.median(result.depth_nm))
        curve_z = np.linspace(-0.8 * depth, 0.8 * depth, 80)
        curve = result.sigma_nm * np.sqrt(1 + (curve_z / depth) ** 2)
    everywhere = np.broadcast_to(z, widths.sigma_x_nm.shape).ravel()
    series = [
        Series(name="along x", z_nm=everywhere, sigma_nm=widths.sigma_x_nm.ravel()),
        Series(name="along y", z_nm=everywhere, sigma_nm=widths.sigma_y_nm.ravel()),
    ]
    if curve is not None:
        mean = widths.mean_nm.ravel()
        series.append(
            Series(
                name="geometric mean and parabola",
                z_nm=everywhere,
                sigma_nm=mean,
                curve_z_nm=curve_z,
                curve_sigma_nm=curve,
            )
        )
    return width_plot(series, f"PSF width: {result.sigma_nm:.1f} nm in focus", label)


def _report_astigmatic(
    result: Astigmatism, widths: BeadWidths, z_step_nm: float, out: Path
) -> None:
    curves, n = result.curves, len(result.bead_shift_nm)
    rows = _table("Astigmatic PSF", widths, n, result.n_dropped)
    for name, curve in (("x", curves.x), ("y", curves.y)):
        rows.add_row(
            f"along {name}",
            f"{curve.sigma0_nm:.1f} nm at z = {curve.focus_nm:+.0f} nm, depth "
            f"{curve.depth_nm:.0f} nm",
        )
    rows.add_row("range of z", f"{curves.z_min_nm:.0f} to {curves.z_max_nm:.0f} nm")
    rows.add_row("z = 0, from the first plane", f"{result.zero_nm:.0f} nm")
    rows.add_row("error of z on these beads", f"{result.residual_nm:.1f} nm rms")
    rows.add_row("error of z on beads held out", f"{result.held_out_nm:.1f} nm rms")
    text = astigmatism_text(result, widths)
    _write(out, "psf_astigmatic.toml", text, _curves_plot(result, widths, z_step_nm))
    console.print(rows)
    for note in result.notes:
        warn(note)
    console.print(f"results  {escape(str(out))}")
    file = escape(str(out / "psf_astigmatic.toml"))
    console.print(
        f"use      rtsmlm reconstruct MOVIE -c {file} --set localizer.name=astigmatic-mle\n"
        "         or copy the section into rig.toml",
        soft_wrap=True,
    )


def astigmatism_text(result: Astigmatism, widths: BeadWidths) -> str:
    """Return the astigmatic calibration as run configuration, with how it was made in comments."""
    lines = [
        "Measured by rtsmlm calibrate psf --astigmatic.",
        f"Beads: {len(result.bead_shift_nm)}, in boxes of {widths.box_px} pixels of "
        f"{widths.pixel_nm:g} nm.",
        f"Error of z: {result.residual_nm:.1f} nm rms on these beads, {result.held_out_nm:.1f} nm "
        "on beads held out.",
        "Widths are standard deviations of the pixel-integrated Gaussian, with "
        "u = (z - focus_nm) / depth_nm:",
        "sigma(z) = sigma0_nm * sqrt(1 + u^2 + cubic * u^3 + quartic * u^4).",
        "z is 0 where both widths are equal, positive away from the objective.",
    ]
    comment = "".join(f"# {line}\n" for line in lines)
    return comment + tomli_w.dumps({"psf": {"astigmatism": astigmatism_table(result.curves)}})


def astigmatism_table(curves: WidthCurves) -> dict[str, object]:
    """Return the curves as the setting `psf.astigmatism`."""
    table: dict[str, object] = {
        "z_min_nm": round(curves.z_min_nm, 1),
        "z_max_nm": round(curves.z_max_nm, 1),
    }
    for name, curve in (("x", curves.x), ("y", curves.y)):
        table[name] = {
            "sigma0_nm": round(curve.sigma0_nm, 3),
            "focus_nm": round(curve.focus_nm, 3),
            "depth_nm": round(curve.depth_nm, 3),
            "cubic": round(curve.cubic, 6),
            "quartic": round(curve.quartic, 6),
        }
    return table


def _curves_plot(result: Astigmatism, widths: BeadWidths, z_step_nm: float) -> str:
    curves = result.curves
    z = np.arange(widths.sigma_x_nm.shape[1]) * z_step_nm - result.zero_nm
    everywhere = np.broadcast_to(z, widths.sigma_x_nm.shape).ravel()
    curve_z = np.linspace(curves.z_min_nm, curves.z_max_nm, 200)
    return width_plot(
        [
            Series(
                name=f"along {name}",
                z_nm=everywhere,
                sigma_nm=sigma.ravel(),
                curve_z_nm=curve_z,
                curve_sigma_nm=curve.sigma_nm(curve_z),
            )
            for name, sigma, curve in (
                ("x", widths.sigma_x_nm, curves.x),
                ("y", widths.sigma_y_nm, curves.y),
            )
        ],
        f"Astigmatic PSF, z to {result.residual_nm:.0f} nm rms",
    )


def _table(title: str, widths: BeadWidths, n_used: int, n_dropped: int) -> RichTable:
    rows = RichTable(
        title=title,
        caption=f"boxes of {widths.box_px} pixels, pixel {widths.pixel_nm:g} nm",
    )
    rows.add_column("figure")
    rows.add_column("value", justify="right")
    rows.add_row("beads used / unlike the others", f"{n_used} / {n_dropped}")
    rows.add_row("rejected: neighbours or edge", str(widths.n_rejected))
    return rows


def _write(out: Path, name: str, text: str, picture: str) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
        (out / "psf.svg").write_text(picture, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write to {out}: {error.strerror or error}") from error
