"""`rtsmlm microscopes`: the microscope database, and what it knows of a file's microscope."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tomli_w
import typer
from rich.markup import escape
from rich.table import Table

from rtsmlm.cli.console import console, inform, warn
from rtsmlm.errors import ConfigError
from rtsmlm.microscopes.database import known_cameras, own_folder
from rtsmlm.settings.names import check_folder_name

if TYPE_CHECKING:
    from rtsmlm.files.movies.movie import Movie

_MEASURED = ("offset_adu", "e_per_adu", "em_gain", "read_noise_e")


def microscopes(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Movie, Micro-Manager configuration (.cfg) or EMU configuration (.uicfg); none "
            "lists the cameras of the database."
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(help="Save the camera of the movie under this name, as your own."),
    ] = None,
) -> None:
    """List the cameras of the microscope database, or what it knows of a file's microscope.

    Your own microscopes are TOML files in a folder of yours, which this prints; they come first.
    """
    if file is None:
        _list()
        return
    if not file.exists():
        raise ConfigError(f"there is no file {file}")
    suffix = file.suffix.lower()
    if save is not None and suffix in (".cfg", ".uicfg"):
        raise ConfigError("--save takes a movie: it is what states which camera recorded it")
    if suffix == ".cfg":
        _show_config(file)
    elif suffix == ".uicfg":
        _show_emu(file)
    else:
        _show_movie(file, save)


def _list() -> None:
    table = Table(title="cameras of the microscope database", title_justify="left")
    for heading in ("camera", "kind", "known by", "figures", "from"):
        table.add_column(heading, overflow="fold")
    for camera, origin in known_cameras():
        figures = [f"{name} = {value:g}" for name, value in camera.figures.items()]
        modes = len(camera.modes)
        figures += [f"and of {modes} read-out mode{'s' if modes > 1 else ''}"] * bool(modes)
        known = [*camera.named, *(f"{k} = {v}" for k, v in camera.when.items())]
        cells = (camera.name, camera.kind, ", ".join(known), ", ".join(figures), origin)
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    console.print(f"your own: TOML files in {escape(str(own_folder()))}")


def _show_movie(file: Path, save: str | None) -> None:
    from rtsmlm.files.camera_maps import DEFAULTS, what_was_assumed
    from rtsmlm.files.movies.open import open_movie
    from rtsmlm.settings.camera import CameraSettings

    with open_movie(file) as movie:
        details = movie.details
        for name in ("camera", "cameraname", "cameraid", "binning"):
            if name in details:
                console.print(f"{name:<12} {escape(details[name])}")
        if movie.exposure_ms is not None:
            console.print(f"{'exposure':<12} {movie.exposure_ms:g} ms")
        for name in DEFAULTS:
            if (value := getattr(movie.stated, name)) is not None:
                console.print(f"{name:<12} {value:g}, as the file states")
        for phrase in what_was_assumed(CameraSettings(), movie.stated):
            console.print(f"{'assumed':<12} {escape(phrase)}")
        if not movie.stated.usual:
            inform(
                "the database has no camera of this name; add yours: rtsmlm microscopes "
                f"{file} --save NAME"
            )
        if save is not None:
            _save(movie, save)


def _save(movie: Movie, name: str) -> None:
    """Write a file of the user's own for the camera of a movie.

    Raises
    ------
    ConfigError
        If the name is none for a file, one of it is there, or the movie names no camera.
    """
    try:
        check_folder_name(name)
    except ValueError as error:
        raise ConfigError(f"{error} (--save)") from error
    path = own_folder() / f"{name}.toml"
    if path.exists():
        raise ConfigError(f"{path} is there already; change it in an editor, or take another name")
    details = movie.details
    camera: dict[str, object] = {"name": name, "kind": "sCMOS"}
    if serial := details.get("cameraid"):
        camera["when"] = {"CameraID": serial}
    elif named := details.get("cameraname", details.get("camera")):
        camera["named"] = [named]
    else:
        raise ConfigError(f"{movie.path} names no camera, by which it could be known")
    if (movie.stated.em_gain or 1) > 1:
        camera["kind"] = "EMCCD"
    stated = {n: v for n in _MEASURED if (v := getattr(movie.stated, n)) is not None}
    sources = dict.fromkeys(stated, f"stated by {movie.path.name}")
    figures: dict[str, object] = {"figures": stated, "sources": sources}
    path.parent.mkdir(parents=True, exist_ok=True)
    if (binning := details.get("binning", "1")) not in ("1", "1x1"):
        camera["modes"] = [{"when": {"Binning": binning}, **figures}]
    else:
        camera |= figures
    head = (
        "# A camera of your own. Correct kind (sCMOS, CMOS, EMCCD, CCD), and add what you know,\n"
        "# each with its source: pixel_um (of the chip), magnification, offset_adu, e_per_adu,\n"
        "# em_gain, read_noise_e. Those of one read-out mode go under [[cameras.modes]], with its\n"
        "# properties in when.\n"
    )
    path.write_text(head + tomli_w.dumps({"cameras": [camera]}), encoding="utf-8")
    console.print(f"saved        {escape(str(path))}")


def _show_config(file: Path) -> None:
    from rtsmlm.drivers.micromanager.gating import devices_of_text
    from rtsmlm.drivers.micromanager.laser_presets import preset_of
    from rtsmlm.microscopes.usual import cameras_of

    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    states = devices_of_text(text)
    table = Table(title=f"what is known of {escape(file.name)}", title_justify="left")
    for heading in ("device", "adapter", "known as", "power", "on and off"):
        table.add_column(heading, overflow="fold")
    n_known = 0
    for label, library, device in _devices(text):
        if preset := preset_of(library, device):
            cells = [f"laser ({preset.name})", f"{preset.power[0]} ({preset.unit})", "power 0"]
            if preset.on:
                cells[2] = f"{preset.on[0]} = {preset.on_values[0]} or {preset.off_values[0]}"
        elif cameras := cameras_of(label, states[label].properties, (library, device)):
            cells = [f"camera ({cameras[0].name})", "", ""]
        else:
            continue
        n_known += 1
        table.add_row(*(escape(cell) for cell in (label, library, *cells)))
    console.print(table)
    if not n_known:
        inform("nothing in it is known; a camera may name itself only when it is connected")
    inform("rtsmlm init makes a configuration of it")


def _devices(text: str) -> list[tuple[str, str, str]]:
    """Return label, adapter and device of each device of a configuration."""
    rows = [line.strip().removeprefix("#py ").split(",") for line in text.splitlines()]
    return [(r[1], r[2], r[3]) for r in rows if r[0] in ("Device", "pyDevice") and len(r) > 3]


def _show_emu(file: Path) -> None:
    from rtsmlm.microscopes.emu import emu_sections, read_emu

    sections = emu_sections(read_emu(file))
    if not sections:
        warn(f"{file} has no laser that is allocated to a property")
        return
    console.print("For the settings, once you have decided on the caps (max_power):\n")
    console.print(tomli_w.dumps({"lasers": sections}), markup=False)
