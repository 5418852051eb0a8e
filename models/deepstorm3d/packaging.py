"""DeepSTORM3D as a model folder: its ONNX graph, and what its manifest says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from rtsmlm.localizations import F32
from rtsmlm.models.deepstorm3d.decode import VolumeDecoder
from rtsmlm.models.deepstorm3d.network import DeepStorm3dNetwork
from rtsmlm.models.deepstorm3d.on_torch import COARSE_PX, Graph, maps_of_windows
from rtsmlm.models.deepstorm3d.psf_of_model import PSF_NAME
from rtsmlm.models.manifest import (
    ONNX_NAME,
    UNTRAINED,
    ChannelEntry,
    DecodeEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.model_files import FileEntry, file_entry
from rtsmlm.models.rows import DecodeSettings
from rtsmlm.models.simulation.one_psf import OnePsfSampler
from rtsmlm.models.simulation.training_windows import Windows
from rtsmlm.models.training.frame_graph import frame_inputs, write_frame_graph
from rtsmlm.models.training.one_psf_samplers import reach_of
from rtsmlm.models.training.output_calibration import VAGUE_SNRS, Choices, tune
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.psf_file import save_psf

INPUTS = frame_inputs("raw frames")
CHOICES = Choices(
    min_probability=tuple(round(0.2 + 0.05 * i, 2) for i in range(14)), vague_snr=VAGUE_SNRS
)
"""A false peak has a share of the light around it, so that both limits keep it out."""


def package(
    network: DeepStorm3dNetwork, folder: Path, recipe: Recipe, *, tuning_windows: int
) -> Manifest:
    """Write ONNX and weights, and return the manifest; see `Trainable.package`."""
    save_weights(network.state_dict(), folder)
    write_onnx(Graph(network), folder / ONNX_NAME)
    files: tuple[FileEntry, ...] = ()
    file, own = recipe.psf.file, folder / PSF_NAME
    if file is None or file.resolve() != own.resolve():
        own.unlink(missing_ok=True)  # of another export: the decoder would take it
    if file is not None:
        if file.resolve() != (folder / file.name).resolve():
            shutil.copyfile(file, folder / file.name)
    elif recipe.optics.mask_is_file:
        # The mask does not travel with the model; the PSF that it makes does.
        stored = recipe.psf.load(recipe.optics)
        save_psf(own, stored.table, pixel_nm=stored.pixel_nm, origin=stored.origin)
        files = (file_entry(own),)
    decode = DecodeEntry()
    if tuning_windows:
        decode = calibrate(network, recipe, n_windows=tuning_windows)
    manifest = describe(
        recipe,
        slices=network.settings.slices,
        upsampling=network.settings.upsampling,
        parameters=sum(value.numel() for value in network.parameters()),
        macs_per_px=macs_per_px(network),
    )
    return manifest.model_copy(update={"decode": decode, "files": files})


def calibrate(network: DeepStorm3dNetwork, recipe: Recipe, *, n_windows: int) -> DecodeEntry:
    """Return what is reported, and the factors on errors."""
    table = recipe.psf.load(recipe.optics).table
    side = recipe.simulation.crop_px
    decoder = VolumeDecoder(
        shape=(side, side),
        upsampling=network.settings.upsampling,
        z_nm=recipe.psf.z_nm,
        psf=table,
        settings=DecodeEntry().settings(),
    )

    def found(windows: Windows, *, settings: DecodeSettings) -> list[F32]:
        maps = maps_of_windows(network, windows).contiguous().numpy()
        return replace(decoder, settings=settings)(maps)

    entry = tune(
        recipe.simulation,
        lambda ranges: OnePsfSampler(ranges, table, recipe.psf, torch.device("cpu")),
        found,
        axial=True,
        choices=CHOICES,
        reach=reach_of(recipe),
        n_windows=n_windows,
    )
    # A fit of the light needs no factor on it: what is missing is with neighbours and in the
    # background, which are not alike in other frames.
    return entry.model_copy(update={"photons_scale": 1.0})


def describe(
    recipe: Recipe, *, slices: int, upsampling: int, parameters: int, macs_per_px: float
) -> Manifest:
    """Return the manifest of a network that answers with volumes, whatever its layers."""
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
        parameters=parameters,
        kmac_per_px=round(macs_per_px / 1000.0, 2),
        window_frames=1,
        upsampling=upsampling,
        block_px=COARSE_PX,
        inputs=INPUTS,
        outputs=(
            TensorEntry(
                name="maps",
                dtype="float32",
                shape=("n", str(slices + 1), "rows", "columns"),
                unit="see channels",
                meaning=f"voxels, {upsampling} along a pixel's side; planes of depth "
                "from the lower end of z_range_nm to its upper end",
            ),
        ),
        channels=(
            ChannelEntry(name="planes", first=0, count=slices, unit="emitter",
                         activation="none"),
            ChannelEntry(name="light", first=slices, count=1, unit="photon/px",
                         activation="none"),
        ),
        valid=ValidRanges(
            sigma_px=(0.1, 50.0),
            photons=recipe.simulation.photons,
            background=recipe.simulation.background,
            density_um2=recipe.simulation.density,
        ),
        training=UNTRAINED,
        files=(),
    )  # fmt: skip


def _origin(recipe: Recipe) -> str:
    optics = recipe.optics
    source = "measured" if recipe.psf.file is not None else "computed"
    return (
        f"rtsmlm, after Nehme et al., Nat. Methods 17, 734 (2020), in a reduced size; for one "
        f"PSF, {source}: NA {optics.na:g}, {optics.wavelength_nm:g} nm, pixels of "
        f"{optics.pixel_nm:g} nm. Photons are a least-squares fit of that PSF."
    )


def write_onnx(graph: nn.Module, path: Path) -> None:
    """Write the ONNX model of a graph: raw frames and camera maps in, volumes and light out."""
    side = 8 * COARSE_PX
    write_frame_graph(graph.eval(), INPUTS, (side, side), path)


def macs_per_px(network: DeepStorm3dNetwork) -> float:
    """Return multiply-accumulates of the convolutions per camera pixel."""
    fine = network.settings.upsampling**2
    total = 0.0
    for name, value in network.named_parameters():
        if value.ndim == 4:
            scale = 1 if name.startswith(("first", "dilated")) else fine
            if name.startswith("enlarge."):
                scale = 4 ** (int(name.split(".")[1]) + 1)
            total += value.numel() * scale
    return total
