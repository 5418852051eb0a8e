"""Images of emitters with aberrations and orientations of their own, from the light in the pupil.

The field in the pupil is `rtsmlm.physics.pupil`'s; everything from there to the pixels is written
anew in numpy, apart from the layer that networks are trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.physics.pupil import Optics, pupil_fields
from rtsmlm.physics.zernike import zernike

F64: TypeAlias = NDArray[np.float64]
C128: TypeAlias = NDArray[np.complex128]
WIDE_PX = 61
"""Side of the image whose light is taken for all of it, as in the training."""
POINTS, FINE_PER_PX = 56, 4


class PupilSpots:
    """Draws emitters of one photon.

    Parameters
    ----------
    optics
        Objective, media, and the aberrations that are always there.
    pixel_nm
        Camera pixel.
    box_px
        Side of the images.
    modes
        Zernike modes whose amplitudes differ from emitter to emitter.
    vectorial
        Dipoles; otherwise a scalar wave.
    """

    def __init__(
        self,
        optics: Optics,
        *,
        pixel_nm: float,
        box_px: int,
        modes: Sequence[tuple[int, int]] = (),
        vectorial: bool = True,
    ) -> None:
        self._optics, self._pixel_nm, self._box_px = optics, pixel_nm, box_px
        self._light = pupil_fields(optics, points=POINTS, vectorial=vectorial)
        self._inside = np.abs(self._light.fields).max(axis=0) > 0.0
        rho, phi = self._light.rho, self._light.phi
        shapes = [zernike(n, m, rho, phi) * self._inside for n, m in modes]
        self._shapes = np.stack(shapes) if shapes else np.zeros((0, *rho.shape))
        none = np.zeros(len(modes))
        power, passed = self._power(WIDE_PX, 0.0, 0.0, 0.0, none, None)
        self._all = float(power.sum()) / passed

    def __call__(
        self, x_px: float, y_px: float, z_nm: float, amplitudes_nm: F64, dipole: F64 | None = None
    ) -> F32:
        """Return the share of its light that an emitter leaves in each pixel, (box, box).

        Parameters
        ----------
        x_px, y_px
            Place from the centre of the box.
        z_nm
            Height above the focal plane.
        amplitudes_nm
            Wavefront errors by the modes, root mean square, (modes,).
        dipole
            Unit vector of a fixed dipole; None for one that turns freely.
        """
        power, passed = self._power(self._box_px, x_px, y_px, z_nm, amplitudes_nm, dipole)
        return np.asarray(power / (passed * self._all), dtype=np.float32)

    def _power(
        self,
        box_px: int,
        x_px: float,
        y_px: float,
        z_nm: float,
        amplitudes_nm: F64,
        dipole: F64 | None,
    ) -> tuple[F64, float]:
        """Return the light in the pixels, and what passes the pupil, in the same unit."""
        optics, light = self._optics, self._light
        # An emitter cannot lie below the cover glass: from there on the stage moves.
        height = max(z_nm, -optics.depth_nm)
        phase = light.axial * height + light.refocus * (z_nm - height)
        if len(self._shapes):
            wavefront = np.tensordot(amplitudes_nm, self._shapes, axes=1)
            phase = phase + 2.0 * np.pi / optics.wavelength_nm * wavefront
        fields = light.fields if dipole is None else _of_dipole(light.fields, dipole)
        waves = fields * np.exp(1j * phase * self._inside)
        image = self._to_image(box_px, y_px) @ waves @ self._to_image(box_px, x_px).T
        fine = (image.real**2 + image.imag**2).sum(axis=0)
        cells = fine.reshape(box_px, FINE_PER_PX, box_px, FINE_PER_PX).sum(axis=(1, 3))
        return cells, float((waves.real**2 + waves.imag**2).sum())

    def _to_image(self, box_px: int, at_px: float) -> C128:
        n = box_px * FINE_PER_PX
        fine_px = (np.arange(n) - (n - 1) / 2) / FINE_PER_PX - at_px
        phase = self._pixel_nm * np.outer(fine_px, self._light.k_per_nm)
        return np.asarray(np.exp(1j * phase), dtype=np.complex128)


def _of_dipole(fields: C128, dipole: F64) -> C128:
    """Return both polarizations of a dipole, from those of dipoles along x, y and z."""
    both = fields.reshape(2, 3, *fields.shape[1:])
    return np.asarray(np.einsum("k,pkij->pij", dipole.astype(np.complex128), both))
