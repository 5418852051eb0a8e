"""What `rtsmlm calibrate psf` prints and writes: tables, settings and a picture of the widths."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import tomli_w
from rich.markup import escape
from rich.table import Table as RichTable

from rtsmlm.calibrate.astigmatic import Astigmatism
from rtsmlm.calibrate.beads import BeadWidths
from rtsmlm.calibrate.plot import Series, width_plot
from rtsmlm.calibrate.psf import FocusWidth
from rtsmlm.cli.calibrate_psf_table import FILE
from rtsmlm.cli.console import console, warn
from rtsmlm.errors import CalibrationError, SinkError
from rtsmlm.physics.astigmatism import WidthCurves


@dataclass(frozen=True, slots=True)
class Doubts:
    """What speaks against a calibration, and whether it is to be written all the same."""

    sentences: tuple[str, ...]
    force: bool


def report_focus(
    result: FocusWidth, widths: BeadWidths, z_step_nm: float | None, doubts: Doubts, out: Path
) -> None:
    """Print and write the width of the PSF in focus.

    Raises
    ------
    CalibrationError
        If its figures disprove it, and it is not to be written all the same.
    SinkError
        If the files cannot be written.
    """
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
    console.print(rows)
    text = "".join(f"# Note: {note}\n" for note in result.notes) + text
    for note in result.notes:
        warn(note)
    _write(out, "psf.toml", text, _focus_plot(result, widths, z_step_nm), doubts)
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


def report_astigmatic(
    result: Astigmatism,
    widths: BeadWidths,
    z_step_nm: float,
    doubts: Doubts,
    out: Path,
    *,
    has_table: bool = False,
) -> None:
    """Print and write astigmatic curves, with the name of the table beside them if there is one.

    Raises
    ------
    CalibrationError
        If their figures disprove them, and they are not to be written all the same.
    SinkError
        If the files cannot be written.
    """
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
    if curves.wobble is not None:
        for name in ("x", "y"):
            off = getattr(curves.wobble, f"{name}_nm")
            rows.add_row(f"wobble along {name}", f"{min(off):+.0f} to {max(off):+.0f} nm")
    rows.add_row("error of z on these beads", f"{result.residual_nm:.1f} nm rms")
    rows.add_row("error of z on beads held out", f"{result.held_out_nm:.1f} nm rms")
    text = astigmatism_text(result, widths, FILE if has_table else None)
    console.print(rows)
    text = "".join(f"# Note: {note}\n" for note in result.notes) + text
    for note in result.notes:
        warn(note)
    _write(out, "psf_astigmatic.toml", text, _curves_plot(result, widths, z_step_nm), doubts)
    file = escape(str(out / "psf_astigmatic.toml"))
    fit = "spline-mle" if has_table else "astigmatic-mle"
    console.print(
        f"use      rtsmlm reconstruct MOVIE -c {file}\n"
        f"         with --set localizer.name={fit} for a fit without network,\n"
        "         or copy the section into rig.toml"
        + (f", with {FILE} beside it" if has_table else ""),
        soft_wrap=True,
    )


def astigmatism_text(result: Astigmatism, widths: BeadWidths, table: str | None = None) -> str:
    """Return the astigmatic calibration as run configuration, with how it was made in comments.

    Parameters
    ----------
    result
        The curves.
    widths
        The beads.
    table
        Name of the file with their image, beside the configuration; None where there is none.
    """
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
    if result.curves.wobble is not None:
        lines += [
            "wobble: how far off the fit of such beads finds x, y and z, against z as found, and",
            "how many times as large as stated its errors are; a run takes account of it.",
        ]
    if table is not None:
        lines.append(
            "table: the image of the beads at every depth, which lone emitters are fitted with."
        )
    comment = "".join(f"# {line}\n" for line in lines)
    named = {} if table is None else {"table": table}
    psf = {**named, "astigmatism": astigmatism_table(result.curves)}
    return comment + tomli_w.dumps({"psf": psf})


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
    if curves.wobble is not None:
        table["wobble"] = {
            field.name: [round(v, 2) for v in getattr(curves.wobble, field.name)]
            for field in fields(curves.wobble)
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


def _write(out: Path, name: str, text: str, picture: str, doubts: Doubts) -> None:
    """Write the picture, and the settings if nothing speaks against them, or all the same."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "psf.svg").write_text(picture, encoding="utf-8")
        if doubts.sentences and not doubts.force:
            raise CalibrationError(
                f"{doubts.sentences[0]}; {out / name} was not written (psf.svg beside it shows the "
                "widths; --force writes it, marked as doubtful)"
            )
        marks = "".join(f"# DOUBTFUL: {doubt}\n" for doubt in doubts.sentences)
        (out / name).write_text(marks + text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write to {out}: {error.strerror or error}") from error
    for doubt in doubts.sentences:
        warn(f"doubtful: {doubt}")
    console.print(f"results  {escape(str(out))}")
