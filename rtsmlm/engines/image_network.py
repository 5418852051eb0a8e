"""Networks that make an image of frames, as `rtsmlm.protocols.ImageReconstructor`.

Their graph gets the light of `frames` in photons, (n, 1, height, width), and answers with one image
a frame, finer by the manifest's `upsampling`; the layer is their sum. The light of an EMCCD is
divided by its squared excess noise factor, so that its variance equals its mean again. Large frames
come in overlapping parts.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.engines.tiles import tiles_of
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.inputs import pad_frames
from rtsmlm.models.manifest import ONNX_NAME
from rtsmlm.protocols import ImageLayer

_CELL_PX = 2
_WHOLE_CELLS_PX = 8
"""Frames that are cut into parts are padded to multiples of it, as `tiles_of` wants them."""
_TILE_FINE_PX = 2048
"""Largest side of what is computed at once: a few hundred MB within a network."""
_PX_AT_ONCE = 2**16


def frames_at_once(shape: tuple[int, int]) -> int:
    """Return how many frames of this shape to give at once: about a second's work of one core.

    What feeds a network looks between them whether it is to end.
    """
    return max(1, _PX_AT_ONCE // (shape[0] * shape[1]))


class NetworkImage:
    """A network of frames on one run.

    Parameters
    ----------
    folder
        The model folder.
    engine
        openvino or torch.
    calibration
        Camera calibration; maps must have the shape of the frames.
    shape
        Height and width of the frames in camera pixels.
    threads
        Of the engine on a CPU; None takes as many as it likes.

    Raises
    ------
    ConfigError
        If the engine cannot run it.
    FileFormatError
        If the model is damaged.
    """

    takes_frames = True

    def __init__(
        self,
        folder: Path,
        engine: str,
        calibration: CameraCalibration,
        shape: tuple[int, int],
        *,
        threads: int | None = None,
    ) -> None:
        self._manifest, self._run = open_graph(folder, engine, threads=threads)
        self._calibration, self._shape = calibration, shape
        self._fine = self._manifest.upsampling
        self._sum = np.zeros((shape[0] * self._fine, shape[1] * self._fine), dtype=np.float32)
        self._n_frames = 0
        self._sha256 = next(f.sha256 for f in self._manifest.files if f.name == ONNX_NAME)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._manifest.name

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames in camera pixels."""
        return self._shape

    def resume(self, layer: ImageLayer) -> bool:
        """Go on from a layer of the same network and size; False, and nothing is taken, else."""
        is_same = layer.sha256 == self._sha256 and layer.image.shape == self._sum.shape
        if is_same:
            self._sum[:], self._n_frames = layer.image, layer.n_frames
        return is_same

    def add_frames(self, batch: FrameBatch) -> None:
        """Add the images of frames.

        Raises
        ------
        CalibrationError
            If the camera maps do not fit the frames.
        LocalizerError
            If the engine fails.
        """
        most = max(1, _TILE_FINE_PX**2 // self._sum.size)
        for start in range(0, len(batch), most):
            images = self._images(batch.pixels[start : start + most])
            self._sum += images.sum(axis=0)
            self._n_frames += len(images)

    def _images(self, pixels: Pixels) -> F32:
        """Return the image of each frame, (n, fine height, fine width)."""
        height, width = self._shape
        padded = pad_frames(pixels, math.lcm(self._manifest.block_px, _WHOLE_CELLS_PX))
        photons = self._calibration.to_photons(pixels) / np.float32(self._calibration.excess_noise)
        margin = [(0, b - a) for a, b in zip(photons.shape[1:], padded.shape[1:], strict=True)]
        photons = np.pad(photons, ((0, 0), *margin), mode="edge")
        rows, columns = (side // _CELL_PX for side in photons.shape[1:])
        images = np.empty((len(photons), *(side * self._fine for side in photons.shape[1:])), "<f4")
        for tile in tiles_of(rows, columns, _TILE_FINE_PX // self._fine // _CELL_PX):
            part = photons[:, *_scaled(tile.outer, _CELL_PX)]
            answer = self._run({"frames": part[:, None]})[:, 0]
            fine = _CELL_PX * self._fine
            images[:, *_scaled(tile.inner, fine)] = answer[:, *_scaled(tile.kept, fine)]
        return images[:, : height * self._fine, : width * self._fine]

    def add_localizations(self, localizations: Localizations) -> None:
        """Do nothing: it is made of frames."""

    def layer(self) -> ImageLayer:
        """Return the layer of all that was added."""
        return ImageLayer(
            name=self._manifest.name,
            pixel_nm=self._calibration.pixel_nm / self._fine,
            image=self._sum.copy(),
            n_frames=self._n_frames,
            version=self._manifest.version,
            sha256=self._sha256,
        )

    def uncertainty(self) -> None:
        """Return None: these networks state none."""


def _scaled(part: tuple[slice, slice], factor: int) -> tuple[slice, slice]:
    """Return a part of an image in pixels of another."""
    down, right = (slice(side.start * factor, side.stop * factor) for side in part)
    return down, right
