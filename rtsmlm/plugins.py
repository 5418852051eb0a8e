"""Finds cameras and localizers by entry point: a lab adds its own without touching ours.

A package offers a camera in its `pyproject.toml`::

    [project.entry-points."rtsmlm.camera"]
    hamamatsu = "my_lab.hamamatsu:open_camera"

All factories of one group are called alike:

- `rtsmlm.camera`: `open_camera(settings, open_movie) -> Camera`. `settings` is the
  `RunSettings` of the run; `open_movie(path, movie_settings)` opens a recording, which only
  replay needs: drivers may not import readers of files.
- `rtsmlm.localizer`: see `rtsmlm.fitting.localizer`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rtsmlm.errors import ConfigError


def names(group: str) -> list[str]:
    """Return the names that are installed in a group such as `rtsmlm.camera`, sorted."""
    return sorted(set(entry_points(group=group).names))


def find(group: str, name: str) -> Callable[..., Any]:
    """Import and return the factory of this name.

    Parameters
    ----------
    group
        Group of entry points, such as `rtsmlm.camera`.
    name
        Name as in the settings.

    Raises
    ------
    ConfigError
        If there is none of this name, if two packages offer different ones, or if it cannot
        be imported.
    """
    kind = group.rpartition(".")[2]
    found = entry_points(group=group, name=name)
    offers: dict[str, EntryPoint] = {offer.value: offer for offer in found}
    if not offers:
        raise ConfigError(f"no {kind} named {name!r}; installed: {', '.join(names(group))}")
    if len(offers) > 1:
        raise ConfigError(
            f"{kind} {name!r} is offered more than once, as "
            f"{' and '.join(sorted(offers))}; uninstall all packages but one"
        )
    value, offer = offers.popitem()
    try:
        factory = offer.load()
    except Exception as error:  # whatever a foreign module does while it is imported
        raise ConfigError(f"{kind} {name!r} ({value}) cannot be imported: {error}") from error
    if not callable(factory):
        raise ConfigError(f"{kind} {name!r} ({value}) is no function that opens one")
    return factory  # type: ignore[no-any-return]
