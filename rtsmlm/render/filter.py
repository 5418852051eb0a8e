"""Which localizations are shown."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.render.columns import CHANNEL, FRAME, PHOTONS, PROBABILITY, STD_X, STD_Y, Z

Range: TypeAlias = tuple[float, float] | None
"""Least and greatest value, both included; None lets all pass, also what is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Limits of what is shown; an unknown value (NaN) is outside every range.

    Raises
    ------
    ConfigError
        If a range ends before it begins, or the least probability is not from 0 to 1.
    """

    std_nm: Range = None
    """Of the lateral standard deviations, both in x and in y."""
    photons: Range = None
    frame: Range = None
    z_nm: Range = None
    min_probability: float = 0.0
    hidden_channels: tuple[int, ...] = ()
    """Channels whose rows are not shown."""

    def __post_init__(self) -> None:
        for field in fields(self):
            limits = getattr(self, field.name)
            if not isinstance(limits, tuple) or field.name == "hidden_channels":
                continue
            # Written so that NaN is no limit.
            if not limits[0] <= limits[1]:
                raise ConfigError(
                    f"the filter of {field.name} from {limits[0]:g} to {limits[1]:g} lets nothing "
                    "pass; give the lower limit first"
                )
        if not 0 <= self.min_probability <= 1:
            raise ConfigError(
                f"the least probability {self.min_probability:g} is none; choose one from 0 to 1"
            )

    def bounds(self) -> tuple[NDArray[np.int64], F32]:
        """Return the columns that are limited, and their limits, shape (n, 2).

        Where the lower limit is above the upper, what lies between them is left out.
        """
        limited = [(STD_X, self.std_nm), (STD_Y, self.std_nm), (PHOTONS, self.photons)]
        limited += [(FRAME, self.frame), (Z, self.z_nm)]
        if self.min_probability > 0:
            limited.append((PROBABILITY, (self.min_probability, np.inf)))
        limited += [(CHANNEL, (channel + 0.5, channel - 0.5)) for channel in self.hidden_channels]
        known = [(column, limits) for column, limits in limited if limits is not None]
        bounds = np.array([limits for _, limits in known], np.float32).reshape(-1, 2)
        return np.array([column for column, _ in known], np.int64), bounds

    def mask(self, table: F32) -> NDArray[np.bool_] | None:
        """Return which rows of a table pass, shape (n,); None where nothing is limited.

        Parameters
        ----------
        table
            Shape (COLUMNS, n), see `splat`.
        """
        found: NDArray[np.bool_] | None = None
        for column, (low, high) in zip(*self.bounds(), strict=True):
            value = table[column]
            if low <= high:
                inside = (value >= low) & (value <= high)
            else:
                inside = (value >= low) | (value <= high)
            found = inside if found is None else found & inside
        return found

    def describe(self) -> dict[str, list[float] | float]:
        """Return the limits that are set, as written beside an image."""
        limits: dict[str, list[float] | float] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value != field.default:
                limits[field.name] = list(value) if isinstance(value, tuple) else value
        return limits
