"""A localizer whose rows get their dye by a network: column `channel`, and how probable it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.class_networks import TASK, NetworkClasses, dye_names
from rtsmlm.engines.colour_boxes import BoxCutter, Cutter, SpectrumCutter
from rtsmlm.engines.selection import manifest_of
from rtsmlm.errors import ConfigError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import PROBABILITY_OF_CHANNEL, Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import Manifest, read_manifest
from rtsmlm.models.trained_psf import check_pixel
from rtsmlm.plugins import LocalizerFactory
from rtsmlm.protocols import ALL, Localizer, RecallTable
from rtsmlm.settings.run import RunSettings

WAY_OUT = "leave localizer.colour out"


class ColourLocalizer:
    """Runs a localizer, then a network of classes on what belongs to each of its rows.

    Parameters
    ----------
    localizer
        Finds the rows.
    classes
        Tells their dyes.
    cutter
        Cuts what that network is given.
    """

    def __init__(self, localizer: Localizer, classes: NetworkClasses, cutter: Cutter) -> None:
        self._localizer, self._classes, self._cutter = localizer, classes, cutter

    @property
    def name(self) -> str:
        """Name of the localizer and of the network."""
        return f"{self._localizer.name}; dyes by {self._classes.method}"

    @property
    def neighbours(self) -> int:
        """As the localizer."""
        return self._localizer.neighbours

    @property
    def uses_all_cores(self) -> bool:
        """As the localizer."""
        return self._localizer.uses_all_cores

    @property
    def max_local_per_um2(self) -> float:
        """The lower one of what the localizer and the network take."""
        densest = self._classes.manifest.valid.density_um2[1]
        return min(self._localizer.max_local_per_um2, densest)

    @property
    def recall(self) -> RecallTable:
        """As the localizer."""
        return self._localizer.recall

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile or load all that the first batch would have to wait for."""
        self._localizer.warm_up(self._cutter.field_shape(shape))
        pixels = np.zeros((1, *shape), dtype=np.uint16)
        batch = FrameBatch.from_pixels(pixels)
        middle = np.zeros(1, dtype=np.float32)
        one: dict[str, NDArray[Any]] = {"frame": batch.index[:1], "x_nm": middle, "y_nm": middle}
        self._classes(self._cutter(Localizations.from_columns(one), batch)[0])

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the rows with their dyes; see `Localizer`."""
        locs = self._localizer(self._cutter.field(batch), targets)
        given, inside = self._cutter(locs, batch)
        found = self._classes(given).undecided(~inside)
        columns: dict[str, NDArray[Any]] = dict(locs.columns())
        columns["channel"] = found.channel
        if found.z_nm is not None:
            # A localizer that finds z knows it better than a network of another PSF.
            flat = np.isnan(locs.std_z_nm) & (locs.z_nm == 0.0)
            columns["z_nm"] = np.where(flat, found.z_nm, locs.z_nm)
            if found.std_z_nm is not None:
                columns["std_z_nm"] = np.where(flat, found.std_z_nm, locs.std_z_nm)
        return Localizations.from_columns(
            columns, {**locs.extras, PROBABILITY_OF_CHANNEL: found.probability}
        )


def open_coloured(
    colour: str,
    factory: LocalizerFactory,
    settings: RunSettings,
    calibration: CameraCalibration,
    sigma_nm: float,
) -> ColourLocalizer:
    """Return a localizer whose rows get the dyes of `localizer.colour`.

    Parameters
    ----------
    colour
        Name or folder of a model, as in `localizer.colour`.
    factory
        Opens the localizer of one view.
    settings
        Settings of the run.
    calibration
        Of the whole frame.
    sigma_nm
        Standard deviation of the PSF.

    Raises
    ------
    CalibrationError
        If the network was trained for other pixels.
    ConfigError
        If there is no such model, or what it needs is not set.
    """
    if settings.channels.fractions:
        raise ConfigError(
            "channels.fractions and localizer.colour both tell dyes apart; take one of them out"
        )
    names_of_dyes(settings, colour)
    wanted = settings.localizer
    classes = NetworkClasses(
        find_model(colour), wanted.engine, precision=wanted.precision,
        min_probability=settings.channels.min_probability,
    )  # fmt: skip
    views = settings.channels.layout()
    if not classes.takes_spectra:
        if views is not None:
            raise ConfigError(
                f"{classes.method} tells dyes by the shape of spots in one view; take "
                "channels.views out, or leave localizer.colour out"
            )
        check_pixel(classes.manifest, calibration, WAY_OUT)
        cutter: Cutter = BoxCutter(calibration, classes.shape[0])
        return ColourLocalizer(factory(settings, calibration, sigma_nm), classes, cutter)
    if views is None or len(views) != 2:
        raise ConfigError(
            f"{classes.method} tells dyes by spectra: channels.views must hold two views, that of "
            "the spots and that of their spectra (rtsmlm calibrate channels measures them)"
        )
    own = calibration.cropped(*views.first.region)
    cutter = SpectrumCutter(
        calibration, views, settings.spectrum.dispersion(), classes.wavelengths_nm(),
        classes.shape[0],
    )  # fmt: skip
    return ColourLocalizer(factory(settings, own, sigma_nm), classes, cutter)


def with_colour(stated: Mapping[str, object], colour: str) -> dict[str, object]:
    """Return what a table says of the columns that are added, with that of the dyes.

    Parameters
    ----------
    stated
        What it says without.
    colour
        As in `localizer.colour`.
    """
    manifest = _manifest_of(colour)
    columns = stated.get("extra_columns")
    units = dict(columns) if isinstance(columns, Mapping) else {}
    others = [stated["extra_columns_of"]] if "extra_columns_of" in stated else []
    by = ", ".join([*map(str, others), f"{manifest.name} {manifest.version}"])
    return {
        **stated,
        "extra_columns": {**units, PROBABILITY_OF_CHANNEL: "1"},
        "extra_columns_of": by,
    }


def check_dyes_of_frames(settings: RunSettings) -> None:
    """Refuse what does not go with a localizer that tells dyes apart in frames.

    Raises
    ------
    ConfigError
        If the settings have channels of another kind, or name another number of dyes.
    """
    manifest, channels = manifest_of(settings.localizer.name), settings.channels
    if manifest is None or not manifest.colours:
        return
    given = {
        "localizer.colour": settings.localizer.colour,
        "channels.views": channels.views,
        "channels.fractions": channels.fractions,
    }
    if others := [name for name, value in given.items() if value]:
        raise ConfigError(
            f"{manifest.name} tells dyes apart in frames of one view; take {' and '.join(others)} "
            "out, or set localizer.name to another one"
        )
    names_of_channels(settings)


def with_dye_names(settings: RunSettings) -> RunSettings:
    """Return settings whose channels have the names of the dyes that a network tells apart."""
    names = names_of_channels(settings)
    if names == settings.channels.names:
        return settings
    named = settings.channels.model_copy(update={"names": names})
    return settings.model_copy(update={"channels": named})


def names_of_channels(settings: RunSettings) -> tuple[str, ...]:
    """Return the names of the settings, else those of the dyes that a network tells apart.

    Raises
    ------
    ConfigError
        If there is no such model, or the settings name another number of dyes.
    """
    colour, names = settings.localizer.colour, settings.channels.names
    if colour is not None:
        return names_of_dyes(settings, colour)
    manifest = manifest_of(settings.localizer.name)
    if manifest is None or not manifest.colours:
        return names
    return _fitting(names, manifest.name, manifest.colours)


def names_of_dyes(settings: RunSettings, colour: str) -> tuple[str, ...]:
    """Return the names of the channels: those of the settings, else those of `colour`.

    Raises
    ------
    ConfigError
        If there is no such model, or the settings name another number of dyes.
    """
    manifest = _manifest_of(colour)
    return _fitting(settings.channels.names, manifest.name, dye_names(manifest))


def _fitting(wanted: tuple[str, ...], model: str, dyes: tuple[str, ...]) -> tuple[str, ...]:
    if wanted and len(wanted) != len(dyes):
        raise ConfigError(
            f"channels.names has {len(wanted)} names; {model} tells {len(dyes)} dyes apart: "
            f"{', '.join(dyes)}"
        )
    return wanted or dyes


def _manifest_of(colour: str) -> Manifest:
    manifest = read_manifest(find_model(colour))
    if manifest.task != TASK:
        raise ConfigError(
            f"{manifest.name} does {manifest.task}, not {TASK}, so that it is no localizer.colour"
        )
    return manifest
