"""Image layers that grow while the run goes on, of the frames and rows that there is time for."""

from __future__ import annotations

import base64
import logging
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rtsmlm.calibration import StatedCalibration
from rtsmlm.engines.image_models import open_images
from rtsmlm.engines.image_network import NetworkImage, frames_at_once
from rtsmlm.engines.localization_image import LocalizationImage
from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.map_files import load_widefield
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.frames import FrameBatch
from rtsmlm.pipeline.events import ImageEvent, LayerGrown, LayersLeft, LayersOpened, Warned
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.table_layers import TableLayers
from rtsmlm.protocols import ImageLayer
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import one_line
from rtsmlm.render.layer_file import layer_path, read_layer, write_layer
from rtsmlm.stream.wire import LAYER_PX

SHOW_S = 1.5
"""From one layer that is sent to the next."""
_SHARE = 0.1
"""Most part of the time that may go into sending."""
_IDLE_S = 0.02
_STEPS = 65535

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Growing:
    network: NetworkImage
    frames: FrameRanges = field(default_factory=FrameRanges)
    shown: int = 0
    """Frames of the layer that was sent last."""


class GrowingLayers:
    """Frames from a ring to layers; a network that fails is left out, with a warning.

    Parameters
    ----------
    job
        Folder and settings of the run.
    ring
        Where the frames come from.
    emit
        Called with every event.
    """

    def __init__(
        self, job: PipelineJob, ring: FrameRing, emit: Callable[[ImageEvent], None]
    ) -> None:
        self._job, self._ring, self._emit = job, ring, emit
        self._next_s = 0.0
        self._layers: list[_Growing] = []
        of_table: list[LocalizationImage] = []
        for name in job.settings.results.image_models:
            try:
                for network in self._open(name):
                    if isinstance(network, NetworkImage):
                        self._layers.append(_Growing(network))
                    else:
                        of_table.append(network)
            except Exception as error:  # a library may fail as it likes: the run has its table
                self._warn(name, error)
        table = RunFolder(job.folder).localizations
        self._of_table = TableLayers(
            table, of_table, self._send, self._warn, lambda text: self._emit(Warned(text))
        )

    def _open(self, name: str) -> Sequence[NetworkImage | LocalizationImage]:
        settings, shape = self._job.settings, self._ring.shape
        path = settings.results.widefield
        return open_images(
            name,
            settings,
            resolve_calibration(settings.camera, StatedCalibration()),
            shape,
            widefield=None if path is None else load_widefield(path, shape),
            threads=1,  # the other cores are those of camera, localizer and disk
        )

    def run(self, stop: threading.Event) -> None:
        """Take frames and rows until `stop` is set, then write the layers of frames as they are.

        Those of localizations are made of the whole table after the run, on all cores.
        """
        names = [layer.network.name for layer in self._layers]
        self._emit(LayersOpened([*names, *self._of_table.names]))
        while (self._layers or len(self._of_table)) and not stop.is_set():
            batch = self._ring.peek(frames_at_once(self._ring.shape))
            if batch is None:
                stop.wait(_IDLE_S)
            else:
                self._add(batch)
                self._ring.release(len(batch))
            self._show()
            self._of_table.update(stop)
        self._show(final=True)
        left = [layer for layer in self._layers if len(layer.frames)]
        for k, layer in enumerate(left):
            # The owner waits as long as one after the other is written.
            self._emit(LayersLeft([waiting.network.name for waiting in left[k:]]))
            self._write(layer)

    def _add(self, batch: FrameBatch) -> None:
        for layer in tuple(self._layers):
            try:
                layer.network.add_frames(batch)
            except Exception as error:
                self._layers.remove(layer)
                self._warn(layer.network.name, error)
                continue
            for index in batch.index.tolist():
                layer.frames.add(index, index + 1)

    def _warn(self, name: str, error: BaseException) -> None:
        _log.exception("the network %s failed", name)
        self._emit(Warned(f"the image layer of {name} does not grow: {one_line(error)}; the run "
                          "goes on"))  # fmt: skip

    def _show(self, *, final: bool = False) -> None:
        begin_s = time.monotonic()
        if begin_s < self._next_s and not final:
            return
        for layer in self._layers:
            n_frames = len(layer.frames)
            if n_frames != layer.shown:
                self._send(layer.network.layer())
                layer.shown = n_frames
        end_s = time.monotonic()
        self._next_s = end_s + max(SHOW_S, (end_s - begin_s) / _SHARE)

    def _send(self, layer: ImageLayer) -> None:
        self._emit(grown(smaller(layer, LAYER_PX)))

    def _write(self, layer: _Growing) -> None:
        """Write a layer, unless there is one of more frames: that of an analysis that went on."""
        path = layer_path(self._job.folder, layer.network.name)
        try:
            if len(read_layer(path).frames) >= len(layer.frames):
                return
        except FileFormatError:
            _log.info("%s is new", path.name)
        try:
            write_layer(self._job.folder, layer.network.layer(), layer.frames)
        except RtsmlmError as error:
            self._warn(layer.network.name, error)


def smaller(layer: ImageLayer, most_px: int) -> ImageLayer:
    """Return a layer with blocks of pixels summed until no side is longer than this.

    A block that is not whole, at the end, is left out.
    """
    n = -(-max(layer.image.shape) // most_px)
    rows, columns = (max(1, side // n) for side in layer.image.shape)
    blocks = layer.image[: rows * n, : columns * n].reshape(rows, n, columns, n)
    image = blocks.sum(axis=(1, 3), dtype=np.float32)
    return replace(layer, image=image, pixel_nm=layer.pixel_nm * n)


def grown(layer: ImageLayer) -> LayerGrown:
    """Return a layer as it is sent; below zero there is nothing."""
    height, width = layer.image.shape
    step = max(float(layer.image.max(initial=0.0)), 1e-9) / _STEPS
    pixels = np.rint(layer.image / np.float32(step)).clip(0, _STEPS).astype("<u2")
    return LayerGrown(
        layer.name,
        layer.version,
        layer.quantity == "uncertainty",
        layer.n_frames,
        layer.n_localizations,
        height,
        width,
        layer.pixel_nm,
        step,
        base64.b64encode(zlib.compress(pixels.tobytes(), level=1)).decode(),
    )
