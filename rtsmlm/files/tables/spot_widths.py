"""How wide the spots of rows are, which other programs want in their tables.

A fit with a fixed PSF has one width for all rows. An astigmatic one finds z from the widths, so
that the calibrated curves give the widths back from z.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import ValidationError

from rtsmlm.files.tables.columns import positive
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.settings.psf import AstigmatismSettings


class SpotWidths:
    """Widths of spots along x and y, as far as the metadata of a table tell.

    Parameters
    ----------
    metadata
        Of the table: `psf_sigma_nm`, `psf_astigmatism`.
    known
        Columns with information, as `known_columns` gives them.
    """

    def __init__(self, metadata: Mapping[str, object], known: frozenset[str]) -> None:
        self._axial = "z_nm" in known
        self._sigma_nm = positive(metadata.get("psf_sigma_nm"))
        self._curves = _curves(metadata.get("psf_astigmatism"))

    @property
    def known(self) -> bool:
        """True where the widths can be told: not for rows with z but without curves."""
        return self._curves is not None if self._axial else self._sigma_nm is not None

    @property
    def one(self) -> bool:
        """True where all rows have one width, along x as along y."""
        return self.known and not self._axial

    def of(self, rows: Localizations) -> tuple[F32, F32]:
        """Return the widths of rows along x and y in nm, shape (n,) each.

        Raises
        ------
        ValueError
            If they are not known.
        """
        if self.one and self._sigma_nm is not None:
            width = np.full(len(rows), self._sigma_nm, dtype=np.float32)
            return width, width
        if not self._axial or self._curves is None:
            raise ValueError("the widths of these rows are not known")
        x, y = (curve.sigma_nm(rows.z_nm) for curve in (self._curves.x, self._curves.y))
        return x.astype(np.float32), y.astype(np.float32)


def _curves(stated: object) -> WidthCurves | None:
    try:
        return AstigmatismSettings.model_validate(stated).curves()
    except ValidationError:
        return None
