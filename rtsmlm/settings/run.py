"""All settings and every default: one frozen section per part, read from TOML.

Unknown keys are errors, units stand in the names, `configs/` holds only what differs from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from rtsmlm.settings.base import LONGEST_S, Settings
from rtsmlm.settings.camera import (
    AcquisitionSettings,
    CameraSettings,
    MicroManagerSettings,
    MovieSettings,
    ReplaySettings,
)
from rtsmlm.settings.channels import ChannelsSettings
from rtsmlm.settings.drift import DriftSettings
from rtsmlm.settings.experiment import ExperimentSettings
from rtsmlm.settings.feedback import FeedbackSettings
from rtsmlm.settings.hil import HilSettings
from rtsmlm.settings.lasers import LaserSettings, StageSettings
from rtsmlm.settings.linking import LinkingSettings
from rtsmlm.settings.names import check_folder_name
from rtsmlm.settings.psf import PsfSettings
from rtsmlm.settings.safety import SafetySettings
from rtsmlm.settings.spectrum import SpectrumSettings


def is_written_as_path(name: str) -> bool:
    """Tell whether the name of a model is the path of its folder: it has a separator."""
    return "/" in name or "\\" in name


def absolute_if_path(name: str) -> str:
    """Return the name of a model as it is, and the path of a model folder made absolute."""
    return str(Path(name).expanduser().absolute()) if is_written_as_path(name) else name


class LocalizerSettings(Settings):
    """Which localizer, and how it is used."""

    name: str = "auto"
    """A fit (gaussian-mle, astigmatic-mle, spline-mle, elliptical-lsq), a model by its name
    (`rtsmlm models` lists them), or the path of a model folder. auto takes the network for this
    PSF, and a fit for a PSF that no network was trained for."""
    engine: Literal["auto", "tensorrt", "torch", "openvino"] = "auto"
    """Networks: what they run on. auto takes the fastest that this machine has."""
    precision: Literal["f32", "f16", "bf16", "int8"] | None = None
    """Networks: how exactly the engine computes. Not given takes the fastest that finds emitters as
    well as f32 does: on a CPU bf16 with AMX, int8 with VNNI."""
    background: str | None = None
    """Fits of boxes, and the fit of lone emitters after a network (`refine`): name or folder of a
    network that states the background of each box (task box-background), as `bgnet`, so that the
    fit need not take it for flat."""
    colour: str | None = None
    """Name or folder of a network that tells the dye of each row (task box-classes): from the shape
    of its spot, or from the spectrum beside it (`spectrum`). It fills the column channel."""
    threshold: float = Field(default=5.0, gt=0)
    """Detection threshold in standard deviations of the filtered noise."""
    box_px: int | None = Field(default=None, ge=5, le=31)
    """Side of the fitted box, odd; not given takes it from the PSF width."""
    max_iterations: int = Field(default=30, ge=1)
    """Newton steps per fit."""
    fit_sigma: bool = False
    """Fit the PSF width of every spot too, rather than holding it at psf.sigma_nm."""
    min_probability: float | None = Field(default=None, gt=0, lt=1)
    """Networks: rows less probable are not reported. Not given takes the model's own value."""
    refine: bool = True
    """Networks: fit emitters once more, by maximum likelihood, where they were found: lone ones,
    and those that overlap together, of which some turn out to be two. A movie of 0.3 per um2 and
    more takes 1.4 to 3 times as long for it."""
    fit_first: bool = True
    """The flagship on a CPU: fit lone emitters first and ask the network about the rest of a frame,
    which is several times as fast in sparse frames; the column from_network says which of them
    spoke. false lets the network look at whole frames."""

    @field_validator("name", "background", "colour")
    @classmethod
    def _absolute(cls, name: str | None) -> str | None:
        """Make a path absolute: `run.toml` is read again from another folder."""
        return None if name is None else absolute_if_path(name)


class PipelineSettings(Settings):
    """The analysis process and the ring that feeds it."""

    process: bool = True
    """Localize in a process of its own; false runs it in a thread of this one."""
    ring_mb: float = Field(default=128, gt=0, le=1e6)
    """Shared memory between acquisition and analysis."""
    when_behind: Literal["skip", "wait"] = "skip"
    """Ring full: record the frame and catch up later, or hold the camera's frames back."""
    batch_frames: int = Field(default=64, ge=1)
    """Most frames handed to the localizer at once; fewer when there is no backlog."""
    start_timeout_s: float = Field(default=180, gt=0, le=LONGEST_S)
    """Compiling the fitter takes long on the very first run."""
    heartbeat_timeout_s: float = Field(default=10, gt=0, le=LONGEST_S)
    """An analysis without a heartbeat for longer counts as frozen and is restarted."""
    validity: bool = True
    """Watch whether PSF, camera and localizer fit the data, on a sample of the spots."""
    max_restarts: int = Field(default=3, ge=0)
    """Give up after so many restarts; the recording goes on, the rest is caught up."""


class RecordSettings(Settings):
    """Raw frames on disk."""

    raw: bool = True
    """Write raw frames to raw.ome.zarr; without it skipped frames cannot be caught up."""
    buffer_mb: float = Field(default=512, gt=0, le=1e6)
    """Memory between camera and disk."""
    chunk_mb: float = Field(default=32, gt=0, le=1e3)
    """Size of a chunk file: whole frames, about this much. Frames are on disk at once whatever it
    is; smaller chunks make more files, larger ones are slower to look at in other programs."""
    reserve_mb: float = Field(default=512, ge=0, le=1e6)
    """Free space on the disk that raw frames leave to table, ledger and report: the recording
    pauses there, and continues when there is more."""


class StreamSettings(Settings):
    """The ZeroMQ stream of results."""

    enabled: bool = True
    """Publish localizations while they come."""
    address: str | None = None
    """Where to bind, as tcp://127.0.0.1:5757; where that is taken, no run starts. Port * takes any
    free one. Not given takes the first free port from 5757 on, of this machine alone. Other hosts
    need CURVE keys."""
    curve_keys: Path | None = None
    """Folder with server.key_secret and the public keys of those allowed, for other hosts."""


class ResultsSettings(Settings):
    """What is left after a run."""

    out: Path = Path("out")
    """Folder in which every run makes its own."""
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run folder; not given takes date and time."""
    export: tuple[
        Literal["csv", "picasso", "parquet", "smappy", "smap", "decode", "smlm"], ...
    ] = ()
    """Formats written at the end beside localizations.arrows."""
    image_models: tuple[str, ...] = ()
    """Names or folders of networks that make an image of frames or localizations, as `deepstorm`;
    each leaves a layer of its own beside the image, which grows while the run goes on."""
    structures: tuple[str, ...] = ()
    """What each channel shows, in their order, as `filaments`: networks that complete images of few
    localizations know one or some structures, and refuse all others."""
    widefield: Path | None = None
    """Image of the same field in camera pixels (.tif or .npy), for networks that take one."""
    sinks: tuple[str, ...] = ()
    """Sinks of your own that get every row while it comes: entry points of group `rtsmlm.sink`."""
    image_pixel_nm: float = Field(default=10.0, gt=0)
    """Pixel side of the super-resolution image."""
    catch_up: bool = True
    """Localize frames that were skipped live from the raw file after the run, and complete image
    layers with the frames that their networks had no time for."""

    @field_validator("name")
    @classmethod
    def _folder_name(cls, name: str | None) -> str | None:
        if name is not None:
            check_folder_name(name)
        return name

    @field_validator("image_models", "structures", mode="before")
    @classmethod
    def _one_or_more(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names

    @field_validator("widefield")
    @classmethod
    def _whole_path(cls, path: Path | None) -> Path | None:
        return None if path is None else path.absolute()

    @field_validator("image_models")
    @classmethod
    def _absolute(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(absolute_if_path(name) for name in names)


class RunSettings(Settings):
    """All sections of a run."""

    experiment: ExperimentSettings = ExperimentSettings()
    camera: CameraSettings = CameraSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    micromanager: MicroManagerSettings = MicroManagerSettings()
    replay: ReplaySettings = ReplaySettings()
    movie: MovieSettings = MovieSettings()
    psf: PsfSettings = PsfSettings()
    channels: ChannelsSettings = ChannelsSettings()
    spectrum: SpectrumSettings = SpectrumSettings()
    localizer: LocalizerSettings = LocalizerSettings()
    pipeline: PipelineSettings = PipelineSettings()
    record: RecordSettings = RecordSettings()
    drift: DriftSettings = DriftSettings()
    linking: LinkingSettings = LinkingSettings()
    stream: StreamSettings = StreamSettings()
    results: ResultsSettings = ResultsSettings()
    lasers: dict[str, LaserSettings] = Field(default_factory=dict)
    """Lasers by a name of your own: [lasers.activation], [lasers.readout]."""
    stages: dict[str, StageSettings] = Field(default_factory=dict)
    """Stages that may be moved, by a name of your own."""
    feedback: FeedbackSettings = FeedbackSettings()
    safety: SafetySettings = SafetySettings()
    hil: HilSettings = HilSettings()
    run: dict[str, Any] = Field(default_factory=dict, exclude=True)
    """What a finished run noted in its run.toml (versions, machine); not read."""

    @model_validator(mode="after")
    def _names_of_channels(self) -> RunSettings:
        if self.localizer.colour is None and not self.channels.fractions:
            self.channels.check_names_of_views()
        return self

    @model_validator(mode="after")
    def _stages_with_direction(self) -> RunSettings:
        if self.drift.hold == "move":
            for name, stage in self.stages.items():
                if stage.direction is None:
                    raise ValueError(
                        f'drift.hold is "move", but stages.{name}.direction is not stated: 1 where '
                        f"{stage.axis}_nm of the localizations rises as the stage moves up, else -1"
                    )
        return self

    @model_validator(mode="after")
    def _known_laser(self) -> RunSettings:
        name = self.feedback.laser
        if name is not None and name not in self.lasers:
            there = ", ".join(self.lasers) or "none"
            raise ValueError(f"feedback.laser is {name!r}, but [lasers] has {there}")
        return self
