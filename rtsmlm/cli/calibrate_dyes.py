"""`rtsmlm calibrate dyes`: share of the light of each dye in each view, and the crosstalk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tomli_w
import typer
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table as RichTable

from rtsmlm.calibrate.dyes import DyeShares, measure_shares
from rtsmlm.calibration import CameraCalibration
from rtsmlm.channels.joint_localizer import JointLocalizer, photons_column
from rtsmlm.cli.console import console, warn
from rtsmlm.cli.live import overrides
from rtsmlm.cli.options import Overrides, SideBySide
from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.camera_maps import resolve_calibration, what_was_assumed
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.several import open_movies
from rtsmlm.fitting.psf_meter import PsfMeter
from rtsmlm.localizations import Localizations
from rtsmlm.physics.views import Views
from rtsmlm.settings.channels import LEAST_PROBABILITY, UNDECIDED, ChannelsSettings
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

MAX_FRAMES = 1000
BATCH_FRAMES = 50
ALIKE = 6.0
"""Dyes whose shares lie less than so many spreads apart cannot be told from each other."""


def dyes(
    movies: Annotated[
        list[str],
        typer.Argument(
            help="Name and movie of each dye, of a sample with it alone: AF647=a.tif; with "
            "--side-by-side one of each camera: AF647=short.tif AF647=long.tif."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("dyes.toml"),
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", "-c", help="Configuration with channels.views; may be repeated."),
    ] = None,
    side_by_side: SideBySide = False,
    set_: Overrides = None,
) -> None:
    """Measure the share of the light of each dye in each view, and the crosstalk."""
    changed = overrides(set_, None, None, None) + ["movie.side_by_side=true"] * side_by_side
    settings = load(config, changed)
    views = settings.channels.layout()
    if views is None or len(views) < 2:
        raise ConfigError(
            "channels.views has no two views: run rtsmlm calibrate channels first, and give its "
            "channels.toml with -c"
        )
    named = _by_name(movies, several=settings.movie.side_by_side)
    unknown = settings.channels.model_copy(update={"names": (), "fractions": ()})
    shares: list[DyeShares] = []
    for name, paths in named:
        with console.status(f"localizing {paths[0].name}"):
            rows = _localize(paths, settings, views, unknown)
        columns = [rows.extras[photons_column(view.name)] for view in views if len(rows)]
        light = np.stack(columns, axis=1) if columns else np.empty((0, len(views)))
        shares.append(measure_shares(light.astype(np.float64), name))
    known = ChannelsSettings(
        names=tuple(name for name, _ in named),
        views=settings.channels.views,
        fractions=tuple(tuple(round(f, 4) for f in one.fractions) for one in shares),
        spread=round(max(one.spread for one in shares), 4),
        min_probability=settings.channels.min_probability or LEAST_PROBABILITY,
    )
    _warn_of_alike(known)
    counts = []
    for _, paths in named:
        with console.status(f"deciding {paths[0].name}"):
            rows = _localize(paths, settings, views, known)
        counts.append(np.bincount(rows.channel, minlength=UNDECIDED + 1))
    _report(known, shares, counts)
    _write(out, known)


def _by_name(movies: Sequence[str], *, several: bool) -> list[tuple[str, list[Path]]]:
    """Return the movies of each dye; where they are of several cameras, those of one name."""
    named = [_named(text) for text in movies]
    if not several:
        return [(name, [path]) for name, path in named]
    names = dict.fromkeys(name for name, _ in named)
    return [(name, [path for other, path in named if other == name]) for name in names]


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ConfigError(f"{text!r} is not NAME=MOVIE, as AF647=af647.tif")
    return name, Path(path)


def _localize(
    paths: Sequence[Path], settings: RunSettings, views: Views, channels: ChannelsSettings
) -> Localizations:
    """Return the rows of the first frames of a movie."""
    with open_movies(paths, settings.movie) as movie:
        if not channels.fractions:
            for phrase in what_was_assumed(settings.camera, movie.stated):
                warn(f"assumed: {phrase}")
        calibration = resolve_calibration(settings.camera, movie.stated)
        calibration.check_frame_shape(movie.shape)
        views.check_frame_shape(movie.shape)
        sigma_nm = settings.psf.known_sigma_nm or _measured_nm(movie, calibration)
        localizer = JointLocalizer(
            calibration=calibration,
            sigma_nm=sigma_nm,
            settings=settings.localizer,
            views=views,
            channels=channels,
        )
        stop = min(movie.n_frames, MAX_FRAMES)
        return Localizations.concatenate(
            [localizer(batch) for batch in movie.batches(BATCH_FRAMES, 0, stop)]
        )


def _measured_nm(movie: Movie, calibration: CameraCalibration) -> float:
    """Return the PSF width on the first frames; that of both views together."""
    meter = PsfMeter(calibration, most_frames=movie.n_frames)
    width = None
    while width is None:
        width = meter.measure(next(iter(movie.batches(meter.n_wanted))).pixels)
    if width.note:
        warn(width.note)
    return width.sigma_nm


def _report(
    known: ChannelsSettings, shares: Sequence[DyeShares], counts: Sequence[NDArray[np.int64]]
) -> None:
    table = RichTable(title="Shares of light")
    table.add_column("dye")
    for view in known.views:
        table.add_column(f"in {view.name}", justify="right")
    table.add_column("spread", justify="right")
    table.add_column("emitters", justify="right")
    for name, one, found in zip(known.names, shares, counts, strict=True):
        light = (f"{share:.3f}" for share in one.fractions)
        table.add_row(name, *light, f"{one.spread:.3f}", f"{found.sum()}")
    console.print(table)
    for name, found in zip(known.names, counts, strict=True):
        decided, total = found[: len(known.names)], max(int(found.sum()), 1)
        crosstalk = [
            f"{100 * part / max(int(decided.sum()), 1):.2f} % taken for {other}"
            for other, part in zip(known.names, decided, strict=True)
            if other != name
        ]
        undecided = f"{100 * found[UNDECIDED] / total:.1f} % not decided"
        console.print(f"{name}: {', '.join([*crosstalk, undecided])}")


def _warn_of_alike(known: ChannelsSettings) -> None:
    rows = np.array(known.fractions)
    for i in range(len(rows)):
        for j in range(i):
            apart = float(np.abs(rows[i] - rows[j]).max())
            if apart < ALIKE * known.spread:
                warn(
                    f"{known.names[j]} and {known.names[i]} differ by {apart:.3f} in their shares, "
                    f"which vary by {known.spread:.3f}: many emitters will not be decided; take "
                    "another dichroic mirror, or other dyes"
                )


def _write(out: Path, known: ChannelsSettings) -> None:
    section = known.model_dump(include={"names", "fractions", "spread"})
    section["names"], section["fractions"] = list(known.names), [list(f) for f in known.fractions]
    text = "# Measured by rtsmlm calibrate dyes on samples with one dye each.\n"
    try:
        out.write_text(text + tomli_w.dumps({"channels": section}), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write {out}: {error.strerror or error}") from error
    console.print(f"results  {escape(str(out))}")
    console.print(
        "use      give it with -c behind channels.toml, or copy the section into rig.toml",
        soft_wrap=True,
    )
