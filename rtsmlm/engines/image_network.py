"""Networks of images as `rtsmlm.protocols.ImageReconstructor`: frames or rows to a layer.

A graph that takes `frames` gets light in photons, (n, 1, height, width), and answers with one image
a frame, finer by the manifest's `upsampling`; the layer is their sum. One that takes
`localizations` gets the number of localizations in each fine pixel, (1, 1, height, width), and
answers with the whole layer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.inputs import pad_frames
from rtsmlm.protocols import ImageLayer


class NetworkImage:
    """A network of images on one run.

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

    Raises
    ------
    ConfigError
        If the model does something else, or the engine cannot run it.
    FileFormatError
        If the model is damaged, or takes neither frames nor localizations.
    """

    def __init__(
        self, folder: Path, engine: str, calibration: CameraCalibration, shape: tuple[int, int]
    ) -> None:
        self._manifest, self._run = open_graph(folder, engine)
        if self._manifest.task != "image":
            raise ConfigError(
                f"{self._manifest.name} does {self._manifest.task}, not images, so that it is no "
                "entry of results.image_models"
            )
        self._input = self._manifest.inputs[0].name
        if self._input not in {"frames", "localizations"}:
            raise FileFormatError(
                f"{self._manifest.name} takes {self._input}; a network of images takes frames or "
                "localizations"
            )
        self._calibration, self._shape = calibration, shape
        self._fine = self._manifest.upsampling
        self._sum = np.zeros((shape[0] * self._fine, shape[1] * self._fine), dtype=np.float32)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._manifest.name

    @property
    def takes_frames(self) -> bool:
        """True if it is made of frames, False if of localizations."""
        return self._input == "frames"

    def add_frames(self, batch: FrameBatch) -> None:
        """Add the images of frames; without effect for a network of localizations.

        Raises
        ------
        CalibrationError
            If the camera maps do not fit the frames.
        LocalizerError
            If the engine fails.
        """
        if not self.takes_frames or not len(batch):
            return
        padded = pad_frames(batch.pixels, self._manifest.block_px)
        photons = self._calibration.to_photons(batch.pixels)
        margin = [(0, b - a) for a, b in zip(photons.shape[1:], padded.shape[1:], strict=True)]
        photons = np.pad(photons, ((0, 0), *margin), mode="edge")
        images = self._run({"frames": photons[:, None]})[:, 0]
        self._sum += images[:, : self._sum.shape[0], : self._sum.shape[1]].sum(axis=0)

    def add_localizations(self, localizations: Localizations) -> None:
        """Add localizations; without effect for a network of frames."""
        if self.takes_frames:
            return
        side_nm = self._calibration.pixel_nm / self._fine
        # The centre of the first camera pixel is the origin, its corner half a pixel before.
        place = [
            np.floor((v + 0.5 * self._calibration.pixel_nm) / side_nm).astype(np.int64)
            for v in (localizations.y_nm, localizations.x_nm)
        ]
        inside = (place[0] >= 0) & (place[0] < self._sum.shape[0])
        inside &= (place[1] >= 0) & (place[1] < self._sum.shape[1])
        np.add.at(self._sum, (place[0][inside], place[1][inside]), np.float32(1.0))

    def layer(self) -> ImageLayer:
        """Return the layer of all that was added.

        Raises
        ------
        LocalizerError
            If the engine fails.
        """
        return ImageLayer(
            name=self._manifest.name,
            pixel_nm=self._calibration.pixel_nm / self._fine,
            image=self._sum.copy() if self.takes_frames else self._predicted(),
        )

    def _predicted(self) -> F32:
        block = self._manifest.block_px
        height, width = self._sum.shape
        margin = ((0, -height % block), (0, -width % block))
        padded = np.pad(self._sum, margin)
        return self._run({"localizations": padded[None, None]})[0, 0, :height, :width]
