"""What boxes are drawn from: one frozen section of a recipe."""

from __future__ import annotations

from pydantic import Field

from rtsmlm.models.simulation.optics import Mode
from rtsmlm.models.simulation.ranges import LogSpan, Span
from rtsmlm.settings.base import Settings


class BoxRanges(Settings):
    """What boxes are drawn from; fractions are probabilities per box."""

    box_px: int = Field(default=16, ge=5)
    offset_px: float = Field(default=1.5, gt=0)
    """Largest distance of the emitter from the centre of the box, along each axis."""
    far_fraction: float = Field(default=0.15, ge=0, le=1)
    """Boxes around the second maximum of a wide spot: their emitter lies beside the centre."""
    far_px: float = Field(default=4.0, gt=0)
    """Largest distance of such an emitter."""
    maximum_fraction: float = Field(default=0.0, ge=0, le=1)
    """Boxes around a maximum of a spot that has several, such as one lobe of a double helix: as the
    detection cuts them while it does not know the emitter."""
    z_nm: Span = (-600.0, 600.0)
    photons: LogSpan = (300.0, 20000.0)
    background: LogSpan = (1.0, 300.0)
    """Photons per pixel."""
    modes: tuple[Mode, ...] = ()
    """Zernike modes whose amplitudes differ from box to box."""
    aberration_nm: float = Field(default=20.0, ge=0)
    """Standard deviation of each amplitude, root mean square of the wavefront."""
    fixed_dipoles: bool = False
    """Every emitter is a dipole of its own orientation; otherwise they turn freely."""
    neighbour_fraction: float = Field(default=0.2, ge=0, le=1)
    """A second emitter outside the middle, which is not asked for."""
    edge_fraction: float = Field(default=0.1, ge=0, le=1)
    """Boxes at the edge of a frame: their outer pixels repeat the last ones inside."""
    slope: float = Field(default=0.3, ge=0)
    """Largest relative change of the background from the centre to a side."""
    emccd_fraction: float = Field(default=0.2, ge=0, le=1)
    read_noise_e: LogSpan = (0.7, 3.0)
