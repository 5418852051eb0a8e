"""Settings of where frames come from: camera, core, recordings, and the PSF that drew them.

`config.RunSettings` holds them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from rtsmlm.settings.base import LONGEST_S, Settings


class CameraMaps(Settings):
    """Per-pixel sCMOS calibration, as .npy or TIFF files of the frame's size or the chip's."""

    offset: Path | None = None
    """Map of the dark value in ADU."""
    gain: Path | None = None
    """Map of the gain in ADU per electron."""
    variance: Path | None = None
    """Map of the read-noise variance in ADU²."""
    stack: Path | None = None
    """One file with all three maps, shape (3, height, width), instead of three files."""
    order: tuple[str, str, str] = ("offset", "variance", "gain")
    """Which map is which in `stack`."""
    transpose: bool = False
    """Swap rows and columns of the maps, where they were saved the other way round."""
    roi: tuple[int, int, int, int] | None = None
    """Where the frames lie on maps of more pixels than they have: x, y, width, height. Not given:
    where camera or movie state their region on the chip, there."""


class EachCameraSettings(Settings):
    """One of several cameras whose frames lie side by side; what it leaves open is as in `camera`.

    Values as in `CameraSettings`, of this camera alone.
    """

    size: tuple[int, int] | None = None
    """Width and height of its part of a frame. Not given: as the cameras or the movies state."""
    offset_adu: float | None = Field(default=None, ge=0, le=65535)
    """Camera value in the dark."""
    e_per_adu: float | None = Field(default=None, gt=0, le=1e6)
    """Electrons per ADU."""
    em_gain: float | None = Field(default=None, ge=1, le=1e6)
    """Electron multiplication."""
    read_noise_e: float | None = Field(default=None, ge=0, le=1e6)
    """RMS read noise in electrons before EM gain is divided out."""
    maps: CameraMaps = CameraMaps()
    """Per-pixel offset, gain and variance of this camera."""


class CameraSettings(Settings):
    """Which camera, and how its values become photons."""

    driver: str = "micromanager"
    """Entry point of group `rtsmlm.camera`: micromanager, replay, or one of your own."""
    offset_adu: float | None = Field(default=None, ge=0, le=65535)
    """Camera value in the dark. Not given: what the camera or the file states, else 100."""
    e_per_adu: float | None = Field(default=None, gt=0, le=1e6)
    """Electrons per ADU. Not given: what the camera or the file states, else 1."""
    em_gain: float | None = Field(default=None, ge=1, le=1e6)
    """Electron multiplication, 1 without. Not given: as stated, else 1."""
    read_noise_e: float | None = Field(default=None, ge=0, le=1e6)
    """RMS read noise in electrons before EM gain is divided out. Not given: as stated, else 1.6."""
    pixel_nm: float | None = Field(default=None, gt=0, le=1e6)
    """Pixel side in the sample plane. Not given: as stated, else 100."""
    maps: CameraMaps = CameraMaps()
    """Per-pixel offset, gain and variance; of several cameras, maps of the whole frame."""
    wrong_pixels: Literal["auto", "off"] | Path = "auto"
    """Pixels that are hot, flicker or are dead: found in the first frames and masked (auto), left
    as they are (off), or those of a wrong_pixels.csv, as a run leaves one."""
    estimate: bool = True
    """Take gain and dark value from the noise of the frames where nothing states them; without it
    100 ADU and one electron per ADU are assumed."""
    each: tuple[EachCameraSettings, ...] = ()
    """Of several cameras side by side, what differs between them, from left to right."""


class AcquisitionSettings(Settings):
    """How the camera is run."""

    exposure_ms: float | None = Field(default=None, gt=0, le=LONGEST_S * 1e3)
    """Exposure per frame; not given leaves what the camera has set."""
    frames: int | None = Field(default=None, gt=0)
    """Stop after so many frames; not given runs until stopped."""
    seconds: float | None = Field(default=None, gt=0, le=LONGEST_S)
    """Stop after so long, at most 30 days; not given runs until stopped."""
    stall_timeout_s: float = Field(default=10.0, gt=0, le=LONGEST_S)
    """A camera silent for longer (and for longer than ten exposures) is an error."""


class MicroManagerSettings(Settings):
    """The Micro-Manager core."""

    config: str = "sim_microscope.cfg"
    """Configuration file: a path, or the name of one that ships with rtsmlm."""
    python_modules: tuple[str, ...] = ()
    """Modules of your own whose devices the configuration may load by `#py pyDevice` lines, such as
    labname.devices, with what lies in them. Those of rtsmlm need no mention; all others are
    refused, since to import a module is to run it."""
    camera: str | None = None
    """Label of the camera device; not given takes the core's current camera. A Multi Camera joins
    several: frames of the same number are laid side by side into one."""
    cameras: tuple[str, ...] = ()
    """Labels of the cameras that a Multi Camera joins, from left to right. Not given: in the order
    of its channels."""
    adapter_paths: tuple[Path, ...] = ()
    """Where the device adapters lie; empty lets pymmcore-plus find Micro-Manager."""
    properties: dict[str, str | float | int | bool] = Field(default_factory=dict)
    """Device properties set before the run, as "Device.Property" = value, in this order."""
    roi: tuple[int, int, int, int] | None = None
    """Region of interest on the chip: x, y, width, height; of several cameras, on each."""
    rois: dict[str, tuple[int, int, int, int]] = Field(default_factory=dict)
    """Region of interest of single cameras by their label, instead of `roi`; of one size."""
    circular_buffer_mb: int = Field(default=512, gt=0)
    """Memory of the core's circular buffer; at least three seconds of frames are good."""
    frame_number_tag: str | None = None
    """Metadata tag that holds the camera's own frame number; not given tries the known ones."""

    @field_validator("cameras")
    @classmethod
    def _several(cls, cameras: tuple[str, ...]) -> tuple[str, ...]:
        if len(cameras) == 1 or len(set(cameras)) < len(cameras):
            raise ValueError(
                f"micromanager.cameras is {list(cameras)}; name two or more cameras, each once, "
                "or leave it out"
            )
        return cameras


class ReplaySettings(Settings):
    """A recording instead of a camera."""

    movie: Path | None = None
    """The recording, of any format that `reconstruct` reads."""
    timing: Literal["original", "fast", "follow"] = "original"
    """Frames at the intervals of the recording, as fast as they are taken, or as they come in a
    file that another program is still writing (follow)."""
    idle_s: float = Field(default=10.0, gt=0, le=LONGEST_S)
    """With follow: the recording has ended when nothing has come for so long."""


class MovieSettings(Settings):
    """What a movie file does not state itself."""

    height: int | None = Field(default=None, gt=0)
    """Rows of a headerless file."""
    width: int | None = Field(default=None, gt=0)
    """Columns of a headerless file."""
    dtype: str | None = None
    """Type of a headerless file, as numpy writes it: <u2, >u2, ... Of a file that states its type,
    one of the same size that replaces it: <u2 where unsigned values were stored as signed."""
    strict: bool = False
    """Refuse a movie of which anything differs: frames that are stated and not there, pages or
    files that are left out, metadata that contradict each other."""
    side_by_side: bool = False
    """Movies that are given together are those of several cameras, from left to right, and not
    parts of one recording."""
