"""DECODE as a model folder: its ONNX graph in physical units, and what its manifest says."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from rtsmlm.localizations import F32
from rtsmlm.models.decode.graph import Graph, maps_of_windows
from rtsmlm.models.decode.maps import CHANNELS, quantities
from rtsmlm.models.decode.network import DecodeNetwork
from rtsmlm.models.manifest import (
    ONNX_NAME,
    UNTRAINED,
    ChannelEntry,
    DecodeEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.pixel_maps.decode import rows_of
from rtsmlm.models.rows import DecodeSettings
from rtsmlm.models.simulation.training_windows import Windows
from rtsmlm.models.training.frame_graph import frame_inputs, write_frame_graph
from rtsmlm.models.training.macs import macs_of
from rtsmlm.models.training.one_psf_accuracy import accuracy_of
from rtsmlm.models.training.one_psf_samplers import reach_of, samplers_of
from rtsmlm.models.training.output_calibration import VAGUE_SNRS, Choices, tune
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe

BLOCK_PX = 4
"""Frames are padded to multiples of it: the network halves them twice."""
ANY_SIGMA_PX = (0.5, 5.0)
"""A PSF that is no Gaussian has no width to be checked."""
INPUTS = frame_inputs(
    "one frame more before and after", dtype="int32", around=2, read_variance=False
)

DENSITIES_UM2 = (0.1, 0.5, 1.0)
PHOTONS, BACKGROUND = 5000.0, 20.0
"""Light of the test of accuracy."""


def package(
    network: DecodeNetwork, folder: Path, recipe: Recipe, *, tuning_windows: int
) -> Manifest:
    """Write ONNX and weights of DECODE, and return its manifest; see `Trainable.package`."""
    network.eval()
    save_weights(network.state_dict(), folder)
    write_onnx(network, folder / ONNX_NAME)
    decode = DecodeEntry()
    accuracy: tuple[dict[str, float | str], ...] = ()
    if tuning_windows:
        decode = calibrate(network, recipe, n_windows=tuning_windows)
        accuracy = accuracy_of(
            recipe,
            partial(_rows, network),
            decode.settings(),
            densities_um2=DENSITIES_UM2,
            photons=PHOTONS,
            background=BACKGROUND,
            n_windows=tuning_windows // 4,
        )
    ranges, plane = recipe.simulation, ("height", "width")
    pixel_nm, spot_px = recipe.psf.grid(recipe.optics)
    return Manifest(
        name=recipe.name,
        version="0",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="any",
        z_range_nm=recipe.psf.z_nm,
        pixel_nm=pixel_nm,
        spot_px=spot_px,
        origin=_origin(recipe),
        block_px=BLOCK_PX,
        parameters=sum(value.numel() for value in network.parameters()),
        kmac_per_px=kmac_per_px(network),
        inputs=INPUTS,
        outputs=(
            TensorEntry(
                name="maps",
                dtype="float32",
                shape=("n", str(len(CHANNELS)), *plane),
                unit="see channels",
                meaning="see channels; z in halves of its range",
            ),
        ),
        channels=tuple(
            ChannelEntry(name=name, first=i, count=1, unit=unit, activation="none")
            for i, (name, unit) in enumerate(CHANNELS.items())
        ),
        valid=ValidRanges(
            sigma_px=ANY_SIGMA_PX,
            photons=ranges.photons,
            background=ranges.background,
            density_um2=ranges.density,
        ),
        decode=decode,
        accuracy=accuracy,
        training=UNTRAINED,
        files=(),
    )


def _origin(recipe: Recipe) -> str:
    stored = recipe.psf.load(recipe.optics)
    return (
        "after Speiser et al., Nat. Methods 18, 1082 (2021); trained here for one PSF on pixels "
        f"of {stored.pixel_nm:g} nm: {stored.origin}"
    )


def write_onnx(network: DecodeNetwork, path: Path) -> None:
    """Write the ONNX model: raw frames and camera maps in, quantities out."""
    side = 8 * BLOCK_PX
    write_frame_graph(Graph(network), INPUTS, (side, side), path, sides=("height", "width"))


def kmac_per_px(network: DecodeNetwork) -> float:
    """Return thousands of multiply-accumulates per pixel of a frame in a long batch."""
    side = 32
    frame = torch.zeros((1, 1, side, side))
    whole = macs_of(network, frame.expand(1, 3, side, side))
    repeated = 2.0 * macs_of(network.shared, frame)
    return round((whole - repeated) / side**2 / 1e3, 2)


def calibrate(network: DecodeNetwork, recipe: Recipe, *, n_windows: int) -> DecodeEntry:
    """Return what is doubted, and the factors that make what the network states honest."""
    return tune(
        recipe.simulation,
        samplers_of(recipe, torch.device("cpu")),
        partial(_rows, network),
        axial=True,
        # The light of wide spots is never known well: by the limit that holds for narrow ones,
        # those at the ends of the range of z would be taken for noise.
        choices=Choices(vague_snr=VAGUE_SNRS),
        reach=reach_of(recipe),
        n_windows=n_windows,
    )


def _rows(network: DecodeNetwork, windows: Windows, *, settings: DecodeSettings) -> list[F32]:
    """Return the rows of simulated windows."""
    maps = quantities(maps_of_windows(network, windows), network.scaling).contiguous().numpy()
    channels = {name: i for i, name in enumerate(CHANNELS)}
    height, width = maps.shape[2:]
    return rows_of(maps, (height, width), channels, settings)
