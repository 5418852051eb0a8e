"""All settings and every default: one frozen section per part, read from TOML.

Unknown keys are errors, units stand in the names, `configs/` holds only what differs from here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from rtsmlm.errors import ConfigError
from rtsmlm.hil_settings import HilSettings
from rtsmlm.laser_settings import FeedbackSettings, LaserSettings, StageSettings
from rtsmlm.settings import Settings
from rtsmlm.width_curves import WidthCurve, WidthCurves


class CameraMaps(Settings):
    """Per-pixel sCMOS calibration, as .npy or TIFF files of the frame's size."""

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


class CameraSettings(Settings):
    """Which camera, and how its values become photons."""

    driver: str = "micromanager"
    """Entry point of group `rtsmlm.camera`: micromanager, replay, or one of your own."""
    offset_adu: float | None = Field(default=None, ge=0)
    """Camera value in the dark. Not given: what the camera or the file states, else 100."""
    e_per_adu: float | None = Field(default=None, gt=0)
    """Electrons per ADU. Not given: what the camera or the file states, else 1."""
    em_gain: float | None = Field(default=None, ge=1)
    """Electron multiplication, 1 without. Not given: as stated, else 1."""
    read_noise_e: float | None = Field(default=None, ge=0)
    """RMS read noise in electrons before EM gain is divided out. Not given: as stated, else 1.6."""
    pixel_nm: float | None = Field(default=None, gt=0)
    """Pixel side in the sample plane. Not given: as stated, else 100."""
    maps: CameraMaps = CameraMaps()
    """Per-pixel offset, gain and variance."""


class AcquisitionSettings(Settings):
    """How the camera is run."""

    exposure_ms: float | None = Field(default=None, gt=0)
    """Exposure per frame; not given leaves what the camera has set."""
    frames: int | None = Field(default=None, gt=0)
    """Stop after so many frames; not given runs until stopped."""
    seconds: float | None = Field(default=None, gt=0)
    """Stop after so long."""
    stall_timeout_s: float = Field(default=10.0, gt=0)
    """A camera silent for longer (and for longer than ten exposures) is an error."""


class MicroManagerSettings(Settings):
    """The Micro-Manager core."""

    config: str = "sim_microscope.cfg"
    """Configuration file: a path, or the name of one that ships with rtsmlm."""
    camera: str | None = None
    """Label of the camera device; not given takes the core's current camera."""
    adapter_paths: tuple[Path, ...] = ()
    """Where the device adapters lie; empty lets pymmcore-plus find Micro-Manager."""
    properties: dict[str, str | float | int | bool] = Field(default_factory=dict)
    """Device properties set before the run, as "Device.Property" = value, in this order."""
    roi: tuple[int, int, int, int] | None = None
    """Region of interest on the chip: x, y, width, height."""
    circular_buffer_mb: int = Field(default=512, gt=0)
    """Memory of the core's circular buffer; at least three seconds of frames are good."""
    frame_number_tag: str | None = None
    """Metadata tag that holds the camera's own frame number; not given tries the known ones."""


class ReplaySettings(Settings):
    """A recording instead of a camera."""

    movie: Path | None = None
    """The recording, of any format that `reconstruct` reads."""
    timing: Literal["original", "fast"] = "original"
    """Frames at the intervals of the recording, or as fast as they are taken."""


class MovieSettings(Settings):
    """What a movie file does not tell itself."""

    height: int | None = Field(default=None, gt=0)
    """Rows of a headerless file."""
    width: int | None = Field(default=None, gt=0)
    """Columns of a headerless file."""
    dtype: str | None = None
    """Type of a headerless file, as numpy writes it: <u2, >u2, ..."""


class WidthCurveSettings(Settings):
    """Width of an astigmatic PSF along one axis: see `rtsmlm.width_curves.WidthCurve`."""

    sigma0_nm: float = Field(gt=0)
    """Width in focus."""
    focus_nm: float
    """z of the focus of this axis."""
    depth_nm: float = Field(gt=0)
    """Distance from focus at which the width has grown by the square root of two."""
    cubic: float = 0.0
    quartic: float = 0.0


class AstigmatismSettings(Settings):
    """Widths of an astigmatic PSF against z, as `rtsmlm calibrate psf --astigmatic` writes them."""

    z_min_nm: float
    """Where the curves begin; nearer to the objective no z is stated."""
    z_max_nm: float
    x: WidthCurveSettings
    y: WidthCurveSettings

    @model_validator(mode="after")
    def _ascending(self) -> AstigmatismSettings:
        if not self.z_min_nm < self.z_max_nm:
            raise ValueError(f"z_min_nm {self.z_min_nm} must lie below z_max_nm {self.z_max_nm}")
        return self

    def curves(self) -> WidthCurves:
        """Return the curves."""
        x, y = WidthCurve(**self.x.model_dump()), WidthCurve(**self.y.model_dump())
        return WidthCurves(x=x, y=y, z_min_nm=self.z_min_nm, z_max_nm=self.z_max_nm)


class PsfSettings(Settings):
    """The point-spread function."""

    sigma_nm: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Standard deviation of the Gaussian PSF; auto measures it on the first frames."""
    astigmatism: AstigmatismSettings | None = None
    """Curves of an astigmatic PSF, from beads; with them emitters get a z."""

    @property
    def known_sigma_nm(self) -> float | None:
        """The width that is known before any frame is seen; None if it must be measured.

        With curves it is the width that is typical of them, for what needs a single number.
        """
        if self.sigma_nm != "auto":
            return self.sigma_nm
        return None if self.astigmatism is None else self.astigmatism.curves().mean_nm()


class LocalizerSettings(Settings):
    """Which localizer, and how it is used."""

    name: str = "auto"
    """Entry point of group `rtsmlm.localizer`: flagship-2d, flagship-2d-fast, flagship-astig,
    gaussian-mle, astigmatic-mle, elliptical-lsq. auto takes the network for this PSF, and a fit
    for a PSF that no network was trained for."""
    engine: Literal["auto", "tensorrt", "torch", "openvino"] = "auto"
    """Networks: what they run on. auto takes the fastest that this machine has."""
    precision: Literal["f32", "f16", "bf16", "int8"] | None = None
    """Networks: how exactly the engine computes. Not given takes the fastest that finds emitters as
    well as f32 does: on a CPU bf16 with AMX, int8 with VNNI."""
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
    """Networks: fit lone emitters once more, by maximum likelihood, where they were found."""


class AnalysisSettings(Settings):
    """The analysis process and the ring that feeds it."""

    process: bool = True
    """Localize in a process of its own; false runs it in a thread of this one."""
    ring_mb: float = Field(default=128, gt=0)
    """Shared memory between acquisition and analysis."""
    when_behind: Literal["skip", "wait"] = "skip"
    """Ring full: record the frame and catch up later, or hold the camera's frames back."""
    batch_frames: int = Field(default=16, ge=1)
    """Most frames handed to the localizer at once; fewer when there is no backlog."""
    start_timeout_s: float = Field(default=180, gt=0)
    """Compiling the fitter takes long on the very first run."""
    heartbeat_timeout_s: float = Field(default=10, gt=0)
    """Analysis silent for longer is taken for frozen, ended and restarted."""
    validity: bool = True
    """Watch whether PSF, camera and localizer fit the data, on a sample of the spots."""
    max_restarts: int = Field(default=3, ge=0)
    """Give up after so many restarts; the recording goes on, the rest is caught up."""


class RecordSettings(Settings):
    """Raw frames on disk."""

    raw: bool = True
    """Write raw frames to raw.ome.zarr; without it skipped frames cannot be caught up."""
    buffer_mb: float = Field(default=512, gt=0)
    """Memory between camera and disk."""
    chunk_mb: float = Field(default=4, gt=0)
    """Size of a chunk file: whole frames, about this much."""


class StreamSettings(Settings):
    """The ZeroMQ stream of results."""

    enabled: bool = True
    """Publish localizations while they come."""
    address: str = "tcp://127.0.0.1:5757"
    """Where to bind. Port * takes any free one. Other hosts need CURVE keys."""
    curve_keys: Path | None = None
    """Folder with server.key_secret and the public keys of those allowed, for other hosts."""


class ResultsSettings(Settings):
    """What is left after a run."""

    out: Path = Path("out")
    """Folder in which every run makes its own."""
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run folder; not given takes date and time."""
    export: tuple[Literal["csv", "picasso", "parquet"], ...] = ()
    """Formats written at the end beside localizations.arrows."""
    image_pixel_nm: float = Field(default=10.0, gt=0)
    """Pixel side of the super-resolution image."""
    catch_up: bool = True
    """Localize frames that were skipped live from the raw file after the run."""


class RunSettings(Settings):
    """All sections of a run."""

    camera: CameraSettings = CameraSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    micromanager: MicroManagerSettings = MicroManagerSettings()
    replay: ReplaySettings = ReplaySettings()
    movie: MovieSettings = MovieSettings()
    psf: PsfSettings = PsfSettings()
    localizer: LocalizerSettings = LocalizerSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    record: RecordSettings = RecordSettings()
    stream: StreamSettings = StreamSettings()
    results: ResultsSettings = ResultsSettings()
    lasers: dict[str, LaserSettings] = Field(default_factory=dict)
    """Lasers by a name of your own: [lasers.activation], [lasers.readout]."""
    stages: dict[str, StageSettings] = Field(default_factory=dict)
    """Stages that may be moved, by a name of your own."""
    feedback: FeedbackSettings = FeedbackSettings()
    hil: HilSettings = HilSettings()
    run: dict[str, Any] = Field(default_factory=dict, exclude=True)
    """What a finished run noted in its run.toml (versions, machine); not read."""

    @model_validator(mode="after")
    def _known_laser(self) -> RunSettings:
        name = self.feedback.laser
        if name is not None and name not in self.lasers:
            there = ", ".join(self.lasers) or "none"
            raise ValueError(f"feedback.laser is {name!r}, but [lasers] has {there}")
        return self


def packaged(name: str) -> Path:
    """Return the path of a file of `rtsmlm.configs`.

    Raises
    ------
    ConfigError
        If no such file ships with rtsmlm.
    """
    folder = Path(str(resources.files("rtsmlm.configs")))
    path = folder / name
    if Path(name).name != name or not path.is_file():
        there = sorted(p.name for p in folder.iterdir() if p.suffix in {".toml", ".cfg"})
        raise ConfigError(f"no packaged configuration {name!r}; there are {', '.join(there)}")
    return path


def load(
    path: Path | Iterable[Path] | None = None,
    overrides: Iterable[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> RunSettings:
    """Read a run configuration and apply overrides.

    Parameters
    ----------
    path
        TOML file, or several, of which later ones win; a bare name that is not a file here is
        looked up among the packaged ones. None takes all defaults.
    overrides
        `section.key=value` texts; the value is read as TOML, and as text where it is no TOML.
    defaults
        Sections that differ for one command; the files win over them.

    Raises
    ------
    ConfigError
        If a file cannot be read or a setting is unknown or out of its limits.
    """
    data: dict[str, Any] = {section: dict(keys) for section, keys in (defaults or {}).items()}
    paths = [] if path is None else [path] if isinstance(path, Path) else list(path)
    files = [p if p.is_file() else packaged(p.name) if p.name == str(p) else p for p in paths]
    for file in files:
        try:
            file_data = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the configuration {file}: {error}") from error
        _merge(data, _with_absolute_paths(file_data, file.parent))
    for text in overrides:
        _merge(data, _parse_override(text))
    return from_mapping(data, ", ".join(map(str, files)) or "the defaults")


def load_over(settings: RunSettings, overrides: Iterable[str]) -> RunSettings:
    """Return settings with some of them changed, as `load` does with `overrides`.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of its limits.
    """
    texts = tuple(overrides)
    if not texts:
        return settings
    data = settings.model_dump(mode="python", exclude_none=True)
    for text in texts:
        _merge(data, _parse_override(text))
    return from_mapping(data, ", ".join(texts))


def from_mapping(data: Mapping[str, Any], source: str = "the settings") -> RunSettings:
    """Validate plain data into settings; `source` names it in the error."""
    try:
        return RunSettings.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg'].lower()} (got {e['input']!r})"
            for e in error.errors()
        ]
        raise ConfigError(f"wrong settings in {source}: " + "; ".join(lines)) from error


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _parse_override(text: str) -> dict[str, Any]:
    name, equals, raw = text.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not equals or len(keys) < 2 or not all(keys):
        raise ConfigError(f"--set {text!r} is not section.key=value, like camera.pixel_nm=108")
    # A device property is "Device.Property": everything after the section's mapping is one key.
    if keys[:2] == ["micromanager", "properties"] and len(keys) > 3:
        keys = [*keys[:2], ".".join(keys[2:])]
    value = None if raw.strip().lower() == "none" else _parse_value(raw)
    result: dict[str, Any] = {keys[-1]: value}
    for key in reversed(keys[:-1]):
        result = {key: result}
    return result


def _parse_value(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        text = raw.strip()
        return [part.strip() for part in text.split(",")] if "," in text else text


def _with_absolute_paths(data: dict[str, Any], base: Path) -> dict[str, Any]:
    """Make the file paths of a configuration relative to the file that names them."""

    def rebase(table: Any, key: str, *, if_there: bool) -> None:
        value = table.get(key) if isinstance(table, dict) else None
        if isinstance(value, str) and ((base / value).is_file() or not if_there):
            table[key] = str((base / value).resolve())

    rebase(data.get("replay"), "movie", if_there=True)
    rebase(data.get("micromanager"), "config", if_there=True)
    camera = data.get("camera")
    for key in ("offset", "gain", "variance", "stack"):
        maps = camera.get("maps") if isinstance(camera, dict) else None
        rebase(maps, key, if_there=False)
    return data
