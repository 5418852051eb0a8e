"""A learned mask as files: radians, the PSF it makes, and the network it was learned with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rtsmlm.models.deepstorm3d.mask_learning import GAIN_RAD, INPUT_PHOTONS, MODES, LearnedMask
from rtsmlm.models.deepstorm3d.packaging import describe, write_onnx
from rtsmlm.models.deepstorm3d.psf_of_model import PSF_NAME
from rtsmlm.models.manifest import ONNX_NAME, Manifest
from rtsmlm.models.model_files import file_entry
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.phase_masks import mask_rad
from rtsmlm.physics.psf_file import save_psf
from rtsmlm.physics.pupil import Optics, pupil_psf
from rtsmlm.physics.zernike import zernike

MASK_NAME = "mask.npy"
MASK_POINTS = 128
Z_STEP_NM = 50.0
FINE_PER_PX = 4


class Graph(nn.Module):
    """What the ONNX model holds: from raw frames to volumes, and the light beside them."""

    def __init__(self, learned: LearnedMask) -> None:
        super().__init__()
        self.network = learned.network

    def forward(self, frames: Tensor, offset: Tensor, gain: Tensor, variance: Tensor) -> Tensor:
        """Return (n, slices + 1, height, width) of frames in ADU."""
        photons = ((frames.float() - offset) * gain)[:, None]
        volume = self.network(photons / INPUT_PHOTONS) / self.network.scale
        # The read noise has no part in it, but is an input of every such graph.
        return torch.cat([volume, photons + 0.0 * variance], 1)


def learned_optics(learned: LearnedMask, recipe: Recipe) -> Optics:
    """Return the optics of a recipe with what is learned as their mask."""
    optics = recipe.optics.optics()
    axis = (np.arange(MASK_POINTS) - (MASK_POINTS - 1) / 2) * 2.0 / MASK_POINTS
    u, v = np.meshgrid(axis, axis)
    rho, phi = np.minimum(np.hypot(u, v), 1.0), np.arctan2(v, u)
    phase = np.zeros_like(rho) if optics.mask is None else mask_rad(optics.mask, rho, phi)
    for (n, m), amount in zip(MODES, learned.mask.detach().double().tolist(), strict=True):
        phase = phase + GAIN_RAD * amount * zernike(n, m, rho, phi)
    return replace(optics, mask=phase)


def package(learned: LearnedMask, folder: Path, recipe: Recipe) -> Manifest:
    """Write mask, PSF file, ONNX and weights, and return the manifest."""
    optics, section = learned_optics(learned, recipe), recipe.psf
    np.save(folder / MASK_NAME, np.asarray(optics.mask))
    table = pupil_psf(
        optics,
        pixel_nm=recipe.optics.pixel_nm,
        vectorial=recipe.optics.vectorial,
        z_range_nm=max(abs(z) for z in section.z_nm) + Z_STEP_NM,
        z_step_nm=Z_STEP_NM,
        box_px=section.box_px,
        fine_per_px=FINE_PER_PX,
    )
    origin = f"Phase mask learned for {section.z_nm[0]:g} to {section.z_nm[1]:g} nm."
    save_psf(folder / PSF_NAME, table, pixel_nm=recipe.optics.pixel_nm, origin=origin)
    save_weights(learned.state_dict(), folder)
    write_onnx(Graph(learned), folder / ONNX_NAME)
    weights = [p.numel() for p in learned.network.parameters()]
    convolutions = [p.numel() for p in learned.network.parameters() if p.ndim == 4]
    manifest = describe(
        recipe,
        slices=learned.settings.slices,
        upsampling=1,
        parameters=sum(weights),
        macs_per_px=float(sum(convolutions)),
    )
    files = tuple(file_entry(folder / name) for name in (MASK_NAME, PSF_NAME))
    return manifest.model_copy(update={"files": files})
