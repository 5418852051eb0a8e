"""Localizations: the result table, one row per emitter per frame.

Lengths in nm, light in detected photons (photo-electrons), always. The origin is the centre of
pixel (0, 0); x runs along columns, y along rows; z is 0 in the focal plane and positive away from
the objective. Frames count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Localizations:
    """Struct of arrays, all of shape (n,)."""

    frame: NDArray[np.int64]
    """Camera frame number."""
    x_nm: F32
    y_nm: F32
    z_nm: F32
    """0 where the method has no axial information; its std is NaN then."""
    photons: F32
    """Detected photons of the emitter in this frame, background removed."""
    background: F32
    """Photons per pixel under the emitter, camera offset removed."""
    std_x_nm: F32
    """Standard deviation stated by the method: CRLB for a fit, predicted sigma for a network."""
    std_y_nm: F32
    std_z_nm: F32
    std_photons: F32
    probability: F32
    """Probability that there is an emitter; 1 for fits."""
    channel: NDArray[np.uint8]
    extras: Mapping[str, F32] = field(default_factory=dict)
    """What else the method finds, by name, such as aberrations; the same names in a whole run."""

    def __post_init__(self) -> None:
        n = len(self.frame)
        for name in COLUMN_DTYPES:
            _check_length(name, getattr(self, name), n)
        for name, column in self.extras.items():
            _check_length(name, column, n)

    def __len__(self) -> int:
        return len(self.frame)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name, in the order of the table, without the extras."""
        return {name: getattr(self, name) for name in COLUMN_DTYPES}

    def take(self, rows: NDArray[Any] | slice) -> Localizations:
        """Return the rows chosen by a mask, an index array or a slice."""
        return Localizations(
            **{name: column[rows] for name, column in self.columns().items()},
            extras={name: column[rows] for name, column in self.extras.items()},
        )

    def sorted_by_frame(self) -> Localizations:
        """Return the table ordered by frame; rows of one frame keep their order."""
        return self.take(np.argsort(self.frame, kind="stable"))

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, NDArray[Any]], extras: Mapping[str, F32] = MappingProxyType({})
    ) -> Localizations:
        """Build a table from any columns; what is absent gets its neutral value.

        Parameters
        ----------
        columns
            Arrays of shape (n,) by column name; `frame`, `x_nm` and `y_nm` are needed.
        extras
            Further arrays of shape (n,), by names that no column has.

        Raises
        ------
        ValueError
            If a name is unknown or a needed column is missing.
        """
        unknown = set(columns) - set(COLUMN_DTYPES)
        missing = {"frame", "x_nm", "y_nm"} - set(columns)
        if unknown or missing:
            raise ValueError(f"unknown columns {sorted(unknown)}, missing {sorted(missing)}")
        n = len(columns["frame"])
        whole: dict[str, Any] = {
            name: np.ascontiguousarray(columns[name], dtype=dtype)
            if name in columns
            else np.full(n, NEUTRAL.get(name, np.nan), dtype=dtype)
            for name, dtype in COLUMN_DTYPES.items()
        }
        return cls(**whole, extras=dict(extras))

    @classmethod
    def empty(cls) -> Localizations:
        """Return a table without rows."""
        nothing: dict[str, Any] = {
            name: np.empty(0, dtype=dtype) for name, dtype in COLUMN_DTYPES.items()
        }
        return cls(**nothing)

    @classmethod
    def concatenate(cls, tables: Sequence[Localizations]) -> Localizations:
        """Return one table with the rows of all, in their order.

        An extra column that a table lacks is NaN in its rows.
        """
        if not tables:
            return cls.empty()
        parts = [table.columns() for table in tables]
        names = dict.fromkeys(name for table in tables for name in table.extras)
        return cls(
            **{name: np.concatenate([p[name] for p in parts]) for name in COLUMN_DTYPES},
            extras={name: np.concatenate([t.extra_column(name) for t in tables]) for name in names},
        )

    def extra_column(self, name: str) -> F32:
        """Return an extra column, NaN where there is none of this name."""
        column = self.extras.get(name)
        return np.full(len(self), np.nan, dtype=np.float32) if column is None else column


def _check_length(name: str, column: NDArray[Any], n: int) -> None:
    if column.shape != (n,):
        raise ValueError(f"column {name} has shape {column.shape}; `frame` has ({n},)")


COLUMN_DTYPES: dict[str, Any] = {
    column.name: {"frame": np.int64, "channel": np.uint8}.get(column.name, np.float32)
    for column in fields(Localizations)
    if column.name != "extras"
}
"""Column names in table order with their types."""

UNITS: dict[str, str] = {
    "frame": "1",
    "x_nm": "nm",
    "y_nm": "nm",
    "z_nm": "nm",
    "photons": "photon",
    "background": "photon/px",
    "std_x_nm": "nm",
    "std_y_nm": "nm",
    "std_z_nm": "nm",
    "std_photons": "photon",
    "probability": "1",
    "channel": "1",
}
"""Unit of each column, as written into files and onto the wire."""

PROBABILITY_OF_CHANNEL = "channel_probability"
"""Extra column of whatever tells the `channel` of a row: how probable it is, unit 1."""
FROM_NETWORK = "from_network"
"""Extra column where a fit goes first: 1 where a network has found the emitter, 0 where the fit
alone has."""

NEUTRAL: dict[str, float] = {"z_nm": 0.0, "probability": 1.0, "channel": 0.0}
"""What a column holds where a source does not state it; NaN for all others."""
