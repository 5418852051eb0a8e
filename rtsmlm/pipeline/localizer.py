"""What a run needs before its first frame: the settings in force, the PSF width, the localizer.

Live runs, reconstruction and catch-up all ask here, so that they do the same.
"""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.analysis.drift_trace import RAW_COLUMNS
from rtsmlm.calibration import CameraCalibration
from rtsmlm.channels.joint_localizer import JointLocalizer, joint_columns
from rtsmlm.channels.separate_localizer import SeparateLocalizer
from rtsmlm.engines.colour_localizer import (
    check_dyes_of_frames,
    names_of_channels,
    open_coloured,
    with_colour,
)
from rtsmlm.engines.runtimes import AUTO, knows_own_psf
from rtsmlm.engines.selection import (
    choose,
    extra_columns,
    factory_of,
    manifest_of,
    network_of,
)
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.trained_psf import pixel_note
from rtsmlm.physics.views import Views
from rtsmlm.pipeline.wobble import WithHalo, WithoutWobble
from rtsmlm.protocols import ALL, Localizer
from rtsmlm.settings.run import RunSettings

JOINT_FIT = "gaussian-mle"
"""What fits an emitter in several views at once."""


def with_localizer(settings: RunSettings, name: str) -> RunSettings:
    """Return settings with another `localizer.name`."""
    wanted = settings.localizer.model_copy(update={"name": name})
    return settings.model_copy(update={"localizer": wanted})


def open_localizer(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> Localizer:
    """Return the localizer that the settings name, for all views of a frame.

    Raises
    ------
    ConfigError
        If there is no localizer of that name, the folder that is named holds no model, or it
        cannot make the channels that the settings ask for.
    """
    check_dyes_of_frames(settings)
    views, colour = settings.channels.layout(), settings.localizer.colour
    if colour is not None:
        factory = factory_of(settings.localizer.name)
        return open_coloured(colour, factory, settings, calibration, sigma_nm)
    if views is None:
        return _open_one(settings, calibration, sigma_nm)
    if settings.channels.fractions:
        return _open_joint(settings, calibration, sigma_nm, views)
    localizers = [
        _open_one(settings, calibration.cropped(*view.region), sigma_nm * view.sigma_ratio)
        for view in views
    ]
    return SeparateLocalizer(views, localizers, calibration.pixel_nm)


def _open_one(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> Localizer:
    """Return the localizer of one view, whose rows lie where the emitters are."""
    localizer = factory_of(settings.localizer.name)(settings, calibration, sigma_nm)
    manifest = manifest_of(settings.localizer.name)
    if manifest is not None and knows_own_psf(manifest):
        return localizer  # learned places and light from beads, not from the curves
    astigmatism, halo = settings.psf.astigmatism, settings.psf.halo
    if astigmatism is None:
        return WithHalo(localizer, halo) if halo else localizer
    if (wobble := astigmatism.curves().wobble) is None:
        return localizer
    if getattr(localizer, "takes_wobble_off", False):
        return localizer  # fits the image of the beads
    return WithoutWobble(localizer, wobble)


def _open_joint(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float, views: Views
) -> JointLocalizer:
    wanted = settings.localizer
    if wanted.name not in (AUTO, JOINT_FIT):
        raise ConfigError(
            f"localizer.name is {wanted.name!r}, which takes one view at a time; with "
            f"channels.fractions an emitter is fitted in all views at once: set it to {JOINT_FIT}, "
            "or take channels.fractions out, so that each view is a channel"
        )
    if wanted.background is not None or wanted.fit_sigma:
        raise ConfigError(
            "localizer.background and localizer.fit_sigma are for frames of one view; with "
            "channels.fractions take them out"
        )
    return JointLocalizer(
        calibration=calibration,
        sigma_nm=sigma_nm,
        settings=wanted,
        views=views,
        channels=settings.channels,
    )


def localizer_note(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> str:
    """Return what to know of a localizer: that a fit stands in, or a pixel is not as trained."""
    if settings.localizer.name != AUTO:
        manifest = manifest_of(settings.localizer.name)
        return "" if manifest is None else pixel_note(manifest, calibration)
    if settings.channels.fractions:
        return ""
    return choose(settings, calibration, sigma_nm).note


def extra_columns_stated(settings: RunSettings) -> dict[str, object]:
    """Return what the table of a run says of its rows.

    The columns that the localizer adds, the names of channels, and, where frames have views, the
    shape of the first one, in which all rows lie.
    """
    channels = settings.channels
    stated = extra_columns(settings.localizer, network_of(settings))
    if channels.fractions:
        stated = {"extra_columns": joint_columns(channels), "extra_columns_of": JOINT_FIT}
    if (colour := settings.localizer.colour) is not None:
        stated = with_colour(stated, colour)
    if names := names_of_channels(settings) or channels.channel_names():
        stated["channels"] = list(names)
    if (views := channels.layout()) is not None:
        stated["shape"] = list(views.first.shape)
    if settings.drift.correct:
        columns = stated.get("extra_columns")
        raw = dict.fromkeys(RAW_COLUMNS, "nm")
        stated["extra_columns"] = {**(columns if isinstance(columns, dict) else {}), **raw}
    return stated


def localize_each(
    localizer: Localizer,
    batch: FrameBatch,
    on_failure: Callable[[int, str], None],
    targets: slice = ALL,
) -> Localizations:
    """Localize a batch; where it fails, frame by frame, so that one bad frame costs one frame.

    Parameters
    ----------
    localizer
        The localizer.
    batch
        Frames in order.
    on_failure
        Called with the number of each frame that fails, and why.
    targets
        Which frames are to be localized; the others are there as neighbours.
    """
    chosen = range(*targets.indices(len(batch)))
    try:
        return localizer(batch, targets)
    except LocalizerError as error:
        if len(chosen) == 1:
            on_failure(int(batch.index[chosen[0]]), str(error))
            return Localizations.empty()
    one_by_one = [localize_each(localizer, batch, on_failure, slice(k, k + 1)) for k in chosen]
    return Localizations.concatenate(one_by_one)
