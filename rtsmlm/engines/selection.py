"""Which localizer runs where none is named: the network for this PSF, else the fit.

A network is the default because it finds what overlaps; it holds for the PSFs that it was trained
on, and there is a fit for all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtsmlm import plugins
from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.box_networks import NetworkBackground, extras_of, open_box_localizer
from rtsmlm.engines.runtimes import AUTO, engine_of, knows_own_psf, open_network
from rtsmlm.errors import CalibrationError, ConfigError
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.localizations import FROM_NETWORK, PROBABILITY_OF_CHANNEL
from rtsmlm.models.catalog import (
    architecture_of,
    find_model,
    is_path,
    manifest_if_model,
    model_folders,
)
from rtsmlm.models.manifest import Manifest, load_manifest, read_manifest
from rtsmlm.models.windows import looks_at_windows
from rtsmlm.protocols import Localizer
from rtsmlm.settings.run import LocalizerSettings, RunSettings

Opener = Callable[[RunSettings, CameraCalibration, float], Localizer]


GROUP = "rtsmlm.localizer"
LOCALIZING = ("localize", "box-parameters")
"""Tasks of models whose answer are rows."""
SET_IN = {"box-background": "localizer.background", "box-classes": "localizer.colour"}
"""Settings that name models of other tasks."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A localizer by name."""

    name: str
    note: str = ""
    """Why it is not the network; empty where it is."""


def choose(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> Choice:
    """Return what `auto` means for this PSF.

    Parameters
    ----------
    settings
        Settings of the run; with `psf.astigmatism` a localizer that finds z is chosen.
    calibration
        Camera calibration.
    sigma_nm
        Standard deviation of a round PSF.
    """
    astigmatism = settings.psf.astigmatism
    curves = None if astigmatism is None else astigmatism.curves()
    network = network_of(settings)
    fit = "gaussian-mle" if curves is None else "astigmatic-mle"
    if settings.psf.table is not None:
        fit = "spline-mle"
    try:
        load_manifest(find_model(network)).psf_input(sigma_nm, curves, calibration)
    except CalibrationError as error:
        return Choice(fit, f"{fit} localizes instead of {network}: {error}")
    return Choice(network)


def network_of(settings: RunSettings) -> str:
    """Return the name of the network that `auto` takes where it was trained for the PSF."""
    return "flagship-2d" if settings.psf.astigmatism is None else "flagship-astig"


def open_auto(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> Localizer:
    """Build the localizer of entry point `auto`."""
    name = choose(settings, calibration, sigma_nm).name
    return factory_of(name)(settings, calibration, sigma_nm)


def localizer_names() -> list[str]:
    """Return all names that `localizer.name` may have, besides paths of model folders, sorted."""
    return sorted({*plugins.names(GROUP), *models_that_localize()})


def models_that_localize() -> list[str]:
    """Return the names of the installed models that turn frames into rows, sorted."""
    return [
        name
        for name, folder in sorted(model_folders().items())
        if read_manifest(folder).task in LOCALIZING
    ]


def factory_of(name: str) -> plugins.LocalizerFactory:
    """Return what opens the localizer of a name.

    Parameters
    ----------
    name
        As in `localizer.name`: a fit or another localizer that is installed, a model by its name,
        or the path of a model folder.

    Raises
    ------
    ConfigError
        If there is none of this name, or the folder holds no model.
    """
    if not is_path(name) and name in plugins.names(GROUP):
        found = plugins.find_localizer(name)
        # auto opens another one by its name, which gets the background then.
        return found if name == AUTO else _on_stated_background(found)
    if not is_path(name) and name not in model_folders():
        raise ConfigError(
            f"no localizer named {name!r} (localizer.name); there are "
            f"{', '.join(localizer_names())}, or give the path of a model folder"
        )
    folder = find_model(name)
    task = read_manifest(folder).task
    if task not in LOCALIZING:
        raise ConfigError(
            f"{name} does {task}, not localization, so that it is no localizer.name; see "
            f"{SET_IN.get(task, 'results.image_models')}"
        )

    def open_model_folder(
        settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
    ) -> Localizer:
        background = stated_background(settings, calibration, sigma_nm)
        if task == "localize":
            return open_network(folder, settings, calibration, sigma_nm, background=background)
        if background is not None:
            raise ConfigError(_for_fits(name))
        return open_box_localizer(folder, settings, calibration, sigma_nm)

    return open_model_folder


def manifest_of(name: str) -> Manifest | None:
    """Return the manifest of a localizer; None for one that is no model, or a wrong name.

    Parameters
    ----------
    name
        As in `localizer.name`. What is wrong with it is said where the localizer is opened.
    """
    is_plugin = not is_path(name) and name in plugins.names(GROUP)
    return None if is_plugin else manifest_if_model(name)


def extra_columns(wanted: LocalizerSettings, network: str) -> dict[str, object]:
    """Return what a table says of the columns that a localizer adds; nothing where it adds none.

    Parameters
    ----------
    wanted
        Settings of the localizer. What is wrong with its name is said where it is opened.
    network
        What `auto` takes unless a fit stands in for it, whose rows leave its columns open.
    """
    manifest = manifest_of(network if wanted.name == AUTO else wanted.name)
    if manifest is None:
        return {}
    units = extras_of(manifest) if manifest.task == "box-parameters" else {}
    if manifest.colours:
        units = {PROBABILITY_OF_CHANNEL: "1"}
    if goes_after_fit(manifest, wanted):
        units = {FROM_NETWORK: "1"}
    if not units:
        return {}
    return {"extra_columns": units, "extra_columns_of": f"{manifest.name} {manifest.version}"}


def goes_after_fit(manifest: Manifest, wanted: LocalizerSettings) -> bool:
    """Whether a fit goes first, and the network is asked where it cannot tell."""
    return (
        wanted.fit_first
        and wanted.refine
        and wanted.background is None
        and manifest.task == "localize"
        and not knows_own_psf(manifest)
        and engine_of(wanted.engine) == "openvino"
        and looks_at_windows(architecture_of(manifest.architecture))
    )


def _on_stated_background(factory: plugins.LocalizerFactory) -> plugins.LocalizerFactory:
    """Return a factory whose fit takes the background of a network, where one is named."""

    def open_fit(
        settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
    ) -> Localizer:
        background = stated_background(settings, calibration, sigma_nm)
        if background is None:
            return factory(settings, calibration, sigma_nm)
        wanted = settings.localizer.model_copy(update={"box_px": background.box_px})
        localizer = factory(
            settings.model_copy(update={"localizer": wanted}), calibration, sigma_nm
        )
        if not isinstance(localizer, SpotLocalizer):
            raise ConfigError(_for_fits(wanted.name))
        localizer.use_background(background)
        return localizer

    return open_fit


def stated_background(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> NetworkBackground | None:
    """Return the network of `localizer.background`; None where none is named.

    Parameters
    ----------
    settings
        Settings of the run.
    calibration
        Camera calibration.
    sigma_nm
        Standard deviation of a round PSF.

    Raises
    ------
    CalibrationError
        If it was trained for another PSF.
    ConfigError
        If there is none of this name, or it does something else.
    """
    wanted = settings.localizer
    if wanted.background is None:
        return None
    network = NetworkBackground(
        find_model(wanted.background), wanted.engine, precision=wanted.precision
    )
    if network.manifest.psf == "round":
        if settings.psf.astigmatism is not None:
            raise CalibrationError(
                f"{network.method} was trained for round PSFs, and psf.astigmatism states another: "
                "leave out localizer.background, or train its recipe for your optics"
            )
        sigma_px = sigma_nm / calibration.pixel_nm
        low, high = network.manifest.valid.sigma_px
        if not low <= sigma_px <= high:
            raise CalibrationError(
                f"the PSF of sigma {sigma_nm:.0f} nm is {sigma_px:.2f} px of "
                f"{calibration.pixel_nm:.0f} nm; {network.method} takes {low} to {high} px: check "
                "psf.sigma_nm and camera.pixel_nm, or leave localizer.background out"
            )
    return network


def _for_fits(name: str) -> str:
    return (
        f"localizer.background is for fits of boxes; {name} is none: set localizer.name to "
        "gaussian-mle or astigmatic-mle"
    )
