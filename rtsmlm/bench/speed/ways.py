"""Localizers by name for a movie, and what a network after a fit is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from rtsmlm.bench.accuracy.contenders import overrides_of, with_curves
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.speed.sweep import FIT, NETWORK, ROUTED
from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.routing import RoutedLocalizer
from rtsmlm.engines.runtimes import AUTO
from rtsmlm.engines.selection import choose
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.cores import usable_cores
from rtsmlm.settings.load import load
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings


def settings_of(
    name: str, engine: str | None, scene: Scene | None = None, more: Sequence[str] = ()
) -> RunSettings:
    """Return the settings of a run.

    Parameters
    ----------
    name
        Of the localizer, as in the settings, with a precision or not.
    engine
        As `localizer.engine`; None takes the default.
    scene
        The movie; without one the settings are read to see whether they are right.
    more
        Further settings, as `localizer.fit_first=false`.

    Raises
    ------
    ConfigError
        If one of the settings is wrong.
    """
    overrides = [
        *overrides_of(name),
        "stream.address=tcp://127.0.0.1:*",
        # What was restarted is not what was measured.
        "pipeline.max_restarts=0",
        *more,
    ]
    overrides += [f"localizer.engine={engine}"] * (engine is not None)
    if scene is None:
        return load(None, overrides)
    settings = load(None, [*overrides, f"psf.sigma_nm={scene.sigma_nm}"])
    settings = resolve(with_curves(settings, scene), calibration=scene.calibration)
    return on_one_localizer(settings, scene.calibration, scene.sigma_nm)


def on_one_localizer(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> RunSettings:
    """Return settings that name the localizer which `auto` begins with: no other may take over.

    Parameters
    ----------
    settings
        Of a run.
    calibration
        Camera calibration.
    sigma_nm
        PSF width.
    """
    if settings.localizer.name != AUTO:
        return settings
    name = choose(settings, calibration, sigma_nm).name
    return settings.model_copy(
        update={"localizer": settings.localizer.model_copy(update={"name": name})}
    )


def open_named(name: str, engine: str | None, scene: Scene, more: Sequence[str] = ()) -> Localizer:
    """Return a localizer for a movie; parameters as for `settings_of`.

    Raises
    ------
    RtsmlmError
        If it cannot be opened.
    """
    return open_localizer(settings_of(name, engine, scene, more), scene.calibration, scene.sigma_nm)


def ways_of(name: str, engine: str | None, scene: Scene) -> dict[str, Localizer]:
    """Return a localizer, and where it is a network after a fit both of its parts alone.

    Parameters
    ----------
    name, engine, scene
        As for `settings_of`.

    Raises
    ------
    RtsmlmError
        If one cannot be opened.
    """
    localizer = open_named(name, engine, scene)
    if not isinstance(localizer, RoutedLocalizer):
        return {name: localizer}
    fit = "gaussian-mle" if scene.curves is None else "astigmatic-mle"
    return {
        ROUTED: localizer,
        NETWORK: open_named(name, engine, scene, ["localizer.fit_first=false"]),
        FIT: open_named(fit, None, scene),
    }


def threads_of(localizer: Localizer) -> int:
    """Return how many threads of a live run localize."""
    return usable_cores() if localizer.uses_all_cores else 1
