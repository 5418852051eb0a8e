"""`rtsmlm calibrate channels`: how the views of a frame lie on each other, from beads."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import tomli_w
import typer
from rich.markup import escape
from rich.table import Table as RichTable

from rtsmlm.calibrate.registration import Degree, Registration, register_views
from rtsmlm.calibrate.registration_picture import registration_picture
from rtsmlm.calibration import CameraCalibration
from rtsmlm.cli.calibrate_channels_overlay import write_overlay
from rtsmlm.cli.console import console, warn
from rtsmlm.cli.live import overrides
from rtsmlm.cli.options import Overrides, SideBySide
from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.camera_maps import resolve_calibration, what_was_assumed
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.several import open_movies
from rtsmlm.localizations import F32
from rtsmlm.physics.views import Region, View, Views, split
from rtsmlm.settings.channels import ChannelsSettings
from rtsmlm.settings.load import load

MAX_FRAMES = 100
"""Frames that the mean image of a file is made of, or images of `--each-frame`."""
DOUBTFUL_NM = 20.0
DIGITS = 12
MOVED_NM = 10.0


class Along(StrEnum):
    """How the views lie on the frame."""

    X = "x"
    Y = "y"


class Mirrored(StrEnum):
    """How a view is mirrored."""

    NONE = "none"
    X = "x"
    Y = "y"
    BOTH = "both"


class DegreeName(StrEnum):
    """Of the transform."""

    AUTO = "auto"
    AFFINE = "1"
    SECOND = "2"


def channels(
    beads: Annotated[
        list[Path],
        typer.Argument(
            help="Beads that shine in all views: images or movies, one place each; with "
            "--side-by-side one of each camera, place after place."
        ),
    ],
    names: Annotated[
        str, typer.Option(help="Names of the views, the first one is what all places refer to.")
    ] = "first,second",
    split_along: Annotated[
        Along, typer.Option("--split", help="Views side by side (x) or above each other (y).")
    ] = Along.X,
    region: Annotated[
        list[str] | None,
        typer.Option(help="Region of each view, x,y,width,height in pixels, instead of --split."),
    ] = None,
    mirrored: Annotated[
        Mirrored, typer.Option(help="How the further views are mirrored against the first.")
    ] = Mirrored.NONE,
    degree: Annotated[
        DegreeName, typer.Option(help="1: affine, 2: second order, auto: what beads left out say.")
    ] = DegreeName.AUTO,
    each_frame: Annotated[
        bool, typer.Option("--each-frame", help="Every frame of a movie shows another place.")
    ] = False,
    against: Annotated[
        Path | None, typer.Option(help="Earlier calibration: say how far the views have moved.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for channels.toml and the pictures.")] = Path(
        "channels"
    ),
    config: Annotated[
        list[Path] | None, typer.Option("--config", "-c", help="Configuration of the camera.")
    ] = None,
    side_by_side: SideBySide = False,
    set_: Overrides = None,
) -> None:
    """Measure on beads how the views of a frame lie on each other."""
    changed = overrides(set_, None, None, None) + ["movie.side_by_side=true"] * side_by_side
    settings = load(config, changed)
    images: list[F32] = []
    pixel_nm = read_variance = 0.0
    for paths in _places(beads, len(_named(names)) if settings.movie.side_by_side else 1):
        with (
            open_movies(paths, settings.movie) as movie,
            console.status(f"reading {paths[0].name}"),
        ):
            if not images:
                for phrase in what_was_assumed(settings.camera, movie.stated):
                    warn(f"assumed: {phrase}")
            calibration = resolve_calibration(settings.camera, movie.stated)
            calibration.check_frame_shape(movie.shape)
            pixel_nm = calibration.pixel_nm
            read_variance = float(np.median(calibration.read_variance()))
            images += _images(movie, calibration, each_frame)
    if any(image.shape != images[0].shape for image in images):
        raise ConfigError(
            "the images of beads differ in size; record all with one region of interest"
        )
    views = _views((images[0].shape[0], images[0].shape[1]), names, split_along.value, region)
    earlier = None if against is None else load(against).channels
    if earlier is not None and against is not None:
        _check_swapped(views, earlier, against)
    wanted: Degree = degree.value
    with console.status("looking for pairs of beads"):
        found = register_views(
            images,
            views,
            read_variance=read_variance,
            degree=wanted,
            mirrors=[mirrored.value] * (len(views) - 1),
        )
    _report(found, views, pixel_nm, earlier)
    _write(out, found, views, pixel_nm, images[0])


def _named(names: str) -> tuple[str, ...]:
    """Return the names of the views."""
    named = tuple(name.strip() for name in names.split(",") if name.strip())
    if len(named) < 2:
        raise ConfigError(
            f"--names is {names!r}; two or more views need a name each, as short,long"
        )
    return named


def _places(beads: Sequence[Path], n_cameras: int) -> list[Sequence[Path]]:
    """Return the files of each place, one of each camera."""
    if len(beads) % n_cameras:
        raise ConfigError(
            f"{len(beads)} files are no whole places of {n_cameras} cameras (--side-by-side, "
            "--names); give a file of each camera, in the order of --names, place after place"
        )
    return [beads[k : k + n_cameras] for k in range(0, len(beads), n_cameras)]


def _images(movie: Movie, calibration: CameraCalibration, each_frame: bool) -> list[F32]:
    """Return the mean image of a movie, or each of its frames, in photons."""
    n = min(movie.n_frames, MAX_FRAMES)
    positions = np.unique(np.linspace(0, movie.n_frames - 1, n).astype(np.int64))
    frames = [calibration.to_photons(movie.read([position])[0]) for position in positions]
    return frames if each_frame else [np.mean(frames, axis=0, dtype=np.float32)]


def _views(shape: tuple[int, int], names: str, along: str, regions: Sequence[str] | None) -> Views:
    """Return the views of frames of a shape, without their transforms."""
    named = _named(names)
    parts = [_region(text) for text in regions or ()] or list(split(shape, along, named))
    if len(parts) != len(named):
        raise ConfigError(
            f"--names has {len(named)} views and --region is given {len(parts)} times; each view "
            "needs one"
        )
    views = Views(tuple(View(name, part) for name, part in zip(named, parts, strict=True)))
    views.check_frame_shape(shape)
    return views


def _region(text: str) -> Region:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--region {text!r} is not x,y,width,height in pixels, as 0,0,128,256"
        ) from error
    return x, y, width, height


def _check_swapped(views: Views, earlier: ChannelsSettings, file: Path) -> None:
    """Raise `ConfigError` if views have changed places since an earlier calibration."""
    before = {view.region: view.name for view in earlier.views}
    known = set(before.values())
    for view in views:
        name = before.get(view.region, view.name)
        if name != view.name and view.name in known:
            raise ConfigError(
                f"views are swapped: the region {list(view.region)} is {view.name} here and {name} "
                f"in {file}; give --names in the order of that file, or leave --against out"
            )


def _report(
    found: Sequence[Registration], views: Views, pixel_nm: float, earlier: ChannelsSettings | None
) -> None:
    for one in found:
        rows = RichTable(title=f"{one.view.name} on {views.first.name}")
        rows.add_column("figure")
        rows.add_column("value", justify="right")
        used, pairs = int(one.used.sum()), len(one.used)
        rows.add_row("pairs of beads used / unlike the others", f"{used} / {pairs - used}")
        rows.add_row("transform", "affine" if one.view.to_first.degree == 1 else "second order")
        rows.add_row("residual of beads left out", f"{one.residual_nm(pixel_nm):.2f} nm rms")
        along = pixel_nm * np.sqrt(np.mean(one.left_out_px[one.used] ** 2, axis=0))
        rows.add_row("along x / y", f"{along[0]:.2f} / {along[1]:.2f} nm rms")
        rows.add_row("width of the spots, relative to the first", f"{one.view.sigma_ratio:.3f}")
        for moved in _moved(one, earlier, pixel_nm):
            rows.add_row("moved since the earlier calibration", moved)
        console.print(rows)
        if one.residual_nm(pixel_nm) > DOUBTFUL_NM:
            warn(
                f"the residual of {one.view.name} is {one.residual_nm(pixel_nm):.0f} nm; take "
                "brighter beads, more of them, or check that none moves"
            )


def _moved(one: Registration, earlier: ChannelsSettings | None, pixel_nm: float) -> list[str]:
    """Return how far a view has moved since an earlier calibration that has it."""
    for setting in () if earlier is None else earlier.views:
        if setting.name == one.view.name:
            before = setting.view().to_first(one.here_px[one.used])
            off = pixel_nm * (one.view.to_first(one.here_px[one.used]) - before)
            x, y = off.mean(axis=0)
            rms = float(np.sqrt(np.mean(np.sum(off * off, axis=1))))
            return [f"{x:+.1f} nm along x, {y:+.1f} nm along y, {rms:.1f} nm rms"]
    return []


def _write(
    out: Path, found: Sequence[Registration], views: Views, pixel_nm: float, image: F32
) -> None:
    text = "# Measured by rtsmlm calibrate channels on beads; residuals of beads left out:\n"
    for one in found:
        text += (
            f"# {one.view.name}: {one.residual_nm(pixel_nm):.2f} nm rms, {int(one.used.sum())} "
            "pairs.\n"
        )
    section = {"channels": {"views": [_table(view) for view in (views.first, *_seen(found))]}}
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "channels.toml").write_text(text + tomli_w.dumps(section), encoding="utf-8")
        for one in found:
            picture = registration_picture(one, views.first, pixel_nm)
            (out / f"{one.view.name}.svg").write_text(picture, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write to {out}: {error.strerror or error}") from error
    for one in found:
        write_overlay(out / f"{one.view.name}.png", image, views.first, one.view)
    console.print(f"results  {escape(str(out))}")
    file = escape(str(out / "channels.toml"))
    console.print(
        f"use      rtsmlm reconstruct MOVIE -c {file}, or copy the section into rig.toml",
        soft_wrap=True,
    )


def _seen(found: Sequence[Registration]) -> list[View]:
    return [one.view for one in found]


def _table(view: View) -> dict[str, object]:
    """Return a view as an entry of the setting `channels.views`."""
    return {
        "name": view.name,
        "region": list(view.region),
        "x": [float(f"{c:.{DIGITS}g}") for c in view.to_first.x],
        "y": [float(f"{c:.{DIGITS}g}") for c in view.to_first.y],
        "sigma_ratio": round(view.sigma_ratio, 4),
    }
