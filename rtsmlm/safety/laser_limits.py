"""Limits of a laser: what the settings allow and the device gives, or a refusal."""

from __future__ import annotations

import math

from rtsmlm.errors import ConfigError
from rtsmlm.settings.lasers import LaserSettings

_OF_CAP = 1e-3
"""Lowest power of a laser that knows none itself, as a part of the cap."""


def agree(
    name: str, unit: str, settings: LaserSettings, device: tuple[float, float]
) -> tuple[float, float]:
    """Return least and most power above 0; nothing is clipped silently.

    Parameters
    ----------
    name, unit
        Of the laser.
    settings
        Cap, least power and what is planned.
    device
        Limits that the device reports.

    Raises
    ------
    ConfigError
        If there is no cap, a number is none, or settings and device do not fit each other.
    """
    low, high = device
    if not 0 <= low < high < math.inf:
        raise ConfigError(
            f"{name} reports limits of {low:g} to {high:g} {unit}, which is no range of powers; "
            "check the device and its driver"
        )
    cap, key = settings.max_power, f"lasers.{name}.max_power"
    if cap is None:
        raise ConfigError(f"{name} has no cap and is not armed; set {key}, at most {high:g} {unit}")
    _check_numbers(name, unit, settings)
    if not 0 < cap <= high:
        raise ConfigError(
            f"{key} is {cap:g} {unit}, the device gives {high:g} at most; lower the cap"
        )
    least = settings.min_power
    least = max(low, _OF_CAP * cap) if least is None else max(least, low)
    if least >= cap:
        raise ConfigError(
            f"{key} is {cap:g} {unit}, but the device gives {least:g} at least; raise the cap, "
            "weaken the beam by a filter, or use pulses (pulse_property)"
        )
    return least, cap


def _check_numbers(name: str, unit: str, settings: LaserSettings) -> None:
    planned = [power for _, power in settings.schedule]
    numbers: dict[str, list[float | None]] = {
        "max_power": [settings.max_power],
        "min_power": [settings.min_power],
        "start_power": [settings.start_power],
        "max_dose": [settings.max_dose],
        "schedule": [*planned, *(t_s for t_s, _ in settings.schedule)],
    }
    for key, values in numbers.items():
        for value in values:
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(
                    f"lasers.{name}.{key} has {value:g}; it takes finite numbers from 0 on"
                )
    cap = settings.max_power
    if cap is not None and max([settings.start_power, *planned]) > cap:
        raise ConfigError(
            f"{name} is planned to give {max([settings.start_power, *planned]):g} {unit}, its cap "
            f"is {cap:g}; lower start_power or schedule"
        )
