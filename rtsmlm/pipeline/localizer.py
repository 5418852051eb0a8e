"""What a run needs before its first frame: the settings in force, the PSF width, the localizer.

Live runs, reconstruction and catch-up all ask here, so that they do the same.
"""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.runtimes import AUTO
from rtsmlm.engines.selection import choose, extra_columns, factory_of, manifest_of
from rtsmlm.errors import LocalizerError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.trained_psf import pixel_note
from rtsmlm.protocols import ALL, Localizer
from rtsmlm.settings.run import RunSettings


def open_localizer(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> Localizer:
    """Return the localizer that the settings name.

    Raises
    ------
    ConfigError
        If there is no localizer of that name, or the folder that is named holds no model.
    """
    return factory_of(settings.localizer.name)(settings, calibration, sigma_nm)


def localizer_note(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> str:
    """Return what to know of a localizer: that a fit stands in, or a pixel is not as trained."""
    if settings.localizer.name != AUTO:
        manifest = manifest_of(settings.localizer.name)
        return "" if manifest is None else pixel_note(manifest, calibration)
    return choose(settings, calibration, sigma_nm).note


def extra_columns_stated(settings: RunSettings) -> dict[str, object]:
    """Return what the table of a run says of the columns that its localizer adds."""
    return extra_columns(settings.localizer.name)


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
