"""Image layers that grow while the run goes on, of the frames that there is time for."""

from __future__ import annotations

import base64
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rtsmlm.calibration import StatedCalibration
from rtsmlm.engines.image_network import NetworkImage, frames_at_once
from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.frames import FrameBatch
from rtsmlm.models.catalog import find_model
from rtsmlm.pipeline.events import ImageEvent, LayerGrown, LayersOpened, Warned
from rtsmlm.pipeline.job import PipelineJob
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
        calibration = resolve_calibration(job.settings.camera, StatedCalibration())
        engine = job.settings.localizer.engine
        threads = max(1, (os.cpu_count() or 1) // 4)
        self._layers: list[_Growing] = []
        for name in job.settings.results.image_models:
            try:
                network = NetworkImage(
                    find_model(name), engine, calibration, ring.shape, threads=threads
                )
            except Exception as error:  # a library may fail as it likes: the run has its table
                self._warn(name, error)
                continue
            if network.takes_frames:
                self._layers.append(_Growing(network))

    def run(self, stop: threading.Event) -> None:
        """Take frames until `stop` is set, then write the layers as they are."""
        self._emit(LayersOpened([layer.network.name for layer in self._layers]))
        while self._layers and not stop.is_set():
            batch = self._ring.peek(frames_at_once(self._ring.shape))
            if batch is None:
                stop.wait(_IDLE_S)
            else:
                self._add(batch)
                self._ring.release(len(batch))
            self._show()
        self._show(final=True)
        for layer in self._layers:
            if len(layer.frames):
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
                self._emit(grown(layer.network.small_layer(LAYER_PX)))
                layer.shown = n_frames
        end_s = time.monotonic()
        self._next_s = end_s + max(SHOW_S, (end_s - begin_s) / _SHARE)

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


def grown(layer: ImageLayer) -> LayerGrown:
    """Return a layer as it is sent; below zero there is nothing."""
    height, width = layer.image.shape
    step = max(float(layer.image.max(initial=0.0)), 1e-9) / _STEPS
    pixels = np.rint(layer.image / np.float32(step)).clip(0, _STEPS).astype("<u2")
    return LayerGrown(
        layer.name,
        layer.version,
        layer.n_frames,
        height,
        width,
        layer.pixel_nm,
        step,
        base64.b64encode(zlib.compress(pixels.tobytes(), level=1)).decode(),
    )
