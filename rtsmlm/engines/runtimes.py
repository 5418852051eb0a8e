"""Which engine runs a network: the fastest one that this machine has, or the one that is named."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.network import NetworkLocalizer
from rtsmlm.engines.refine import Refiner
from rtsmlm.engines.runtime import Runtime, open_model
from rtsmlm.errors import ConfigError
from rtsmlm.fitting.box_fit import TrainedBackgroundFit
from rtsmlm.fitting.spline_localizer import load_table
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.manifest import Manifest
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf
from rtsmlm.settings.installation import install_line
from rtsmlm.settings.run import RunSettings

if TYPE_CHECKING:
    from rtsmlm.engines.routing import RoutedLocalizer

AUTO = "auto"
ORDER = ("tensorrt", "torch", "openvino")
"""What `auto` tries, fastest first; torch with a GPU only: without one OpenVINO is faster."""


def why_not(engine: str) -> str:
    """Return why `auto` would not take an engine; empty if it would, were it the first."""
    if engine == "openvino":
        return "" if find_spec("openvino") else "openvino is not installed; pip install openvino"
    # Asked first, because torch takes seconds to be imported.
    if shutil.which("nvidia-smi") is None:
        return "there is no NVIDIA GPU, or its driver is not installed"
    if engine == "tensorrt":
        from rtsmlm.engines.tensorrt import missing

        return missing()
    if find_spec("torch") is None:
        return f"torch is not installed; {install_line('gpu')}"
    import torch

    if not torch.cuda.is_available():
        return "this torch has no CUDA, or finds no GPU; install the CUDA build of torch"
    return ""


def engine_of(name: str) -> str:
    """Return the engine that a setting means.

    Parameters
    ----------
    name
        auto, or one of `ORDER`.
    """
    if name != AUTO:
        return name
    found = next((engine for engine in ORDER if not why_not(engine)), "")
    # A compute node has torch on its CPU, and no OpenVINO; with neither, that is what is missing.
    return found or ("torch" if find_spec("torch") else "openvino")


def open_runtime(model: NetworkModel, engine: str, precision: str | None = None) -> Runtime:
    """Return a network on an engine.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    engine
        One of `ORDER`.
    precision
        As the engine takes it; None leaves it to the engine.

    Raises
    ------
    ConfigError
        If there is no such engine or precision, or a package of it is not installed.
    LocalizerError
        If its hardware is not there.
    """
    if engine not in ORDER:
        raise ConfigError(f"localizer.engine {engine!r} is none of: auto, {', '.join(ORDER)}")
    try:
        if engine == "torch":
            from rtsmlm.engines.torch import TorchRuntime

            return TorchRuntime(model, precision=precision)
        if engine == "openvino":
            from rtsmlm.engines.openvino import OpenVinoRuntime

            return OpenVinoRuntime(model, precision=precision)
        from rtsmlm.engines.tensorrt_runtime import TensorRtRuntime

        return TensorRtRuntime(model, precision=precision)
    except ImportError as error:
        line = "pip install openvino" if engine == "openvino" else install_line("gpu")
        raise ConfigError(
            f"localizer.engine={engine} needs the package {error.name}: "
            f"{line}, or set localizer.engine to another engine"
        ) from error


def open_network(
    folder: Path,
    settings: RunSettings,
    calibration: CameraCalibration,
    sigma_nm: float,
    *,
    background: TrainedBackgroundFit | None = None,
) -> NetworkLocalizer | RoutedLocalizer:
    """Return the network of a model folder on the engine that the settings name.

    Parameters
    ----------
    folder
        The model folder.
    settings
        Settings of the run.
    calibration
        Camera calibration.
    sigma_nm
        Standard deviation of a round PSF.
    background
        States the background of the boxes of lone emitters, which are fitted once more.

    Raises
    ------
    CalibrationError
        If the PSF is not one that the network was trained for.
    ConfigError
        If the engine or its precision is unknown or not installed.
    """
    wanted, astigmatism, table = settings.localizer, settings.psf.astigmatism, settings.psf.table
    return localizer_of(
        folder,
        calibration=calibration,
        sigma_nm=sigma_nm,
        curves=None if astigmatism is None else astigmatism.curves(),
        table=None if table is None else load_table(table, calibration.pixel_nm),
        engine=wanted.engine,
        precision=wanted.precision,
        min_probability=wanted.min_probability,
        min_channel_probability=settings.channels.min_probability,
        refine=wanted.refine,
        background=background,
        fit_first=wanted.fit_first,
        ellipticity=settings.psf.ellipticity,
    )


def localizer_of(
    folder: Path,
    *,
    calibration: CameraCalibration,
    sigma_nm: float,
    curves: WidthCurves | None = None,
    table: TablePsf | None = None,
    engine: str = AUTO,
    precision: str | None = None,
    min_probability: float | None = None,
    min_channel_probability: float | None = None,
    refine: bool = True,
    background: TrainedBackgroundFit | None = None,
    fit_first: bool = False,
    ellipticity: float = 1.0,
) -> NetworkLocalizer | RoutedLocalizer:
    """Return the network of a model folder as a localizer.

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
    table
        The measured PSF that they are of; lone emitters are fitted with it.
    engine
        auto, or one of `ORDER`.
    precision
        As the engine takes it; None leaves it to the engine.
    min_probability
        Rows less probable are not reported; by default what the manifest says.
    min_channel_probability
        Rows whose colour is less probable are in no channel; by default all are in one.
    refine
        Fit lone emitters once more where the network has found them; where it was trained for a PSF
        of its own, no fit knows that.
    background
        States the background of the boxes that are fitted once more.
    fit_first
        Fit lone emitters first, where the network can be asked about parts of a frame.
    ellipticity
        Width along x over that along y of a round PSF, which lone emitters are fitted with.

    Raises
    ------
    CalibrationError
        If the PSF is not one that the network was trained for.
    ConfigError
        If the engine or its precision is unknown or not installed, or a background is given and
        nothing is fitted once more.
    FileFormatError
        If the model is damaged or is not what its manifest describes.
    """
    model = open_model(
        folder,
        calibration=calibration,
        sigma_nm=sigma_nm,
        curves=curves,
        min_probability=min_probability,
        min_channel_probability=min_channel_probability,
    )
    refiner = None
    if refine and not knows_own_psf(model.manifest):
        refiner = Refiner(
            calibration,
            sigma_nm,
            curves if model.axial else None,
            table=table,
            background=background,
            ellipticity=ellipticity,
        )
    if background is not None and refiner is None:
        raise ConfigError(
            f"localizer.background is for fits, and none follows {model.manifest.name}: leave it "
            "out, or set localizer.refine, or localizer.name to gaussian-mle"
        )
    chosen = engine_of(engine)
    # A GPU that is full, or whose driver is too old, must not end a session.
    spare = engine == AUTO and chosen != "openvino"
    runtime = open_runtime(model, chosen, precision)
    network = NetworkLocalizer(
        model,
        runtime,
        calibration=calibration,
        refiner=refiner,
        fallback=(lambda: open_runtime(model, "openvino")) if spare else None,
    )
    if not fit_first or refiner is None or background is not None or chosen != "openvino":
        return network
    from rtsmlm.engines.routing import after_fit

    psf = (sigma_nm, curves if model.axial else None, table, ellipticity)
    return after_fit(model, network, runtime, calibration, psf, refiner)


def knows_own_psf(manifest: Manifest) -> bool:
    """Whether a network was trained for a PSF that no fit of rtsmlm knows."""
    return manifest.z_range_nm is not None or bool(manifest.colours)
