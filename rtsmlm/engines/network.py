"""A network as a localizer: batches, threads and tiles are the same for all engines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.refine import Refiner
from rtsmlm.engines.runtime import Runtime
from rtsmlm.errors import LocalizerError
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.inputs import KNOW_MASKS, context_of, pad_frames, padded_maps
from rtsmlm.models.recall import MAX_LOCAL_NETWORK_PER_UM2, NETWORK_RECALL
from rtsmlm.models.rows import localizations_of
from rtsmlm.protocols import ALL

_log = logging.getLogger(__name__)


class NetworkLocalizer:
    """A network on one engine, as a `rtsmlm.protocols.Localizer`.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    runtime
        What it runs on.
    calibration
        Camera calibration; maps must have the shape of the frames.
    refiner
        Fits lone emitters once more; None leaves the rows of the network as they are.
    fallback
        Makes the runtime that takes over, with a warning, where `runtime` cannot be prepared.
    """

    max_local_per_um2 = MAX_LOCAL_NETWORK_PER_UM2
    recall = NETWORK_RECALL

    def __init__(
        self,
        model: NetworkModel,
        runtime: Runtime,
        *,
        calibration: CameraCalibration,
        refiner: Refiner | None = None,
        fallback: Callable[[], Runtime] | None = None,
    ) -> None:
        self._model = model
        self._blocks = (model.manifest.block_px, model.manifest.overlap_px)
        self._runtime = runtime
        self._calibration = calibration
        self._refiner = refiner
        self.takes_wobble_off = refiner is not None and refiner.takes_wobble_off
        self._fallback = fallback
        self._shape: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Model, engine and precision."""
        return f"{self._model.manifest.name}, {self._runtime.name}"

    @property
    def neighbours(self) -> int:
        """Frames before and after a frame that the network looks at."""
        return self._model.neighbours

    @property
    def uses_all_cores(self) -> bool:
        """Whether one instance keeps all cores busy by itself."""
        return self._runtime.uses_all_cores

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile the network, the decoding and the fit for frames of this shape."""
        self._prepare(shape)
        most = self._runtime.lanes * self._runtime.batch_frames
        dark = FrameBatch.from_pixels(np.full((max(most, 2), *shape), 100, dtype=np.uint16))
        for n in (1, 2, most):
            self(dark.frames(0, n))
        if self._refiner is not None:
            self._refiner.warm_up(dark)

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the localizations of the target frames, by frame, then from top to bottom.

        Raises
        ------
        CalibrationError
            If the camera maps do not fit the frames.
        LocalizerError
            If the frames are not uint16 or the runtime fails.
        """
        if batch.pixels.dtype != np.uint16:
            raise LocalizerError(f"frames are {batch.pixels.dtype}; {self.name} takes uint16")
        start, stop, _ = targets.indices(len(batch))
        if batch.shape != self._shape:
            self._prepare(batch.shape)
        pixels = pad_frames(batch.pixels, *self._blocks)
        context = context_of(batch.index, self.neighbours)

        def localize(part: slice, *, alone: bool = False) -> Localizations:
            return self._localize(batch, pixels, context, part, alone=alone)

        parts: list[Localizations] = []
        lanes = self._runtime.lanes
        # A backlog first, then as many frames as there are lanes, then one that all cores share.
        for n in sorted({self._runtime.batch_frames, 1}, reverse=True):
            together = stop - start - (stop - start) % (n * lanes)
            if lanes > 1 and together:
                shares = [slice(k, k + n) for k in range(start, start + together, n)]
                # Threads of this call alone: nothing has to be closed, and they cost little.
                with ThreadPoolExecutor(lanes, thread_name_prefix="rtsmlm-network") as pool:
                    parts += pool.map(localize, shares)
                start += together
        n = self._runtime.batch_frames
        while start < stop:
            size = n if lanes == 1 and stop - start >= n else 1
            parts.append(localize(slice(start, start + size), alone=size == 1))
            start += size
        return Localizations.concatenate(parts)

    def _localize(
        self, batch: FrameBatch, pixels: Pixels, context: F32, part: slice, *, alone: bool
    ) -> Localizations:
        first, last = part.start - self.neighbours, part.stop + self.neighbours
        if first >= 0 and last <= len(pixels):
            frames = pixels[first:last]
        else:
            # Beyond the ends a frame stands in for its neighbour; the context says so.
            frames = pixels[np.clip(np.arange(first, last), 0, len(pixels) - 1)]
        found = localizations_of(
            self._runtime.rows(frames, context[part], alone=alone),
            batch.index[part],
            pixel_nm=self._calibration.pixel_nm,
            excess_noise=self._calibration.excess_noise,
            depth=self._model.psf.depth,
            settings=self._model.decode,
        )
        if self._refiner is None:
            return found
        looked_at = context[part] if self.neighbours else None
        seen = batch.frames(part.start, part.stop)
        refined = self._refiner(found, seen, context=looked_at)
        if len(refined) == len(found):
            return refined
        return refined.take(np.lexsort((refined.y_nm, refined.frame)))

    def _prepare(self, shape: tuple[int, int]) -> None:
        knows_masks = self._model.manifest.architecture in KNOW_MASKS
        maps = padded_maps(self._calibration, shape, *self._blocks, knows_masks=knows_masks)
        try:
            self._runtime.prepare(shape, maps)
        except LocalizerError as error:
            if self._fallback is None:
                raise
            runtime, self._fallback = self._fallback(), None
            _log.warning("%s; %s runs instead", error, runtime.name)
            runtime.prepare(shape, maps)
            self._runtime = runtime
        if self._refiner is not None:
            self._refiner.prepare(shape)
        self._shape = shape
