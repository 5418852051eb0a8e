"""The flagship as a model folder: its ONNX graph, and what its manifest says."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch

from rtsmlm.localizations import F32
from rtsmlm.models.flagship.decode import rows_of
from rtsmlm.models.flagship.maps import ATTRIBUTES, BACKGROUND, SLOTS, attributes_of
from rtsmlm.models.flagship.network import FlagshipNetwork, NetworkSettings
from rtsmlm.models.flagship.on_torch import graph_of, maps_of_windows, window_frames_of
from rtsmlm.models.inputs import BLOCK_PX
from rtsmlm.models.manifest import (
    ONNX_NAME,
    UNTRAINED,
    ChannelEntry,
    DecodeEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.rows import DecodeSettings
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.training_windows import Windows, simulate
from rtsmlm.models.simulation.window_sampler import WindowSampler
from rtsmlm.models.training.frame_graph import frame_inputs, write_frame_graph
from rtsmlm.models.training.output_calibration import Choices, tune
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.trainable import Sampler
from rtsmlm.physics.psf import TablePsf

COARSE = ("down", "quarter", "up", "attention", "frames.down", "frames.key", "frames.value")
"""Layers at a quarter of the resolution."""
GIVEN = DecodeEntry(vague_snr=4.5, vague_std_px=0.45)
"""From so many deviations of their photons on rows of dark frames are as often false as those that
are brighter; of dim rows in crowds those that know their place less well lie far out of focus, and
cost more efficiency than they bring (docs/decisions/0060)."""
CHOICES = Choices(
    min_probability=(0.3, 0.4, 0.5), vague_crowd_probability=(0.5, 0.6, 0.7, 0.8, 0.9)
)
GIVEN_AXIAL = DecodeEntry(vague_snr=4.5, vague_probability=0.8, vague_crowd_probability=0.7)
"""With z the largest Jaccard index has the dimmest rows with it, which lie far off: these are of
the largest efficiency in three dimensions (docs/decisions/0060)."""
CHOICES_AXIAL = Choices(min_probability=(0.3, 0.4, 0.5))
FIT_MARGIN = 1.05
"""How far beyond its training range a PSF width is still accepted."""


def package(
    network: FlagshipNetwork, folder: Path, recipe: Recipe, *, tuning_windows: int
) -> Manifest:
    """Write ONNX and weights of the flagship, and return its manifest; see `Trainable.package`."""
    settings = network.settings
    # In float32: what is shipped stays as it is to the bit, and int8 rounds these once more.
    save_weights(network.state_dict(), folder, half=False)
    write_onnx(network, folder / ONNX_NAME)
    decode = DecodeEntry()
    if tuning_windows:
        decode = calibrate(
            network, recipe.simulation, n_windows=tuning_windows, table=recipe.psf.measured()
        )
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    return Manifest(
        name=recipe.name,
        version="0",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="astigmatic" if settings.axial else "round",
        parameters=sum(value.size for value in weights.values()),
        kmac_per_px=round(macs_per_px(weights) / 1000.0, 2),
        window_frames=window_frames_of(network),
        inputs=_inputs(network),
        outputs=(
            TensorEntry(
                name="maps",
                dtype="float32",
                shape=("n", str(settings.channels), "height / 2", "width / 2"),
                unit="raw",
                meaning="see channels; channel 4a + 2r + c is attribute a of the pixel in row r, "
                "column c of a cell",
            ),
        ),
        channels=_channels(settings),
        valid=_valid(recipe.simulation),
        decode=decode,
        training=UNTRAINED,
        files=(),
    )


def calibrate(
    network: FlagshipNetwork,
    ranges: SimulationRanges,
    *,
    n_windows: int,
    table: TablePsf | None = None,
) -> DecodeEntry:
    """Return the factors that make what the network states honest.

    Parameters
    ----------
    network
        The network.
    ranges
        What it was trained on.
    n_windows
        Simulated windows.
    table
        The measured PSF that it was trained for, where there is one.
    """
    network.eval()
    shape, axial = (ranges.crop_px, ranges.crop_px), network.settings.axial

    def found(windows: Windows, *, settings: DecodeSettings) -> list[F32]:
        maps = maps_of_windows(network, windows).numpy()
        return rows_of(maps, shape, axial=axial, settings=settings)

    def sampler_of(ranges: SimulationRanges) -> Sampler[Windows]:
        if table is None:
            return partial(simulate, ranges)
        return WindowSampler(ranges, 0, torch.device("cpu"), table=table)

    return tune(
        ranges,
        sampler_of,
        found,
        axial=axial,
        given=GIVEN_AXIAL if axial else GIVEN,
        choices=CHOICES_AXIAL if axial else CHOICES,
        n_windows=n_windows,
    )


def write_onnx(network: FlagshipNetwork, path: Path) -> None:
    """Write the ONNX model of a network: raw frames and camera maps in, maps out.

    Everything before the first convolution stays in float32, since ADU have 16 bits.
    """
    side = 8 * BLOCK_PX
    write_frame_graph(graph_of(network), _inputs(network), (side, side), path, half=False)


def _valid(ranges: SimulationRanges) -> ValidRanges:
    low, high = ranges.sigma_px
    widest = None
    if ranges.astigmatism is not None:
        low, high = ranges.astigmatism.sigma0_px
        # sqrt(1 + u²) where both ends of the trained ranges meet.
        reach = ranges.astigmatism.half_range[1] + ranges.astigmatism.separation[1]
        widest = round(high * math.hypot(1.0, reach), 1)
    return ValidRanges(
        sigma_px=(round(low / FIT_MARGIN, 3), round(high * FIT_MARGIN, 3)),
        widest_px=widest,
        photons=ranges.photons,
        background=ranges.background,
        density_um2=ranges.density,
    )


def _inputs(network: FlagshipNetwork) -> tuple[TensorEntry, ...]:
    condition = "log(sigma_px / 1.3) and 1; 0, 0 if unknown"
    if network.settings.axial:
        condition = (
            "log(sigma_px / 1.3) at z of -1, -1/2, 0, 1/2, 1 half ranges, along x, y, then 1"
        )
    entry = TensorEntry(
        name="condition", dtype="float32", shape=("1", str(network.settings.condition_size)),
        unit="1", meaning=condition,
    )  # fmt: skip
    around = window_frames_of(network) - 1
    frames = "one frame more before and after"
    if around > 2:
        frames = f"{around // 2} frames more before and after"
    return (*frame_inputs(frames, around=around), entry)


def _channels(network: NetworkSettings) -> tuple[ChannelEntry, ...]:
    slots = [
        ChannelEntry(
            name=attribute.name,
            first=SLOTS * i,
            count=SLOTS,
            unit=attribute.unit,
            activation=attribute.activation,
        )
        for i, attribute in enumerate(ATTRIBUTES[: attributes_of(axial=network.axial)])
    ]
    background = ChannelEntry(
        name=BACKGROUND.name,
        first=network.background_channel,
        count=1,
        unit=BACKGROUND.unit,
        activation=BACKGROUND.activation,
    )
    return (*slots, background)


def macs_per_px(weights: dict[str, F32]) -> float:
    """Return multiply-accumulates of the convolutions per camera pixel, in a long batch.

    A network with attention does each frame of a batch once; alone it does a whole window.
    """
    total = 0.0
    for name, value in weights.items():
        if value.ndim == 4:
            coarse = name.startswith(COARSE)
            total += float(np.prod(value.shape)) / (16.0 if coarse else 4.0)
    return total
