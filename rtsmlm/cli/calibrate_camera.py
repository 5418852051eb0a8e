"""`rtsmlm calibrate camera`: offset, read noise and gain of every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tomli_w
import typer
from rich.markup import escape
from rich.table import Table as RichTable

from rtsmlm.calibrate.camera import MeasuredCamera, calibrate_camera
from rtsmlm.calibrate.pixel_statistics import PixelStatistics
from rtsmlm.cli.console import console, warn
from rtsmlm.cli.live import overrides
from rtsmlm.errors import SinkError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.localizations import F32
from rtsmlm.settings.load import load

BATCH_BYTES = 16_000_000


def camera(
    dark: Annotated[
        Path, typer.Argument(help="Movie taken without light: 1000 frames, lens cap on.")
    ],
    light: Annotated[
        list[Path] | None,
        typer.Argument(help="Movies in even, steady light, one per level. Without: no gain."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the maps.")] = Path("camera"),
    em_gain: Annotated[
        float, typer.Option(min=1, help="Electron multiplication set on an EMCCD; 1 otherwise.")
    ] = 1.0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Shape of headerless files: movie.height=..., may be repeated."),
    ] = None,
) -> None:
    """Measure offset, read noise and gain of every pixel from movies in the dark and in light."""
    settings = load(None, overrides(set_, None, None, None))
    movies = [_statistics(path, settings.movie) for path in (dark, *(light or ()))]
    measured = calibrate_camera(movies[0], movies[1:], em_gain=em_gain)
    snippet = _write(measured, out)
    console.print(_table(measured))
    for note in measured.notes:
        warn(note)
    console.print(f"results  {escape(str(out))}")
    if measured.gain is None:
        warn(
            "without movies in light the gain was not measured: set camera.e_per_adu from the "
            f"camera's data sheet in {snippet}"
        )
    console.print(
        f"use      rtsmlm reconstruct MOVIE -c {escape(str(snippet))}, or copy its sections into "
        "rig.toml (paths of maps count from that file) and run: rtsmlm live rig.toml"
    )
    height, width = measured.offset_adu.shape
    console.print(f"         for frames of the same {height} x {width} pixels of the sensor")


def _statistics(path: Path, settings: Any) -> PixelStatistics:
    statistics = PixelStatistics(path.name)
    with open_movie(path, settings) as movie, console.status(f"reading {escape(path.name)}"):
        n = max(1, BATCH_BYTES // (2 * movie.shape[0] * movie.shape[1]))
        for batch in movie.batches(n):
            statistics.add(batch.pixels)
    return statistics


def _write(measured: MeasuredCamera, out: Path) -> Path:
    """Write the maps and the settings that name them; return the path of the settings."""
    maps: dict[str, F32] = {
        "offset": measured.offset_adu,
        "variance": measured.read_variance_adu2,
    }
    section: dict[str, object] = {"offset_adu": round(measured.median_offset_adu, 4)}
    if measured.gain is not None:
        maps["gain"] = measured.gain.adu_per_e
        section["e_per_adu"] = float(f"{1 / measured.gain.typical:.6g}")
        section["read_noise_e"] = float(f"{measured.read_noise_e:.6g}")
    if measured.em_gain > 1:
        section["em_gain"] = measured.em_gain
    section["maps"] = {name: f"{name}.npy" for name in maps}
    text = (
        f"# Measured by rtsmlm calibrate camera from {measured.n_dark} frames in the dark.\n"
        "# Medians over the sensor, and maps of every pixel; paths count from this file.\n"
    )
    if measured.gain is None:
        text += (
            "# The gain was not measured. Set camera.e_per_adu from the data sheet: electrons per "
            "ADU.\n# "
            f"The read noise is {measured.read_noise_adu:.3f} ADU.\n"
        )
    path = out / "camera.toml"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, values in maps.items():
            np.save(out / f"{name}.npy", values)
        # A gain of an earlier measurement beside a new offset would be taken for a new one.
        if measured.gain is None:
            (out / "gain.npy").unlink(missing_ok=True)
        path.write_text(text + tomli_w.dumps({"camera": section}), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write to {out}: {error.strerror or error}") from error
    return path


def _table(measured: MeasuredCamera) -> RichTable:
    height, width = measured.offset_adu.shape
    rows = RichTable(
        title="Camera", caption=f"{height} x {width} pixels, {measured.n_dark} frames in the dark"
    )
    for name in ("quantity", "median", "spread of pixels", "known to"):
        rows.add_column(name, justify="left" if name == "quantity" else "right")
    noise_adu = np.sqrt(measured.read_variance_adu2)
    known = 1 / np.sqrt(2 * max(measured.n_dark - 1, 1))
    rows.add_row(
        "offset (ADU)",
        f"{measured.median_offset_adu:.2f}",
        f"{_spread(measured.offset_adu):.2f}",
        f"{measured.read_noise_adu / np.sqrt(measured.n_dark):.3f} per pixel",
    )
    rows.add_row(
        "read noise (ADU rms)",
        f"{measured.read_noise_adu:.3f}",
        f"{_spread(noise_adu):.3f}",
        f"{100 * known:.1f} % per pixel",
    )
    gain = measured.gain
    if gain is not None:
        rows.add_row("read noise (e rms)", f"{measured.read_noise_e:.3f}", "", "")
        rows.add_row(
            "gain (ADU per e)",
            f"{gain.typical:.4f}",
            f"{100 * gain.spread / gain.typical:.2f} %",
            f"{100 * gain.typical_std / gain.typical:.2f} %, "
            f"{100 * gain.pixel_std / gain.typical:.1f} % per pixel",
        )
        rows.add_row("electrons per ADU", f"{1 / gain.typical:.4f}", "", "")
        for signal, value in gain.levels:
            rows.add_row(f"  gain at {signal:.0f} ADU of light", f"{value:.4f}", "", "")
        rows.add_row("pixels of odd gain", str(gain.n_defects), "", "")
        rows.add_row("pixels without gain", str(gain.n_unknown), "", "")
    rows.add_row("hot pixels (offset)", str(int(measured.hot.sum())), "", "")
    rows.add_row("noisy pixels (5 x median)", str(int(measured.noisy.sum())), "", "")
    return rows


def _spread(values: F32) -> float:
    low, high = np.quantile(values, [0.1587, 0.8413])
    return float(high - low) / 2
