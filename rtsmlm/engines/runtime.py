"""What an engine is: a network on one kind of hardware, padded raw frames in, rows out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import ConfigError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.architecture import Maps, NetworkModel
from rtsmlm.models.catalog import architecture_of
from rtsmlm.models.inputs import context_columns
from rtsmlm.models.manifest import load_manifest
from rtsmlm.models.trained_psf import check_pixel
from rtsmlm.physics.astigmatism import WidthCurves


def open_model(
    folder: Path,
    *,
    calibration: CameraCalibration,
    sigma_nm: float,
    curves: WidthCurves | None = None,
    min_probability: float | None = None,
    min_channel_probability: float | None = None,
) -> NetworkModel:
    """Read a model folder, and refuse a PSF or a camera that the model was not trained for.

    Parameters
    ----------
    folder
        The model folder.
    calibration
        Camera calibration.
    sigma_nm
        Standard deviation of a round PSF.
    curves
        Widths of an astigmatic PSF, for a model that takes one.
    min_probability
        Rows less probable are not reported; by default what the manifest says.
    min_channel_probability
        Rows whose colour is less probable are in no channel; by default all are in one.

    Raises
    ------
    CalibrationError
        If the PSF is not one that the model was trained for.
    ConfigError
        If the model does not localize, or its architecture is not installed.
    FileFormatError
        If the model is damaged or is not what its manifest describes.
    """
    manifest = load_manifest(folder)
    if manifest.task != "localize":
        raise ConfigError(
            f"{manifest.name} does {manifest.task}, not localization: it is no localizer.name"
        )
    fitter = "gaussian-mle" if curves is None else "astigmatic-mle"
    check_pixel(manifest, calibration, f"set localizer.name to {fitter}")
    psf = manifest.psf_input(sigma_nm, curves, calibration)
    decode = manifest.decode.settings()
    if min_probability is not None:
        decode = replace(decode, min_probability=min_probability)
    if min_channel_probability is not None:
        decode = replace(decode, min_channel_probability=min_channel_probability)
    return NetworkModel(folder, manifest, architecture_of(manifest.architecture), psf, decode)


def input_shapes(model: NetworkModel, size: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """Return all that rtsmlm can give a network, with its shape; a graph may leave some out.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    size
        Frames to be localized at once, height and width in pixels, padded.
    """
    n, height, width = size
    return {
        "frames": (n + 2 * model.neighbours, height, width),
        "offset_adu": (height, width),
        "photons_per_adu": (height, width),
        "read_variance": (height, width),
        "context": (n, context_columns(model.neighbours)),
        "condition": model.psf.condition.shape,
    }


class Runtime(Protocol):
    """A network on one kind of hardware."""

    @property
    def name(self) -> str:
        """Runtime and precision."""
        ...

    @property
    def batch_frames(self) -> int:
        """How many frames each of `lanes` threads gives it at once, once it is prepared."""
        ...

    @property
    def lanes(self) -> int:
        """How many threads may call `rows` side by side."""
        ...

    @property
    def uses_all_cores(self) -> bool:
        """True if one instance keeps all cores busy by itself."""
        ...

    def prepare(self, shape: tuple[int, int], maps: Maps) -> None:
        """Get ready for frames of this height and width, in pixels without padding.

        Raises
        ------
        LocalizerError
            If the hardware or its software refuses.
        """
        ...

    def rows(self, frames: Pixels, context: F32, *, alone: bool) -> list[F32]:
        """Return the emitters of each frame as rows of `rtsmlm.models.rows`.

        Parameters
        ----------
        frames
            Those to be localized and their neighbours, padded, (n + 2 neighbours, height, width).
        context
            1 where the frames around each are there (`rtsmlm.models.inputs.context_of`); n is 1 or
            `batch_frames`.
        alone
            One frame that nothing else is done beside; else one of `lanes` calls.

        Raises
        ------
        LocalizerError
            If the runtime fails.
        """
        ...
