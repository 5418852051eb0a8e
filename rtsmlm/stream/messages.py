"""The JSON messages of the stream as records: what a run states of itself, its density, its status.

The sender builds them, a receiver reads them with `read_message`: once, at the border. What is
behind has attributes and types. A number that is not known is NaN here and null in the JSON. Values
that a newer version adds are ignored; one that is missing or damaged is a `FileFormatError`. Texts
are printable: no name that a run sends can act on a terminal.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from rtsmlm.errors import FileFormatError
from rtsmlm.protocols import Quantity
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.stream.foreign_json import harmless
from rtsmlm.stream.message import Message, NotNegative, Number, Positive
from rtsmlm.stream.settings_part import SettingsPart


class LoopMessage(Message):
    """The feedback loop at one moment."""

    laser: str
    unit: str
    """Of all powers here: mW, %, V or us."""
    power: Number
    """Last power sent to the laser; 0 is off."""
    cap: Number
    wanted: Number
    """What the law asks for; the same as `power` once the laser follows."""
    armed: bool
    tripped: str | None
    """Why the guard has switched the laser off; None where it has not."""
    state: str
    dose: Number
    """Power times seconds so far."""
    target_per_um2: Number
    powers: dict[str, Number]
    """Of every laser, in its own unit."""
    not_dark: tuple[str, ...] = ()
    """Lasers that were switched off and are not confirmed dark."""
    data_age_s: Number = math.nan
    """Age of the newest estimate; NaN before the first."""
    seen_dark: bool = False
    """Every laser of an armed run is off, and was seen dark."""


class ValidityMessage(Message):
    """Whether PSF, camera and localizer fit the data, and the figures behind that."""

    model_config = ConfigDict(frozen=True, extra="allow")

    verdict: str = ""
    remark: str = ""
    """Why the PSF cannot be judged; empty where it is."""
    findings: tuple[str, ...] = ()


class ResolutionMessage(Message):
    """The resolution as the run itself measures it."""

    frame: int = -1
    """Newest frame that counts; -1 before the first measurement."""
    resolution_nm: Number = math.nan
    """By Fourier ring correlation (FRC)."""
    decorrelation_nm: Number = math.nan
    """By decorrelation analysis of the image."""
    nyquist_nm: Number = math.nan
    """What the density of localizations allows at best."""
    nena_nm: Number = math.nan
    """Precision of the newest localizations, by those that repeat from frame to frame (NeNA)."""


class HoldMessage(Message):
    """The set point of stages that hold the sample against its drift."""

    mode: str = "monitor"
    """move, or monitor: nothing is moved."""
    set_point_nm: dict[str, Number] = Field(default_factory=dict)
    """By axis, from where the stage stood at the start: sent, or what would be sent."""
    state: dict[str, str] = Field(default_factory=dict)
    """By axis: what it does now, as one clause."""


NoticeLevel: TypeAlias = Literal["information", "warning", "error"]


class NoticeMessage(Message):
    """A sentence on a run."""

    time_s: Number = math.nan
    """Seconds since 1970, UTC; NaN where it is not known."""
    level: NoticeLevel = "warning"
    text: str


class StatusMessage(Message):
    """A run at one moment."""

    run_id: str = ""
    is_final: bool = False
    """The files of the run are written: these counts are those of `ledger.json`."""
    totals: LedgerTotals
    frames_per_s: Number
    localizations: int
    emitters_per_frame: Number
    p50_ms: Number
    """Latency of the run from the end of the exposure to published, as the next."""
    p99_ms: Number
    recent_p50_ms: Number = math.nan
    """Latency of the last ten seconds, as the next."""
    recent_p99_ms: Number = math.nan
    backlog: int
    """Frames that wait for the localizer."""
    newest_age_s: Number = math.nan
    """Age of the newest localized frame, from the end of its exposure."""
    recorder_backlog: int
    """Frames on their way to disk."""
    model: str
    """The verdict of the validity meter as a short text; empty where it is off."""
    loop: LoopMessage | None
    """None where no laser is steered."""
    latency_ms: dict[str, dict[str, Number]]
    """Percentiles by stage."""
    validity: ValidityMessage
    restarts: int = 0
    """Of the analysis process."""
    saturated_pixels: NotNegative = 0
    """Pixels at the ceiling of the camera so far, summed over all frames."""
    recording: bool
    """Whether raw frames are written."""
    disk_free_mb: Number
    disk_mb_per_s: Number
    exposure_ms: Number
    resolution: ResolutionMessage | None = None
    """None where the run does not measure it."""
    drift: dict[str, Number] = Field(default_factory=dict)
    """Drift of the sample by axis, as `x_nm`; empty while it is not known."""
    hold: HoldMessage | None = None
    """None where no stage holds anything."""
    blinking: dict[str, Number] = Field(default_factory=dict)
    """How emitters blink, as `on_time_frames`, see `statistics.json`; what is not known is left
    out."""
    warnings: tuple[str, ...]
    """All failures and warnings so far, in their order."""
    notices: tuple[NoticeMessage, ...] = ()
    """The newest of them, and what went as it was wanted, with time and level."""


class DensityMessage(Message):
    """An estimate of the density, as a listener may rely on it: part of `DensityEstimate`."""

    run_id: str = ""
    last_frame: int
    t_exposure_end_ns: int | None = None
    """When the exposure of the last frame ended; None where that is not known."""
    mean_per_um2: Number
    std_per_um2: Number
    missed_std_per_um2: Number = 0.0
    local_per_um2: Number = math.nan
    target_per_um2: Number = math.nan
    """Only of a run folder."""
    powers: dict[str, Number] = Field(default_factory=dict)
    """Of each laser by name, in its own unit; only of a run folder."""
    power_frame: int | None = None
    """Frame that was exposed when these powers were set; None where that is not known."""


class BatchMessage(Message):
    """The header of a batch of rows."""

    run_id: str = ""
    seq: NotNegative
    """Number of the batch, from 0; a gap is what a slow subscriber missed."""
    first_frame: int
    last_frame: int
    n_frames: NotNegative
    n_rows: NotNegative


class FrameMessage(Message):
    """The header of a camera frame."""

    run_id: str = ""
    index: int
    shape: tuple[int, int]
    """Height and width after binning."""
    binning: Positive
    """Camera pixels a side that went into one."""


class LayerMessage(Message):
    """The header of an image that a network predicts, as far as it has grown."""

    run_id: str = ""
    name: str
    """Of the model."""
    version: str = ""
    quantity: Quantity = "prediction"
    n_frames: NotNegative
    """That it is made of so far; a slow network sees a part of the frames."""
    n_localizations: NotNegative = 0
    """That it is made of so far, where it is made of localizations."""
    shape: tuple[Positive, Positive]
    """Height and width."""
    pixel_nm: Annotated[float, Field(gt=0)]
    """Side of a pixel; the corner of the first one is that of the first camera pixel."""
    step: Annotated[float, Field(gt=0)]
    """What one of a pixel stands for."""


class EndMessage(Message):
    """The end of the run."""

    run_id: str = ""
    localizations: int = 0
    """Rows of the whole table."""


class HistoryMessage(Message):
    """The header of an answer of the history."""

    run_id: str = ""
    size: NotNegative
    """Bytes of the table that are there."""
    generation: int
    """Rises whenever the table was cut."""


class RunMessage(Message):
    """What a run states of itself in its first message."""

    run: str
    run_id: str = ""
    """Number of the run, in all its messages; empty where a folder is read."""
    shape: tuple[Positive, Positive]
    """Height and width of a frame in camera pixels."""
    pixel_nm: Annotated[float, Field(gt=0)]
    """Camera pixel in the sample plane."""
    settings: SettingsPart = SettingsPart()
    is_over: bool = False
    """All that comes is the final status."""
    history_port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    """Where earlier rows can be had (`stream.history`)."""


class FirstMessage(Message):
    """What a subscriber needs of the first message; the rest is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    run_id: str
    arrow_schema: str
    """Schema of the batches: a base64 Arrow IPC message."""


class LastMessage(Message):
    """What a subscriber needs of the last message; the rest is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    run_id: str


M = TypeVar("M", bound=Message)


def read_message(kind: type[M], data: bytes | str, what: str) -> M:
    """Read the JSON of a message.

    Parameters
    ----------
    kind
        Record to make.
    data
        A JSON object.
    what
        Names it in the error, as `the status of the run`.

    Raises
    ------
    FileFormatError
        If a value is missing or of another type, in one sentence.
    """
    try:
        text = harmless(data)
    except ValueError as error:
        raise FileFormatError(f"{what} cannot be read: {error}; it is damaged") from error
    try:
        return kind.model_validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(str(part) for part in found["loc"])
        reason = found["msg"][:1].lower() + found["msg"][1:]
        raise FileFormatError(
            f"{what} cannot be read: {f'{place}: ' if place else ''}{reason}; "
            "it is damaged, or of another version of rtsmlm"
        ) from error
