"""OpenVINO on the CPU: bf16 where the processor computes in it, float32 elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.config import RunSettings
from rtsmlm.decode import decode
from rtsmlm.errors import LocalizerError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.inputs import context_of, pad_frames, padded_maps
from rtsmlm.models.manifest import ONNX_NAME, load_manifest, weights_folder
from rtsmlm.models.refine import Refiner
from rtsmlm.protocols import ALL
from rtsmlm.width_curves import WidthCurves

# A backlog is worked off eight frames at a time; more do not go faster and wait longer.
_BACKLOG_FRAMES = 8


class OpenVinoLocalizer:
    """A network on the CPU.

    Parameters
    ----------
    folder
        The model folder.
    calibration
        Camera calibration; maps must have the shape of the frames.
    sigma_nm
        Standard deviation of a round PSF.
    curves
        Widths of an astigmatic PSF, for a model that takes one.
    precision
        bf16 or f32; by default bf16 where the processor computes in it.
    min_probability
        Rows less probable are not reported; by default what the manifest says.
    refine
        Fit lone emitters once more where the network has found them.

    Raises
    ------
    CalibrationError
        If the PSF is not one that the model was trained for.
    FileFormatError
        If the model is damaged or is not what its manifest describes.
    """

    context_frames = 1
    uses_all_cores = True

    def __init__(
        self,
        folder: Path,
        *,
        calibration: CameraCalibration,
        sigma_nm: float,
        curves: WidthCurves | None = None,
        precision: str | None = None,
        min_probability: float | None = None,
        refine: bool = True,
    ) -> None:
        self._manifest = load_manifest(folder)
        self._psf = self._manifest.psf_input(sigma_nm, curves, calibration)
        self._calibration = calibration
        self._decode = self._manifest.decode.settings()
        if min_probability is not None:
            self._decode = replace(self._decode, min_probability=min_probability)
        curves = None if self._psf.depth is None else curves
        self._refiner = Refiner(calibration, sigma_nm, curves) if refine else None
        self._core = openvino.Core()
        self._model_path = folder / ONNX_NAME
        self.precision = precision or best_precision()
        self._shape: tuple[int, int] | None = None
        self._maps: tuple[F32, F32, F32] = (np.empty(0, np.float32),) * 3
        self._requests: dict[int, Any] = {}

    @property
    def name(self) -> str:
        """Model and precision."""
        return f"{self._manifest.name}, OpenVINO {self.precision}"

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile the network, the decoding and the fit for frames of this shape."""
        dark = FrameBatch.from_pixels(np.full((_BACKLOG_FRAMES, *shape), 100, dtype=np.uint16))
        for n in (1, _BACKLOG_FRAMES):
            self(dark.part(0, n))
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
        pixels = pad_frames(batch.pixels)
        context = context_of(batch.index)
        parts = []
        while start < stop:
            n = _BACKLOG_FRAMES if stop - start >= _BACKLOG_FRAMES else 1
            # Beyond the ends a frame stands in for its neighbour; the context says so.
            rows = np.clip(np.arange(start - 1, start + n + 1), 0, len(batch) - 1)
            maps = self._infer(n, pixels[rows], context[start : start + n])
            found = decode(
                maps,
                batch.index[start : start + n],
                shape=batch.shape,
                pixel_nm=self._calibration.pixel_nm,
                excess_noise=self._calibration.excess_noise,
                depth=self._psf.depth,
                settings=self._decode,
            )
            if self._refiner is not None:
                found = self._refiner(found, batch.part(start, start + n))
            parts.append(found)
            start += n
        return Localizations.concatenate(parts)

    def _prepare(self, shape: tuple[int, int]) -> None:
        self._maps = padded_maps(self._calibration, shape)
        self._requests.clear()
        self._shape = shape

    def _infer(self, n: int, frames: NDArray[np.uint16], context: F32) -> F32:
        offset, gain, variance = self._maps
        try:
            request = self._requests.get(n) or self._compile(n, frames.shape[1:])
            request.infer(
                {
                    "frames": frames,
                    "offset_adu": offset,
                    "photons_per_adu": gain,
                    "read_variance": variance,
                    "context": context,
                    "condition": self._psf.condition,
                }
            )
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} failed: {error}") from error
        maps: F32 = request.get_output_tensor(0).data
        return maps

    def _compile(self, n: int, shape: tuple[int, ...]) -> Any:
        model = self._core.read_model(self._model_path)
        model.reshape(
            {
                "frames": [n + 2, *shape],
                "offset_adu": list(shape),
                "photons_per_adu": list(shape),
                "read_variance": list(shape),
                "context": [n, 2],
                "condition": list(self._psf.condition.shape),
            }
        )
        options = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": os.cpu_count() or 1,
            "PERFORMANCE_HINT": "LATENCY",
            # The camera thread needs a core too: let the system move the threads.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = self._core.compile_model(model, "CPU", options)
        self._requests[n] = compiled.create_infer_request()
        return self._requests[n]


def best_precision() -> str:
    """Return bf16 where the processor computes in it, else f32."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "f32"


def open_flagship_2d(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> OpenVinoLocalizer:
    """Build the localizer of entry point `flagship-2d`."""
    return _open("flagship-2d", settings, calibration, sigma_nm)


def open_flagship_astig(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> OpenVinoLocalizer:
    """Build the localizer of entry point `flagship-astig`."""
    return _open("flagship-astig", settings, calibration, sigma_nm)


def _open(
    name: str, settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> OpenVinoLocalizer:
    astigmatism = settings.psf.astigmatism
    return OpenVinoLocalizer(
        weights_folder(name),
        calibration=calibration,
        sigma_nm=sigma_nm,
        curves=None if astigmatism is None else astigmatism.curves(),
        min_probability=settings.localizer.min_probability,
        refine=settings.localizer.refine,
    )
