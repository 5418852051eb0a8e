"""What a calibration states of a microscope: it replaces what a recipe draws at random."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf_file import StoredPsf, load_psf
from rtsmlm.settings.run import RunSettings
from rtsmlm.settings.spectrum import SpectrumSettings

SAME_PIXEL = 0.01
"""Relative difference up to which two pixel sides are one that was rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Microscope:
    """Camera and PSF; None where nothing is stated."""

    pixel_nm: float | None = None
    offset_adu: float | None = None
    e_per_adu: float | None = None
    em_gain: float | None = None
    read_noise_e: float | None = None
    """Of a typical pixel, in electrons before EM gain is divided out."""
    sigma_nm: float | None = None
    """Standard deviation of a round PSF."""
    curves: WidthCurves | None = None
    """Widths of an astigmatic PSF."""
    psf_file: Path | None = None
    """Image of a point at every depth, see `rtsmlm.physics.psf_file`."""
    spectrum: SpectrumSettings | None = None
    """What disperses the light of each spot."""

    def __post_init__(self) -> None:
        if all(getattr(self, field.name) is None for field in fields(self)):
            raise ConfigError(
                "the calibration states neither camera nor PSF, so that there is nothing to adapt "
                "to: give files of rtsmlm calibrate with -c, or a PSF table with --psf"
            )

    @property
    def has_camera(self) -> bool:
        """Whether anything is stated of how the camera counts."""
        stated = (self.offset_adu, self.e_per_adu, self.em_gain, self.read_noise_e)
        return any(value is not None for value in stated)

    def needed_pixel_nm(self, name: str) -> float:
        """Return the side of a pixel.

        Raises
        ------
        ConfigError
            If it is not stated; `name` is the model that cannot be adapted then.
        """
        if self.pixel_nm is None:
            raise ConfigError(
                f"{name} cannot be adapted without the side of a pixel: state camera.pixel_nm in a "
                "file that is given with -c"
            )
        return self.pixel_nm

    def load_psf(self) -> StoredPsf | None:
        """Return the PSF of the table; None where none is given.

        Raises
        ------
        ConfigError
            If it is that of other pixels.
        FileFormatError
            If it cannot be read.
        """
        if self.psf_file is None:
            return None
        stored = load_psf(self.psf_file)
        pixel_nm = self.pixel_nm or stored.pixel_nm
        if abs(stored.pixel_nm / pixel_nm - 1.0) > SAME_PIXEL:
            raise ConfigError(
                f"the PSF table {self.psf_file} is for pixels of {stored.pixel_nm:g} nm, but "
                f"camera.pixel_nm is {pixel_nm:g}: make the table with --pixel-nm {pixel_nm:g}"
            )
        return stored


def microscope_of(settings: RunSettings, *, psf_file: Path | None = None) -> Microscope:
    """Return what settings state of camera and PSF.

    Parameters
    ----------
    settings
        As `rtsmlm calibrate` writes them; what they leave out counts as not stated.
    psf_file
        PSF table.

    Raises
    ------
    ConfigError
        If they state nothing.
    """
    camera, psf = settings.camera, settings.psf
    return Microscope(
        pixel_nm=camera.pixel_nm,
        offset_adu=camera.offset_adu,
        e_per_adu=camera.e_per_adu,
        em_gain=camera.em_gain,
        read_noise_e=camera.read_noise_e,
        sigma_nm=None if psf.sigma_nm == "auto" else psf.sigma_nm,
        curves=None if psf.astigmatism is None else psf.astigmatism.curves(),
        psf_file=psf_file,
        spectrum=settings.spectrum if settings.spectrum.model_fields_set else None,
    )
