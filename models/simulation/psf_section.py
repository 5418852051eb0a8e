"""Section of a recipe: the only PSF of a network, from a file or computed."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from rtsmlm.errors import ConfigError
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.simulation.ranges import LogSpan, Span
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.psf_file import StoredPsf, load_psf
from rtsmlm.physics.pupil import pupil_psf
from rtsmlm.settings.base import Settings

FINE_PER_PX = 4
"""Grid points per pixel of a computed PSF."""


class PsfSection(Settings):
    """One PSF for all emitters of all windows, and where in depth they lie."""

    file: Path | None = None
    """PSF file; not given computes the PSF from the section `optics`."""
    z_nm: Span = (-750.0, 750.0)
    """Depths of emitters, drawn uniformly; the network knows them in halves of this range."""
    thin_fraction: float = Field(default=0.2, ge=0, le=1)
    """Windows whose emitters lie near one depth."""
    thickness: LogSpan = (0.05, 0.5)
    """Standard deviation of their depths, in halves of the range."""
    z_step_nm: float = Field(default=50.0, gt=0)
    """Distance of the planes of a computed PSF; light is interpolated between them."""
    box_px: int = Field(default=31, ge=5)
    """Side of a computed PSF."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.z_nm[0] == self.z_nm[1]:
            raise ValueError(f"psf.z_nm is {self.z_nm}: the range of depths is empty")
        return self

    @property
    def middle_nm(self) -> float:
        """Depth in the middle of the range."""
        return 0.5 * (self.z_nm[0] + self.z_nm[1])

    @property
    def half_nm(self) -> float:
        """Half of the range of depths."""
        return 0.5 * (self.z_nm[1] - self.z_nm[0])

    def beside(self, folder: Path) -> PsfSection:
        """Return the section with the file of a folder, where it is there."""
        if self.file is None or not (folder / self.file).is_file():
            return self
        return self.model_copy(update={"file": (folder / self.file).resolve()})

    def grid(self, optics: OpticsSection) -> tuple[float, int]:
        """Return the camera pixel in nm and the side of the spots in pixels; see `load`."""
        if self.file is None:
            return optics.pixel_nm, self.box_px
        stored = load_psf(self.file)
        fine = stored.table.sums.shape[1] - 1
        return stored.pixel_nm, round(fine / stored.table.fine_per_px)

    def measured(self) -> TablePsf | None:
        """Return the PSF of the file, whatever its depths; None where none is given.

        Raises
        ------
        FileFormatError
            If the file cannot be read.
        """
        return None if self.file is None else load_psf(self.file).table

    def load(self, optics: OpticsSection) -> StoredPsf:
        """Return the PSF.

        Parameters
        ----------
        optics
            What it is computed of where no file is given.

        Raises
        ------
        ConfigError
            If it does not reach over the whole range of depths.
        FileFormatError
            If the file cannot be read.
        """
        if self.file is None:
            return self._computed(optics)
        stored = load_psf(self.file)
        low, high = stored.z_nm
        slack = 0.5 * stored.table.z_step_nm
        if low - slack > self.z_nm[0] or high + slack < self.z_nm[1]:
            raise ConfigError(
                f"psf.z_nm is {self.z_nm[0]:g} to {self.z_nm[1]:g} nm, but the PSF of {self.file} "
                f"holds {low:g} to {high:g} nm: narrow psf.z_nm, or measure the PSF over more depth"
            )
        return stored

    def _computed(self, optics: OpticsSection) -> StoredPsf:
        table = pupil_psf(
            optics.optics(),
            pixel_nm=optics.pixel_nm,
            vectorial=optics.vectorial,
            z_range_nm=max(abs(z) for z in self.z_nm) + self.z_step_nm,
            z_step_nm=self.z_step_nm,
            box_px=self.box_px,
            fine_per_px=FINE_PER_PX,
        )
        origin = f"computed, NA {optics.na:g}, {optics.wavelength_nm:g} nm"
        return StoredPsf(table, optics.pixel_nm, origin)
