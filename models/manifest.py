"""The manifest of a model: what goes in, what comes out, where it holds, how it was trained.

Weights never travel without it. A model is a folder of `manifest.toml`, `model.onnx`,
`model.safetensors`, and what else its decoder reads, such as a phase mask or a PSF file; all files
are checked against the sha256 that the manifest states.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tomli_w
from pydantic import Field, ValidationError

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import CalibrationError, FileFormatError
from rtsmlm.models.model_files import FileEntry, check_file
from rtsmlm.models.psf_condition import PsfInput, astigmatic_psf, round_psf
from rtsmlm.models.rows import CROWD_KNOTS, DecodeSettings
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.settings.base import Settings

MANIFEST_NAME = "manifest.toml"
ONNX_NAME = "model.onnx"
WEIGHTS_NAME = "model.safetensors"
FORMAT = 1


class TensorEntry(Settings):
    """One input or output of the ONNX model."""

    name: str
    dtype: str
    shape: tuple[str, ...]
    """Axes by name or number."""
    unit: str
    meaning: str


class ChannelEntry(Settings):
    """Consecutive channels of the maps."""

    name: str
    first: int = Field(ge=0)
    count: int = Field(ge=1)
    unit: str
    activation: str
    """How a raw value becomes the quantity."""


Task = Literal["localize", "box-parameters", "box-background", "box-classes", "image"]
"""localize: frames to rows; box-parameters and box-background: a box around a candidate to its
parameters or its background; box-classes: a box around a row, or the spectrum beside it, to its
dye; image: frames to an image, which is never mixed into rows."""


class ValidRanges(Settings):
    """Where the model was trained and tested."""

    sigma_px: tuple[float, float]
    """Standard deviation of the PSF; of an astigmatic one in focus."""
    widest_px: float | None = None
    """Largest width of an astigmatic PSF at the ends of its range."""
    photons: tuple[float, float]
    background: tuple[float, float]
    """Photons per pixel."""
    density_um2: tuple[float, float]
    """Emitters per µm² and frame at a pixel of 100 nm."""


class DecodeEntry(Settings):
    """What was calibrated on simulations, for `rtsmlm.models.rows`."""

    min_probability: float = 0.5
    vague_snr: float = 5.5
    vague_probability: float = 0.9
    vague_crowd_probability: float = 0.9
    vague_std_px: float | None = None
    std_scale: tuple[float, ...] = (1.0,) * len(CROWD_KNOTS)
    std_scale_z: tuple[float, ...] = (1.0,) * len(CROWD_KNOTS)
    std_scale_photons: float = 1.0
    photons_scale: float = 1.0
    channel_sharpness: float = 1.0

    def settings(self) -> DecodeSettings:
        """Return the settings of the decoder."""
        return DecodeSettings(**self.model_dump())


class TrainingEntry(Settings):
    """How the weights came about."""

    steps: int
    windows: int
    seconds: float
    hardware: str
    recipe: dict[str, Any]
    """The whole recipe."""
    held_out_loss: float | None = None


UNTRAINED = TrainingEntry(steps=0, windows=0, seconds=0.0, hardware="", recipe={})
"""Of a manifest that an architecture writes: the export puts in what the checkpoint states."""


class Manifest(Settings):
    """All that is known of a model."""

    format: int = FORMAT
    name: str
    version: str
    task: Task = "localize"
    architecture: str = "flagship"
    """Name in the entry point group `rtsmlm.network`, which says how it is fed and decoded."""
    size: str
    """Name of the network's size."""
    psf: Literal["round", "astigmatic", "any"] = "round"
    """What its condition holds of the PSF: a width, curves, or nothing."""
    z_range_nm: tuple[float, float] | None = None
    """Depths that a network finds which was trained for one PSF; `origin` says for which."""
    pixel_nm: float | None = None
    """Camera pixel on which that PSF was seen."""
    spot_px: int | None = None
    """Side of the spots of that PSF, in these pixels."""
    wavelengths_nm: tuple[float, float] | None = None
    """Of the first and the last sample of a spectrum, where it is given spectra."""
    colours: tuple[str, ...] = ()
    """Dyes that it tells apart in frames, in the order of the channels of its rows. Its PSFs are
    those of a phase mask of its own."""
    origin: str = ""
    """Who trained it, where, after which paper."""
    parameters: int
    kmac_per_px: float
    window_frames: int = Field(default=3, ge=1, le=15)
    """Frames that it looks at to localize one: an odd number."""
    upsampling: int = Field(default=1, ge=1)
    """Pixels of an image that it makes of frames, along the side of a camera pixel."""
    image_pixel_nm: float | None = Field(default=None, gt=0)
    """Side of a pixel of an image that it makes of localizations, whatever the camera's is."""
    structures: tuple[str, ...] = ()
    """What it has learned to complete, in the order of its input; empty where it asks for none."""
    block_px: int = Field(default=8, ge=1)
    """Frames are padded to multiples of it."""
    overlap_px: int = Field(default=0, ge=0)
    """And to so many pixels more, for a graph that cuts them into tiles that overlap. Parts of an
    image of localizations overlap by so many of its pixels."""
    bf16: bool = True
    """Whether a CPU may compute it in bf16: positions over a whole tile have more digits."""
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]
    channels: tuple[ChannelEntry, ...]
    valid: ValidRanges
    decode: DecodeEntry = DecodeEntry()
    training: TrainingEntry
    weights: Literal["float32", "float16"] = "float32"
    """In what the weights are stored; all engines read them as float32."""
    files: tuple[FileEntry, ...]
    accuracy: tuple[dict[str, float | str], ...] = ()
    """Rows of the accuracy table."""

    @property
    def neighbours(self) -> int:
        """Frames before and after a frame that it looks at."""
        return self.window_frames // 2

    @property
    def n_channels(self) -> int:
        """Channels of the maps."""
        return int(self.outputs[0].shape[1])

    def psf_input(
        self, sigma_nm: float, curves: WidthCurves | None, calibration: CameraCalibration
    ) -> PsfInput:
        """Return the condition for a PSF.

        Parameters
        ----------
        sigma_nm
            Standard deviation of a round PSF.
        curves
            Widths of an astigmatic PSF; a model for round ones does not look at them.
        calibration
            Camera calibration.

        Raises
        ------
        CalibrationError
            If it is a PSF that the model was not trained for.
        """
        if self.psf == "any":
            return round_psf(sigma_nm / calibration.pixel_nm, self.z_range_nm)
        if self.psf == "round":
            self.check_width(sigma_nm, calibration, "psf.sigma_nm", "gaussian-mle")
            return round_psf(sigma_nm / calibration.pixel_nm)
        if curves is None:
            raise CalibrationError(
                f"{self.name} needs the curves of an astigmatic PSF: run rtsmlm calibrate psf "
                "BEADS.tif --z-step-nm 50 --astigmatic and give its psf_astigmatic.toml with -c"
            )
        z_nm = np.linspace(curves.z_min_nm, curves.z_max_nm, 101)
        for curve in (curves.x, curves.y):
            widths = curve.sigma_nm(z_nm)
            self.check_width(widths.min(), calibration, "psf.astigmatism", "astigmatic-mle")
            widest = self.valid.widest_px or np.inf
            if widths.max() > widest * calibration.pixel_nm:
                raise CalibrationError(
                    f"the PSF is {widths.max() / calibration.pixel_nm:.1f} px wide at the end of "
                    f"its range; {self.name} takes {widest} px: narrow psf.astigmatism.z_min_nm "
                    "and z_max_nm"
                )
        return astigmatic_psf(curves, calibration.pixel_nm)

    def check_width(
        self, sigma_nm: float, calibration: CameraCalibration, setting: str, fitter: str
    ) -> None:
        """Refuse a PSF whose width the model was not trained for.

        Parameters
        ----------
        sigma_nm
            Standard deviation of the PSF.
        calibration
            Camera calibration.
        setting
            What states the width, for the message.
        fitter
            Localizer that takes any width, for the message.

        Raises
        ------
        CalibrationError
            If it is narrower or wider.
        """
        sigma_px = sigma_nm / calibration.pixel_nm
        low, high = self.valid.sigma_px
        if not low <= sigma_px <= high:
            raise CalibrationError(
                f"the PSF of sigma {sigma_nm:.0f} nm is {sigma_px:.2f} px of "
                f"{calibration.pixel_nm:.0f} nm; {self.name} takes {low} to {high} px: check "
                f"{setting} and camera.pixel_nm, or set localizer.name to {fitter}"
            )


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest of a model and check its files.

    Raises
    ------
    FileFormatError
        If the manifest cannot be read, or a file is missing or was changed.
    """
    manifest = read_manifest(folder)
    check_is_listed(manifest, folder, ONNX_NAME)
    for file in manifest.files:
        check_file(folder / file.name, file.sha256)
    return manifest


def check_is_listed(manifest: Manifest, folder: Path, name: str) -> None:
    """Refuse a file beside a model that its manifest does not vouch for.

    Raises
    ------
    FileFormatError
        If the manifest lists no such file.
    """
    if name not in {file.name for file in manifest.files}:
        raise FileFormatError(
            f"{folder / MANIFEST_NAME} lists no {name}, so that it cannot be told whether it is "
            "the one that the model was trained with: export the model again"
        )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a model, without looking at its other files.

    Raises
    ------
    FileFormatError
        If it cannot be read.
    """
    path = folder / MANIFEST_NAME
    try:
        manifest = Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        fault = f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
        raise FileFormatError(
            f"the manifest {path} is not one that this rtsmlm reads: {fault}"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(f"cannot read the manifest {path}: {error}") from error
    if manifest.format != FORMAT:
        raise FileFormatError(
            f"{path} has format {manifest.format}; this rtsmlm reads {FORMAT}: update rtsmlm"
        )
    return manifest


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.toml`."""
    text = tomli_w.dumps(manifest.model_dump(mode="json", exclude_none=True))
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
