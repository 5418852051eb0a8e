"""`rtsmlm follow`: localize a recording while another program writes it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from rtsmlm.cli.console import console
from rtsmlm.cli.live import overrides, run_live
from rtsmlm.cli.options import Exports, Overrides
from rtsmlm.fitting.psf_meter import PSF_FRAMES, is_measured
from rtsmlm.offline.movie_calibration import MovieCalibration
from rtsmlm.session.replay import growing_movie
from rtsmlm.settings.load import load


def follow(
    recording: Annotated[
        Path,
        typer.Argument(help="File or folder that is being written: NDTiff, OME-TIFF, OME-Zarr."),
    ],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Run configuration (TOML).")
    ] = None,
    idle: Annotated[
        float, typer.Option(help="End when nothing has come for so long, in s.", min=0.1)
    ] = 10.0,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    headless: Annotated[bool, typer.Option(help="Never open a window.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of this run.")] = None,
    export: Exports = None,
    set_: Overrides = None,
) -> None:
    """Localize a recording while another program, such as Micro-Manager, writes it.

    The same image, stream and density as with a camera of our own. It may be started before the
    recording; it ends when nothing has come for a while, or after so many frames. The raw frames
    are not copied.
    """
    texts = [
        'camera.driver="replay"',
        f"replay.movie={str(recording.absolute())!r}",
        'replay.timing="follow"',
        f"replay.idle_s={idle!r}",
        "record.raw=false",
        'pipeline.when_behind="wait"',
    ]
    texts += overrides(set_, frames, None, export)
    texts += _measured(texts, config)
    run_live(load(config, texts), arm=False, headless=headless, out=out)


def _setting(name: str) -> str:
    """Return the setting of what was measured: `x_focus_nm` is `astigmatism.x.focus_nm`."""
    return f"astigmatism.{name[0]}.{name[2:]}" if name[:2] in ("x_", "y_") else name


def _measured(texts: list[str], config: Path | None) -> list[str]:
    """Return what is measured on the first frames, as `reconstruct` does: read noise, PSF width."""
    settings = load(config, texts)
    growing = growing_movie(settings)
    try:
        console.print(f"waiting for frames in {growing.path} ...", markup=False)
        if not is_measured(settings) and settings.camera.read_noise_e is not None:
            return []
        movie = growing.wait_for(PSF_FRAMES[-1], threading.Event())
        found = MovieCalibration(movie, settings)
        psf = found.psf()
        measured = [f"psf.sigma_nm={psf.sigma_nm!r}", "psf.refine=false"]
        measured += [f"psf.{_setting(name)}={value!r}" for name, value in psf.values.items()]
        for text in filter(None, (psf.note, psf.told)):
            console.print(text, markup=False)
        if (noise := found.settings.camera.read_noise_e) != settings.camera.read_noise_e:
            measured.append(f"camera.read_noise_e={noise!r}")
        return measured
    finally:
        growing.close()
