"""Settings of the simulated microscope, with the sample, the optics and the camera in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtsmlm.errors import ConfigError
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.dyes import DyeName
from rtsmlm.physics.structures import StructureName

PsfName = Literal[
    "gaussian",
    "astigmatic",
    "scalar",
    "vectorial",
    "aberrated",
    "tetrapod",
    "double-helix",
    "file",
    "dyes",
    "colour-mask",
]
"""gaussian and astigmatic are Gaussians; file is read from a PSF file; all else is computed by
Fourier optics, vectorial but for scalar: aberrated with coma, spherical aberration and trefoil,
tetrapod and double-helix with that phase mask, dyes without aberrations and as wide as the light
of each dye is red, colour-mask scalar for the spectrum of each dye through the mask that was
learned to tell them apart."""
OF_DYES: frozenset[PsfName] = frozenset({"dyes", "colour-mask"})
"""PSFs that are other for each dye."""

EmissionName = Literal["AF647", "CF660C", "CF680", "AF700", "mEos3.2"]
"""Keys of `rtsmlm.physics.spectra.DYES`."""

LARGEST_NA = 1.51


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroscopeSettings:
    """What is on the microscope and how it is set."""

    seed: int = 0
    width: int = 256
    """Columns of the chip."""
    height: int = 256
    """Rows of the chip."""
    pixel_nm: float = 100.0
    dye: DyeName = "AF647"
    structure: StructureName = "filaments"
    label_density_per_um2: float = 90.0
    """Emitters in the sample, mean over the field of view; only a few are on at a time."""
    emitter_count: int = 0
    """Number of emitters; 0 takes it from the label density."""
    depth_nm: float = 600.0
    """Thickness of the sample about the focal plane."""
    focus_nm: float = 0.0
    """Height of the focal plane above the middle of the sample."""
    all_on: bool = False
    """Start before the switch-off phase, with every emitter on, instead of all dark."""
    imager_nm: float = 0.5
    """Imager concentration in nM, for DNA-PAINT."""
    psf: PsfName = "gaussian"
    psf_sigma_nm: float = 130.0
    """Standard deviation of the Gaussian PSF, and of the astigmatic one at its waist."""
    astigmatism_nm: float = 70.0
    """Astigmatism of the scalar, vectorial and aberrated PSF, root mean square of the wavefront."""
    aberration_nm: float = 20.0
    """Coma, spherical aberration and trefoil of the aberrated PSF, each, root mean square."""
    na: float = 1.49
    """Numerical aperture of a computed PSF; water under a cover glass, oil immersion."""
    wavelength_nm: float = 670.0
    """Of a computed PSF; of colour-mask the one that the radians of the mask are for."""
    psf_file: str = ""
    """PSF file of psf = file; its pixel must be that of the camera. Of colour-mask the mask, as
    npy; empty takes that of the packaged network hershko."""
    sensor: SensorType = "sCMOS"
    exposure_ms: float = 10.0
    readout_ms: float = 0.0
    """Dead time between exposures: emitters blink, no light is collected."""
    background: float = 1.0
    """Photons per pixel per ms at 1 kW/cm² of readout light."""
    haze: float = 0.0
    """Out-of-focus light of the structure, relative to the light of the emitters in focus."""
    beam_fwhm_um: float = 40.0
    """Width of the laser beams in the sample plane."""
    views: int = 1
    """2: a dichroic mirror puts short and long wavelengths side by side on the chip, or a grating
    spots and their spectra."""
    dispersion_nm_per_px: float = 0.0
    """Of a grating; 0 is a dichroic mirror."""
    emission: EmissionName = "AF647"
    """Spectrum of the dye; which half of a chip of two views its light falls on."""
    second_emission: EmissionName | Literal[""] = ""
    """Spectrum of a second dye, which blinks as the first; empty for none."""
    second_structure: StructureName = "nuclear-pores"
    """What the second dye labels."""
    second_share: float = 0.5
    """Part of the emitters that are of the second dye."""
    dichroic_nm: float = 685.0
    """Wavelength of which the mirror passes one half."""
    dichroic_width_nm: float = 10.0
    """Distance of the wavelengths of which the mirror passes 10 and 90 %."""
    drift_nm_per_s: float = 0.0
    """Lateral drift, at 30 degrees to the rows."""
    drift_z_nm_per_s: float = 0.0
    drift_walk_nm: float = 0.0
    """Standard deviation of the random walk after one second, along each axis."""

    def __post_init__(self) -> None:
        at_least = {
            "width": 8,
            "height": 8,
            "pixel_nm": 1.0,
            "psf_sigma_nm": 1.0,
            "na": 0.1,
            "wavelength_nm": 200.0,
            "exposure_ms": 0.01,
            "beam_fwhm_um": 0.1,
            "seed": 0,
            "label_density_per_um2": 0.0,
            "emitter_count": 0,
            "readout_ms": 0.0,
            "background": 0.0,
            "haze": 0.0,
            "depth_nm": 0.0,
            "imager_nm": 0.0,
            "drift_walk_nm": 0.0,
            "views": 1,
            "dispersion_nm_per_px": 0.0,
            "second_share": 0.0,
            "dichroic_nm": 200.0,
            "dichroic_width_nm": 0.1,
        }
        for name, limit in at_least.items():
            if not getattr(self, name) >= limit:
                raise ConfigError(
                    f"simulated microscope: {name} is {getattr(self, name)}; it must be at least "
                    f"{limit}"
                )
        if self.views > 2 or not self.second_share <= 1.0:
            raise ConfigError(
                f"simulated microscope: views is {self.views} and second_share "
                f"{self.second_share:g}; at most 2 views and a share of 1 are possible"
            )
        if self.second_emission and self.views < 2 and self.psf not in OF_DYES:
            raise ConfigError(
                f"simulated microscope: second_emission is {self.second_emission}, which one view "
                "cannot tell from the first dye; set views (Views) to 2, or psf (PSF) to dyes "
                "or colour-mask"
            )
        if not self.na <= LARGEST_NA:
            raise ConfigError(
                f"simulated microscope: na is {self.na}; an oil immersion has at most {LARGEST_NA}"
            )

    @property
    def period_s(self) -> float:
        """Time from frame to frame."""
        return (self.exposure_ms + self.readout_ms) * 1e-3

    @property
    def field_width(self) -> int:
        """Columns that the sample fills: those of one view."""
        return self.width // self.views

    @property
    def n_emitters(self) -> int:
        """Emitters in the sample."""
        if self.emitter_count:
            return self.emitter_count
        area_um2 = self.field_width * self.height * (self.pixel_nm * 1e-3) ** 2
        return max(round(self.label_density_per_um2 * area_um2), 1)


SAMPLE_FIELDS = frozenset(
    {
        "seed",
        "width",
        "height",
        "pixel_nm",
        "dye",
        "structure",
        "label_density_per_um2",
        "emitter_count",
        "depth_nm",
        "all_on",
        "imager_nm",
        "sensor",
        "views",
        "second_emission",
        "second_structure",
        "second_share",
    }
)
"""A change of one of these puts a fresh sample under the microscope."""

PSF_FIELDS = frozenset(
    {
        "psf",
        "psf_sigma_nm",
        "astigmatism_nm",
        "aberration_nm",
        "na",
        "wavelength_nm",
        "psf_file",
        "pixel_nm",
        "depth_nm",
        "focus_nm",
        "emission",
        "second_emission",
    }
)
"""A change of one of these computes the PSF anew."""
