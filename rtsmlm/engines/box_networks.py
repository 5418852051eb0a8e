"""Networks of boxes: a candidate's box to the parameters of its emitter, or to its background.

The ONNX graph takes `photons` and, if it asks, `variance`, both (n, 1, box, box) in photons and
photons²; the box is as large as the manifest's input says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.graph_runner import GraphRunner, open_graph
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.fitting import boxes
from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.localizations import COLUMN_DTYPES, F32
from rtsmlm.models.manifest import Manifest, read_manifest
from rtsmlm.models.trained_psf import check_pixel
from rtsmlm.settings.run import RunSettings

NEEDED = ("x", "y", "photons", "background")
"""Channels of a network of parameters: places in pixels from the centre of the box."""
STATED = {
    "z_nm": boxes.Z,
    "std_x": boxes.STD_X,
    "std_y": boxes.STD_Y,
    "std_z_nm": boxes.STD_Z,
    "std_photons": boxes.STD_PHOTONS,
}
"""Channels that it may have; all others are extra columns."""

_COMPILED_FOR = 72
"""Boxes that need every chunk size of every engine."""


class NetworkBoxFit:
    """A network of parameters as a `rtsmlm.fitting.box_fit.BoxFit`.

    It is trained on boxes whose emitter is in the middle.

    Parameters
    ----------
    folder
        The model folder.
    engine, precision
        As `rtsmlm.engines.graph_runner.open_graph` takes them.
    sigma_px
        Standard deviation of the PSF, for errors that the network does not state.

    Raises
    ------
    ConfigError
        If the model does something else, or the engine cannot run it.
    FileFormatError
        If the model is damaged, or lacks a channel that is needed.
    """

    is_centered = True

    def __init__(
        self, folder: Path, engine: str, sigma_px: float, *, precision: str | None = None
    ) -> None:
        self.manifest, self._run = open_graph(folder, engine, precision=precision)
        _check_task(self.manifest, "box-parameters")
        self.method = self.manifest.name
        self.box_px = box_px_of(self.manifest)
        self._sigma_px = sigma_px
        self._channels = {channel.name: channel.first for channel in self.manifest.channels}
        if missing := [name for name in NEEDED if name not in self._channels]:
            raise FileFormatError(
                f"the channels of {self.method} have no {', '.join(missing)}; a network of "
                f"parameters needs {', '.join(NEEDED)}"
            )
        known = {*NEEDED, *STATED}
        self.extra_columns = tuple(name for name in self._channels if name not in known)
        _compile(self._run, self.box_px)

    def __call__(
        self, photons: F32, variance: F32, start_x: F32, start_y: F32, rows: F64
    ) -> F32 | None:
        """Write the rows; see `BoxFit`."""
        del start_x, start_y
        if not len(photons):
            return np.empty((0, len(self.extra_columns)), np.float32)
        answer = self._run(_inputs(photons, variance))

        def channel(name: str) -> NDArray[np.float64]:
            return answer[:, self._channels[name]].astype(np.float64)

        center = (self.box_px - 1) / 2.0
        rows[:, boxes.X] = center + channel("x")
        rows[:, boxes.Y] = center + channel("y")
        rows[:, boxes.PHOTONS] = channel("photons")
        rows[:, boxes.BACKGROUND] = channel("background")
        rows[:, boxes.SIGMA] = self._sigma_px
        rows[:, boxes.CHI2] = 1.0
        rows[:, boxes.STATUS] = boxes.CONVERGED
        self._expect_errors(rows)
        for name, column in STATED.items():
            if name in self._channels:
                rows[:, column] = channel(name)
        extras = [answer[:, self._channels[name]] for name in self.extra_columns]
        return np.stack(extras, axis=1) if extras else None

    def _expect_errors(self, rows: F64) -> None:
        """Write the errors that shot noise leaves, where the network states none.

        Mortensen et al., Nat. Methods 7, 377 (2010), equation 6, with a pixel of 1.
        """
        light = np.maximum(rows[:, boxes.PHOTONS], 1.0)
        level = np.maximum(rows[:, boxes.BACKGROUND], 0.0)
        area = self._sigma_px**2 + 1.0 / 12.0
        error = np.sqrt(area / light * (16.0 / 9.0 + 8.0 * np.pi * area * level / light))
        rows[:, boxes.STD_X] = rows[:, boxes.STD_Y] = error
        rows[:, boxes.STD_PHOTONS] = np.sqrt(light + 4.0 * np.pi * area * level)


class NetworkBackground:
    """A network of backgrounds as a `rtsmlm.fitting.box_fit.BackgroundFit`.

    Its output is (n, 1, box, box), in photons per pixel.

    Parameters
    ----------
    folder
        The model folder.
    engine, precision
        As `rtsmlm.engines.graph_runner.open_graph` takes them.

    Raises
    ------
    ConfigError
        If the model does something else, or the engine cannot run it.
    FileFormatError
        If the model is damaged.
    """

    def __init__(self, folder: Path, engine: str, *, precision: str | None = None) -> None:
        self.manifest, self._run = open_graph(folder, engine, precision=precision)
        _check_task(self.manifest, "box-background")
        self.method = self.manifest.name
        self.box_px = box_px_of(self.manifest)
        _compile(self._run, self.box_px)

    def __call__(self, photons: F32, variance: F32) -> F32:
        """Return the background; see `BackgroundFit`."""
        if not len(photons):
            return photons
        answer = self._run(_inputs(photons, variance)).reshape(photons.shape)
        return np.maximum(answer, np.float32(0.0))


def open_box_localizer(
    folder: Path,
    settings: RunSettings,
    calibration: CameraCalibration,
    sigma_nm: float,
) -> SpotLocalizer:
    """Return detection followed by a network of parameters.

    Raises
    ------
    CalibrationError
        If the PSF or the pixel is far from those that the network was trained for.
    ConfigError, FileFormatError
        As `NetworkBoxFit`.
    LocalizerError
        If the PSF width cannot be used.
    """
    manifest = read_manifest(folder)
    fitter = "gaussian-mle" if settings.psf.astigmatism is None else "astigmatic-mle"
    manifest.check_width(sigma_nm, calibration, "psf.sigma_nm", fitter)
    check_pixel(manifest, calibration, f"set localizer.name to {fitter}")
    wanted, sigma_px = settings.localizer, sigma_nm / calibration.pixel_nm
    fit = NetworkBoxFit(folder, wanted.engine, sigma_px, precision=wanted.precision)
    wanted = wanted.model_copy(update={"box_px": fit.box_px})
    return SpotLocalizer(calibration=calibration, sigma_nm=sigma_nm, settings=wanted, fit=fit)


def extras_of(manifest: Manifest) -> dict[str, str]:
    """Return the unit of each channel that is no column of the table, by its name."""
    known = {*NEEDED, *STATED, *COLUMN_DTYPES}
    return {c.name: c.unit for c in manifest.channels if c.name not in known}


def box_px_of(manifest: Manifest) -> int:
    """Return the side of the boxes that a network takes.

    Raises
    ------
    FileFormatError
        If the manifest does not state it as a number.
    """
    for entry in manifest.inputs:
        if entry.name == "photons" and entry.shape[-1].isdigit():
            return int(entry.shape[-1])
    raise FileFormatError(
        f"the manifest of {manifest.name} states no input photons of (n, 1, box, box)"
    )


def _check_task(manifest: Manifest, task: str) -> None:
    if manifest.task != task:
        raise ConfigError(f"{manifest.name} does {manifest.task}, not {task}")


def _compile(run: GraphRunner, box_px: int) -> None:
    """Run on dark boxes, so that all that is compiled is there when the first spots come."""
    dark = np.zeros((_COMPILED_FOR, box_px, box_px), dtype=np.float32)
    run(_inputs(dark, dark + np.float32(1.0)))


def _inputs(photons: F32, variance: F32) -> Mapping[str, F32]:
    return {"photons": photons[:, None], "variance": variance[:, None]}
