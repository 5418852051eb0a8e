"""Colours in a grey frame as a model folder: the mask, the graph, and what its manifest says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.localizations import F32
from rtsmlm.models.hershko.mask_learning import GAIN_RAD, MODES, LearnedColours
from rtsmlm.models.hershko.network import BLOCK_PX, UPSAMPLING, HershkoNetwork
from rtsmlm.models.hershko.output_calibration import tune
from rtsmlm.models.hershko.psf_of_colours import MASK_NAME
from rtsmlm.models.manifest import (
    ONNX_NAME,
    UNTRAINED,
    ChannelEntry,
    DecodeEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.model_files import file_entry
from rtsmlm.models.training.onnx_export import export_onnx
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.zernike import zernike

MASK_POINTS = 128
TUNING_SEED = 13


class Graph(nn.Module):
    """What the ONNX model holds: from raw frames to images of colours, and the light beside them.

    One more channel holds the photons of each pixel, of which the decoder takes the photons of the
    emitters.
    """

    def __init__(self, network: HershkoNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, offset: Tensor, gain: Tensor, variance: Tensor) -> Tensor:
        """Return (n, colours + 1, 4 height, 4 width) of frames in ADU."""
        photons = ((frames.float() - offset) * gain)[:, None]
        images = self.network(photons, variance[None, None])
        light = functional.interpolate(photons, scale_factor=UPSAMPLING, mode="nearest")
        return torch.cat([images, light], 1)


def learned_mask(learned: LearnedColours) -> F32:
    """Return the mask at the wavelength of the recipe's optics, radians, on a square."""
    axis = (np.arange(MASK_POINTS) - (MASK_POINTS - 1) / 2) * 2.0 / MASK_POINTS
    u, v = np.meshgrid(axis, axis)
    rho, phi = np.minimum(np.hypot(u, v), 1.0), np.arctan2(v, u)
    phase = np.zeros_like(rho)
    for (n, m), amount in zip(MODES, learned.mask.detach().double().tolist(), strict=True):
        phase += GAIN_RAD * amount * zernike(n, m, rho, phi)
    return phase.astype(np.float32)


def package(
    learned: LearnedColours, folder: Path, recipe: Recipe, *, tuning_windows: int
) -> Manifest:
    """Write mask, ONNX and weights, and return the manifest; see `Trainable.package`."""
    np.save(folder / MASK_NAME, learned_mask(learned))
    save_weights(learned.state_dict(), folder)
    _write_onnx(Graph(learned.network), folder / ONNX_NAME)
    decode = DecodeEntry()
    if tuning_windows:
        decode = tune(learned, folder, recipe, n_windows=tuning_windows, seed=TUNING_SEED)
    files = (file_entry(folder / MASK_NAME),)
    update = {"decode": decode, "files": files}
    return _manifest(learned.network, recipe).model_copy(update=update)


def _write_onnx(graph: nn.Module, path: Path) -> None:
    side, field = 8 * BLOCK_PX, {0: "height", 1: "width"}
    export_onnx(
        graph.eval(),
        {
            "frames": torch.full((2, side, side), 100, dtype=torch.int32),
            "offset_adu": torch.zeros((side, side)),
            "photons_per_adu": torch.ones((side, side)),
            "read_variance": torch.ones((side, side)),
        },
        "maps",
        path,
        axes={
            "frames": {0: "n", 1: "height", 2: "width"},
            "offset_adu": field,
            "photons_per_adu": field,
            "read_variance": field,
            "maps": {0: "n", 2: "rows", 3: "columns"},
        },
    )


def _manifest(network: HershkoNetwork, recipe: Recipe) -> Manifest:
    names, plane = recipe.colours.names, ("height", "width")
    return Manifest(
        name=recipe.name,
        version="0",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="any",
        pixel_nm=recipe.optics.pixel_nm,
        spot_px=recipe.psf.box_px,
        colours=names,
        origin=_origin(recipe),
        parameters=sum(value.numel() for value in network.parameters()),
        kmac_per_px=round(macs_per_px(network) / 1000.0, 2),
        window_frames=1,
        upsampling=UPSAMPLING,
        block_px=BLOCK_PX,
        inputs=tuple(
            TensorEntry(name=name, dtype=dtype, shape=shape, unit=unit, meaning=meaning)
            for name, dtype, shape, unit, meaning in (
                ("frames", "uint16", ("n", *plane), "ADU", "raw frames"),
                ("offset_adu", "float32", plane, "ADU", "value in the dark"),
                ("photons_per_adu", "float32", plane, "photon/ADU", "EMCCD: halved"),
                ("read_variance", "float32", plane, "photon²", "EMCCD: a quarter"),
            )
        ),
        outputs=(
            TensorEntry(
                name="maps",
                dtype="float32",
                shape=("n", str(len(names) + 1), "rows", "columns"),
                unit="see channels",
                meaning=f"fine pixels, {UPSAMPLING} along a pixel's side",
            ),
        ),
        channels=(
            *(
                ChannelEntry(name=name, first=k, count=1, unit="emitter", activation="none")
                for k, name in enumerate(names)
            ),
            ChannelEntry(
                name="light", first=len(names), count=1, unit="photon/px", activation="none"
            ),
        ),
        valid=ValidRanges(
            sigma_px=(0.1, 50.0),
            photons=recipe.simulation.photons,
            background=recipe.simulation.background,
            density_um2=recipe.simulation.density,
        ),
        training=UNTRAINED,
        files=(),
    )


def _origin(recipe: Recipe) -> str:
    optics, colours = recipe.optics, recipe.colours
    dyes = " and ".join(
        f"{name} at {nm:g} nm"
        for name, nm in zip(colours.names, colours.wavelengths_nm, strict=True)
    )
    return (
        "rtsmlm, after Hershko et al., Opt. Express 27, 6158 (2019), whose layers were not "
        f"published: a stand-in. For {dyes} through the mask beside it ({MASK_NAME}, radians at "
        f"{optics.wavelength_nm:g} nm), NA {optics.na:g}, pixels of {optics.pixel_nm:g} nm. "
        "Photons are a least-squares fit of the PSF of the colour."
    )


def macs_per_px(network: HershkoNetwork) -> float:
    """Return multiply-accumulates of the convolutions per camera pixel."""
    total, outputs = 0.0, 1.0
    for layer in (*network.layers, network.last):
        if isinstance(layer, nn.Conv2d):
            outputs /= layer.stride[0] ** 2
            total += layer.weight.numel() * outputs
        elif isinstance(layer, nn.ConvTranspose2d):
            # Each input pixel is multiplied by the whole kernel.
            total += layer.weight.numel() * outputs
            outputs *= layer.stride[0] ** 2
    return total
