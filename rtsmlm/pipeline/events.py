"""Events of the analysis process, and what its owner sends it: one frozen record for each.

Between processes a record is one line of JSON: its fields, and its name under ``event``. A number
that is not known is NaN here and ``null`` there. `from_line` gives back an equal record or raises:
an event that one side does not know is an error of the program, never silence.

One more event: a record here, its place in `Event`, and a case in `PipelineSupervisor`.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from rtsmlm.analysis.drift_trace import DriftEstimate
from rtsmlm.errors import PipelineError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.pipeline.start_events import (
    CameraMeasured,
    Informed,
    LocalizerInForce,
    Preparing,
)
from rtsmlm.realtime.latency import LatencySummary, RecentLatency

_MOST_SHOWN = 200
"""Characters of a line that an error repeats."""

# -- from the analysis to its owner ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """All is loaded and compiled: frames may come."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """Results are published."""

    address: str
    """As `tcp://127.0.0.1:5757`."""


@dataclass(frozen=True, slots=True)
class PsfMeasured:
    """The PSF width that is in force, measured on the first frames or assumed."""

    sigma_nm: float
    from_frame: int = 0
    """Frames before this one were localized with a width that was assumed."""
    refined: dict[str, float] = field(default_factory=dict)
    """What else is changed: see `PsfSettings.with_measured`."""


@dataclass(frozen=True, slots=True)
class Localizing:
    """The localizer is compiled: from now on a missing heartbeat means frozen."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of the analysis, a few times a second and at its end."""

    frames: int
    """Localized since this process has started."""
    localizations: int
    latency_ms: LatencySummary
    """Summary of every stage, see `LatencyStages.summary`."""
    validity: dict[str, Any]
    """Figures of the validity meter; empty where it is off."""
    counts: FrameCounts = field(default_factory=FrameCounts)
    """Of the pixels of these frames."""
    recent: RecentLatency = field(default_factory=RecentLatency)
    is_watched: bool = False
    """Whether there is a subscriber to the stream."""
    drift_nm: dict[str, float] = field(default_factory=dict)
    """Newest drift by axis, as `x_nm`; empty while it is not known."""
    drift_block: DriftEstimate = field(default_factory=DriftEstimate)
    """What the newest block of frames states of the drift by itself."""
    blinking: dict[str, float] = field(default_factory=dict)
    """How emitters blink, as in `statistics.json`, without what is not known."""


@dataclass(frozen=True, slots=True)
class DensityMeasured:
    """The emitter density over the frames of one tick."""

    estimate: DensityEstimate
    localizations: int
    """Since this process has started."""


@dataclass(frozen=True, slots=True)
class FramesFailed:
    """Frames that the localizer could not do; frame numbers from `start` up to `stop` - 1."""

    start: int
    stop: int
    reason: str


@dataclass(frozen=True, slots=True)
class Warned:
    """One sentence that the user should read."""

    text: str


@dataclass(frozen=True, slots=True)
class Died:
    """The last event of an analysis that ends by an error."""

    reason: str


Event: TypeAlias = (
    Preparing
    | Ready
    | LocalizerInForce
    | Informed
    | StreamOpened
    | PsfMeasured
    | CameraMeasured
    | Localizing
    | Progress
    | DensityMeasured
    | FramesFailed
    | Warned
    | Died
)

# -- from the process of networks of images to the analysis -------------------------------


@dataclass(frozen=True, slots=True)
class LayerGrown:
    """An image that a network predicts, as far as it has grown; small enough to send."""

    name: str
    """Of the model."""
    version: str
    is_uncertainty: bool
    """Whether these are the standard deviations of what it predicts."""
    n_frames: int
    """That it is made of so far; 0 where it is made of localizations."""
    n_localizations: int
    """That it is made of so far; 0 where it is made of frames."""
    height: int
    width: int
    pixel_nm: float
    """Side of a pixel, after summing what would be too much to send."""
    step: float
    """What one of a pixel stands for."""
    pixels: str
    """Little-endian uint16 row by row, deflated, in base64."""


@dataclass(frozen=True, slots=True)
class LayersOpened:
    """The networks are loaded: frames are taken."""

    names: list[str]


@dataclass(frozen=True, slots=True)
class LayersLeft:
    """The process ends, and these layers of frames are still to be written."""

    names: list[str]


ImageEvent: TypeAlias = LayersOpened | LayerGrown | LayersLeft | Warned

# -- from the owner to the analysis ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublishStatus:
    """Publish the state of the run; only the newest counts."""

    status: dict[str, object]
    """As `session.status.run_message` makes it. The analysis passes it on as it is."""


# -- lines -------------------------------------------------------------------------------

_Record = TypeVar("_Record")
_EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_IMAGE_EVENTS: dict[str, type[ImageEvent]] = {k.__name__: k for k in get_args(ImageEvent)}


def to_line(record: Event | ImageEvent | PublishStatus) -> str:
    """Return a record as one line of JSON, without its end."""
    return json.dumps({"event": type(record).__name__, **_plain(record)})


def from_line(line: str) -> Event:
    """Return the event that a line of the analysis states.

    Raises
    ------
    PipelineError
        If it is no JSON object, if its name is unknown, or if a field is missing, surplus or of
        another type.
    """
    return _event(line, _EVENTS, "analysis process")


def image_event_from_line(line: str) -> ImageEvent:
    """Return the event that a line of the process of networks of images states.

    Raises
    ------
    PipelineError
        As for `from_line`.
    """
    return _event(line, _IMAGE_EVENTS, "process of image networks")


def _event(line: str, kinds: Mapping[str, type[_Record]], sender: str) -> _Record:
    name, data = _name_and_fields(line)
    kind = kinds.get(name)
    if kind is None:
        raise PipelineError(
            f"the {sender} sent the unknown event {name!r}; known are {', '.join(kinds)}"
        )
    return _record(kind, data, name)


def status_from_line(line: str) -> PublishStatus:
    """Return the status that a line of the owner states.

    Raises
    ------
    PipelineError
        As for `from_line`.
    """
    name, data = _name_and_fields(line)
    if name != PublishStatus.__name__:
        raise PipelineError(f"the owner of the analysis sent the unknown message {name!r}")
    return _record(PublishStatus, data, name)


def _plain(record: Any) -> dict[str, object]:
    return {f.name: _plain_value(getattr(record, f.name)) for f in fields(record)}


def _plain_value(value: Any) -> Any:
    if is_dataclass(value):
        return _plain(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _name_and_fields(line: str) -> tuple[str, dict[str, object]]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"this line is no event: {line[:_MOST_SHOWN]!r}") from error
    if not isinstance(data, dict) or not isinstance(name := data.pop("event", None), str):
        raise PipelineError(f"this line is no event: {line[:_MOST_SHOWN]!r}")
    return name, data


def _record(kind: type[_Record], data: Mapping[str, object], name: str) -> _Record:
    """Return a record of plain data.

    Parameters
    ----------
    kind
        The dataclass; its fields are of the types that `_field` knows.
    data
        Its fields.
    name
        What an error calls it.
    """
    hints = get_type_hints(kind)
    if missing := hints.keys() - data.keys():
        raise PipelineError(f"the event {name} lacks {', '.join(sorted(missing))}")
    if surplus := data.keys() - hints.keys():
        raise PipelineError(f"the event {name} has the unknown field {', '.join(sorted(surplus))}")
    return kind(**{key: _field(hint, data[key], f"{name}.{key}") for key, hint in hints.items()})


def _field(hint: Any, value: Any, name: str) -> Any:
    """Return a value as its field wants it."""
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _record(hint, value, name)
    if hint is float and value is None:
        return math.nan
    # A bool is an int for Python, and a whole number in JSON may be meant for a float.
    wanted = {float: (int, float)}.get(hint, get_origin(hint) or hint)
    if (isinstance(value, bool) and hint is not bool) or not isinstance(value, wanted):
        kind = "null" if isinstance(value, types.NoneType) else type(value).__name__
        text = hint.__name__ if isinstance(hint, type) else str(hint)
        raise PipelineError(f"the field {name} is {kind}, not {text}")
    return float(value) if hint is float else value
