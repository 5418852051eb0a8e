"""Which localizations are shown."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.render.columns import FRAME, PHOTONS, PROBABILITY, STD_X, STD_Y, Z

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

    def __post_init__(self) -> None:
        for field in fields(self):
            limits = getattr(self, field.name)
            # Written so that NaN is no limit.
            if isinstance(limits, tuple) and not limits[0] <= limits[1]:
                raise ConfigError(
                    f"the filter of {field.name} from {limits[0]:g} to {limits[1]:g} lets nothing "
                    "pass; give the lower limit first"
                )
        if not 0 <= self.min_probability <= 1:
            raise ConfigError(
                f"the least probability {self.min_probability:g} is none; choose one from 0 to 1"
            )

    def bounds(self) -> tuple[NDArray[np.int64], F32]:
        """Return the columns that are limited, and their limits, shape (n, 2)."""
        limited = {STD_X: self.std_nm, STD_Y: self.std_nm, PHOTONS: self.photons}
        limited |= {FRAME: self.frame, Z: self.z_nm}
        if self.min_probability > 0:
            limited[PROBABILITY] = (self.min_probability, np.inf)
        known = {column: limits for column, limits in limited.items() if limits is not None}
        bounds = np.array(list(known.values()), np.float32).reshape(-1, 2)
        return np.array(list(known), np.int64), bounds

    def describe(self) -> dict[str, list[float] | float]:
        """Return the limits that are set, as written beside an image."""
        limits: dict[str, list[float] | float] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value != field.default:
                limits[field.name] = list(value) if isinstance(value, tuple) else value
        return limits
