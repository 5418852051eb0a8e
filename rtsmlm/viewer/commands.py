"""Commands: what a user of the window can ask of the program that owns the run; no Qt here.

One frozen record per command. Between processes each is one line, a JSON object whose `command` is
the name of the record: `{"command": "SetTarget", "per_um2": 0.1}`. `from_line` is the only parser,
`carry_out` the only place that acts on a command, for `rtsmlm live` and for the plug-in alike.

One more command: a record here, its case in `carry_out`, and what offers it in a panel.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Protocol, TypeAlias, assert_never, get_args

from pydantic import Field, TypeAdapter, ValidationError

from rtsmlm.errors import CommandError, RtsmlmError

_MOST_SHOWN = 80
"""Characters of a damaged line that an error repeats."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LasersOff:
    """Switch all lasers off and latch them; the recording goes on."""


@dataclass(frozen=True, slots=True)
class ResetTrip:
    """Lift the latches after a trip; the lasers stay off."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run in order."""


@dataclass(frozen=True, slots=True)
class SetTarget:
    """Hold another density from now on."""

    per_um2: Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class SetGain:
    """Correct another part of the logarithmic error per tick from now on."""

    gain: Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, slots=True)
class Start:
    """Start the next run with some settings changed, raw recording among them."""

    settings: tuple[str, ...] = ()
    """Texts `section.key=value`."""


@dataclass(frozen=True, slots=True)
class Snap:
    """Take one frame between two runs."""

    settings: tuple[str, ...] = ()
    """As of `Start`."""


@dataclass(frozen=True, slots=True)
class WindowReady:
    """Not a command: the window is drawn and has nothing left to compile."""


@dataclass(frozen=True, slots=True)
class WindowAlive:
    """Not a command: the event loop of the window runs, four times a second."""


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """Not a command: what the window has measured of itself, once a second; NaN is not known."""

    run_id: str
    """Number of the run that it shows."""
    seconds: float
    """For how long it has shown the run."""
    lag_p50_ms: float
    """How late the event loop was, as the next two: a click waits so long."""
    lag_p99_ms: float
    lag_max_ms: float
    pictures_per_s: float
    memory_mb: float
    """Of the process, in RAM."""
    memory_growth_mb_per_min: float
    """Over the last minute."""


@dataclass(frozen=True, slots=True)
class WindowClosed:
    """Not a command: the user has closed the window; one that crashes or is killed sends none."""

    stop: bool
    """Whether the run is to end with it; otherwise it goes on unattended."""


Command: TypeAlias = LasersOff | ResetTrip | Stop | SetTarget | SetGain | Start | Snap
WindowMessage: TypeAlias = Command | WindowReady | WindowAlive | WindowFigures | WindowClosed

_KINDS: dict[str, type[WindowMessage]] = {kind.__name__: kind for kind in get_args(WindowMessage)}
_ADAPTERS: dict[type[WindowMessage], TypeAdapter[WindowMessage]] = {
    kind: TypeAdapter(kind) for kind in _KINDS.values()
}


def to_line(message: WindowMessage) -> str:
    """Return a message as one line of JSON, without the line end."""
    return json.dumps({"command": type(message).__name__, **asdict(message)})


def from_line(line: str) -> WindowMessage:
    """Read a line that `to_line` has made.

    Raises
    ------
    CommandError
        If it is no command, an unknown one, or a value is missing or of the wrong type.
    """
    shown = repr(line.strip()[:_MOST_SHOWN])
    try:
        data = json.loads(line)
    except ValueError as error:
        raise CommandError(f"the window sent {shown}, which is not a line of JSON") from error
    if not isinstance(data, dict) or "command" not in data:
        raise CommandError(f"the window sent {shown}, which does not name a command")
    name = data.pop("command")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise CommandError(f"the window sent the unknown command {name!r}; of another version?")
    if unknown := data.keys() - {field.name for field in fields(kind)}:
        raise CommandError(f"{name} from the window has no value {min(unknown)!r}")
    try:
        return _ADAPTERS[kind].validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise CommandError(f"{name} from the window cannot be used: {_reason(error)}") from error


def _reason(error: ValidationError) -> str:
    found = error.errors()[0]
    field = ".".join(str(part) for part in found["loc"])
    text = found["msg"][:1].lower() + found["msg"][1:]
    got = "" if found["type"].startswith("missing") else f" (got {found['input']!r})"
    return f"{field}: {text}{got}"


def describe(command: Command) -> str:
    """Return the name of a command in words, as `lasers off`."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(command).__name__).lower()


@dataclass(frozen=True, slots=True)
class RunPlace:
    """What the owner of a run tells its window: where the run publishes, and its number."""

    address: str
    run_id: str
    folder: str = ""
    """Path of the run folder; empty where it is not stated."""


_PLACE: TypeAdapter[RunPlace] = TypeAdapter(RunPlace)


def place_to_line(place: RunPlace) -> str:
    """Return a place as one line of JSON, without the line end."""
    return json.dumps(asdict(place))


def place_from_line(line: str) -> RunPlace:
    """Read a line that `place_to_line` has made.

    Raises
    ------
    CommandError
        If it is none.
    """
    try:
        return _PLACE.validate_json(line, strict=True)
    except ValidationError as error:
        raise CommandError(
            f"the owner of the run sent {line[:_MOST_SHOWN]!r}, which names no run"
        ) from error


class Control(Protocol):
    """Takes what is clicked; only the program that started the run offers it."""

    def ask(self, command: Command) -> None:
        """Hand over a command; returns at once and does not raise."""
        ...


class CurrentRun(Protocol):
    """What a command needs of a run that goes on; `session.Session` is one."""

    def lasers_off(self) -> None:
        """Switch all lasers off and latch them."""
        ...

    def reset_trip(self, reason: str) -> None:
        """Lift the latches after a trip."""
        ...

    def set_target(self, per_um2: float) -> None:
        """Hold another density."""
        ...

    def set_gain(self, gain: float) -> None:
        """Take another gain."""
        ...


class RunOwner(Protocol):
    """What starts and ends runs: the loop of `rtsmlm live`, or the plug-in."""

    @property
    def current_run(self) -> CurrentRun | None:
        """The run that goes on; None between two runs."""
        ...

    def start_run(self, settings: Sequence[str]) -> None:
        """Start the next run."""
        ...

    def stop_run(self) -> None:
        """End the run that goes on, in order."""
        ...

    def snap(self, settings: Sequence[str]) -> None:
        """Take one frame."""
        ...


def carry_out(command: Command, owner: RunOwner) -> None:
    """Act on a command.

    Raises
    ------
    RtsmlmError
        If it cannot be carried out now.
    """
    if isinstance(command, Start):
        return owner.start_run(command.settings)
    if isinstance(command, Snap):
        return owner.snap(command.settings)
    run = owner.current_run
    if run is None:
        raise CommandError(f"{describe(command)}: there is no run now; start one first")
    match command:
        case LasersOff():
            run.lasers_off()
        case ResetTrip():
            run.reset_trip("reset in the window")
        case Stop():
            owner.stop_run()
        case SetTarget(per_um2):
            run.set_target(per_um2)
        case SetGain(gain):
            run.set_gain(gain)
        case _:
            assert_never(command)


def carry_out_or_report(command: Command, owner: RunOwner, report: Callable[[str], Any]) -> None:
    """Act on a command; what goes wrong is logged and reported in one sentence, never raised."""
    try:
        carry_out(command, owner)
    except RtsmlmError as error:
        _log.warning("%s was refused: %s", command, error)
        report(str(error))
    except Exception as error:  # a click must not end the thread that takes the next one
        _log.exception("%s failed", command)
        report(f"{describe(command)} failed: {type(error).__name__}: {error}")
