"""PupilLayer: differentiable Fourier optics, from places, depths and aberrations to images.

The light of the pupil (`rtsmlm.physics.pupil`) is carried to the pixels by two matrix products,
as only the few pixels of a box are wanted. Everything may be learned through it, a phase mask, too
(Nehme et al., Nat. Methods 17, 734 (2020)). It is used in training and never exported.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rtsmlm.physics.pupil import Optics, pupil_fields
from rtsmlm.physics.zernike import zernike

_WIDE_PX = 61
"""Side of the image whose light is taken for all of it."""
Mode = tuple[int, int]


class PupilLayer(nn.Module):
    """Images of single emitters.

    Parameters
    ----------
    optics
        Objective, media, and the aberrations and phase mask that are always there.
    pixel_nm
        Camera pixel in the sample plane.
    box_px
        Side of the images.
    modes
        Zernike modes whose amplitudes may differ from emitter to emitter.
    vectorial
        Dipoles; otherwise a scalar wave.
    fine_per_px
        Points along a pixel whose mean is its light.
    points
        Samples across the pupil.
    """

    axial: Tensor
    refocus: Tensor
    fields: Tensor
    k_per_nm: Tensor
    zernikes: Tensor
    fine_px: Tensor

    def __init__(
        self,
        optics: Optics,
        *,
        pixel_nm: float,
        box_px: int,
        modes: Sequence[Mode] = (),
        vectorial: bool = False,
        fine_per_px: int = 3,
        points: int = 40,
    ) -> None:
        super().__init__()
        self.pixel_nm, self.box_px, self.fine_per_px = pixel_nm, box_px, fine_per_px
        self.wavelength_nm, self.depth_nm = optics.wavelength_nm, optics.depth_nm
        self.modes = tuple(modes)
        pupil = pupil_fields(optics, points=points, vectorial=vectorial)
        inside = np.abs(pupil.fields).max(axis=0) > 0.0

        def keep(name: str, value: np.ndarray) -> None:
            kind = np.complex64 if np.iscomplexobj(value) else np.float32
            self.register_buffer(name, torch.from_numpy(value.astype(kind)), persistent=False)

        keep("fields", pupil.fields)
        keep("axial", pupil.axial * inside)
        keep("refocus", pupil.refocus * inside)
        keep("k_per_nm", pupil.k_per_nm)
        shapes = [zernike(n, m, pupil.rho, pupil.phi) * inside for n, m in self.modes]
        keep("zernikes", np.stack(shapes) if shapes else np.zeros((0, points, points)))
        self._set_box(_WIDE_PX)
        with torch.no_grad():
            zero = torch.zeros(1)
            # Of light that passes the pupil; near the cover glass more does, the shape counts here.
            self._total = 1.0
            self._total = float(self(zero, zero, zero).sum())
        self._set_box(box_px)

    def _set_box(self, box_px: int) -> None:
        n = box_px * self.fine_per_px
        fine = (torch.arange(n, dtype=torch.float32) - (n - 1) / 2) / self.fine_per_px
        self.register_buffer("fine_px", fine, persistent=False)

    def forward(
        self,
        x_px: Tensor,
        y_px: Tensor,
        z_nm: Tensor,
        amplitudes_nm: Tensor | None = None,
        mask_rad: Tensor | None = None,
        dipole: Tensor | None = None,
    ) -> Tensor:
        """Return the share of its light that each emitter leaves in each pixel, (n, box, box).

        Parameters
        ----------
        x_px, y_px
            Places from the centre of the box, (n,).
        z_nm
            Heights above the focal plane, (n,).
        amplitudes_nm
            Wavefront errors by the modes, root mean square, (n, modes).
        mask_rad
            Phase that is added in the pupil, (points, points).
        dipole
            Unit vectors of fixed dipoles, (n, 3); not given for dipoles that turn freely.
        """
        above = z_nm.clamp(min=-self.depth_nm)[:, None, None]
        below = (z_nm[:, None, None] - above).clamp(max=0.0)
        phase = self.axial * above + self.refocus * below
        if amplitudes_nm is not None and len(self.modes):
            wavefront = torch.einsum("nk,kij->nij", amplitudes_nm, self.zernikes)
            phase = phase + 2.0 * np.pi / self.wavelength_nm * wavefront
        if mask_rad is not None:
            phase = phase + mask_rad
        fields = self.fields if dipole is None else self._of_dipoles(dipole)
        waves = fields * torch.exp(1j * phase)[:, None]
        rows = self._to_image(y_px)[:, None]
        columns = self._to_image(x_px)[:, None].transpose(-1, -2)
        image = rows @ waves @ columns
        power = (image.real.square() + image.imag.square()).sum(dim=1)
        passed = (waves.real.square() + waves.imag.square()).sum(dim=(1, 2, 3))
        side = self.fine_px.numel() // self.fine_per_px
        cells = power.reshape(-1, side, self.fine_per_px, side, self.fine_per_px)
        return cells.sum(dim=(2, 4)) / (passed * self._total)[:, None, None]

    def _of_dipoles(self, dipole: Tensor) -> Tensor:
        """Return x and y polarization of fixed dipoles, (n, 2, points, points)."""
        polarized = self.fields.reshape(2, 3, *self.fields.shape[1:])
        # A dipole that turns freely has a third of its light along each axis.
        weights = (dipole * np.sqrt(3.0)).to(polarized.dtype)
        return torch.einsum("nk,pkij->npij", weights, polarized)

    def _to_image(self, center_px: Tensor) -> Tensor:
        """Return the waves along one axis, (n, fine, points)."""
        at_nm = (self.fine_px - center_px[:, None]) * self.pixel_nm
        return torch.exp(1j * at_nm[..., None] * self.k_per_nm)
