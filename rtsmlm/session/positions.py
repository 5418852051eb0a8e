"""Positions: a useq sequence whose events are driven by the feedback, each a run of its own.

pymmcore-plus's runner takes any iterable of events and an engine that executes them. The iterable
here yields the next event depending on how the last one ended; the engine moves the stage and then
runs a `Session` until a stop criterion is met. It runs unattended; a laser that trips ends it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import useq
from pymmcore_plus import CMMCorePlus
from pymmcore_plus.mda import MDAEngine

from rtsmlm.drivers.micromanager.camera import MicroManagerCamera
from rtsmlm.errors import ConfigError, DeviceError, RtsmlmError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.safety.rehearsal import Rehearsal
from rtsmlm.session.devices import open_actuators
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load_over
from rtsmlm.settings.run import RunSettings

KEY = "rtsmlm"
"""Key of a sequence's metadata: settings by the name of a channel, as "section.key=value"."""
_POLL_S = 0.1
_NEAR_UM = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PositionResult:
    """How one event ended."""

    name: str
    folder: str
    ended_by: str
    """Which stop criterion, or how else."""
    ok: bool
    localizations: int
    tripped: bool
    """A laser is latched: no further event is executed."""


class PositionsRun:
    """Run a sequence.

    Parameters
    ----------
    core
        Micro-Manager with stage, camera and lasers.
    sequence
        Positions, channels, rounds. Where it has rounds (a time plan), a position that has met a
        criterion of `feedback.stop` is left out of the later ones.
    settings
        Settings of every run; a channel may change some of them (`KEY`).
    out
        Folder in which every event gets a folder of its own.
    arm
        Send commands to the lasers.
    rehearsal
        As for `Session`; every position goes by it.
    stop
        Set from outside to end in order.
    on_event
        Called with a sentence at the start and at the end of each event.

    Raises
    ------
    ConfigError
        If the sequence would set a laser past its guard, or a run would never end.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        sequence: useq.MDASequence,
        settings: RunSettings,
        *,
        out: Path,
        arm: bool,
        rehearsal: Rehearsal | None = None,
        stop: threading.Event | None = None,
        on_event: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._core, self._sequence = core, sequence
        self._settings, self._out = settings, out
        self._arm, self._rehearsal = arm, rehearsal
        self._stop = stop or threading.Event()
        self._on_event = on_event
        self.results: list[PositionResult] = []
        self._done: set[tuple[int, str]] = set()
        self._changes = _channel_settings(sequence)
        for name in {event_channel(event) for event in sequence}:
            _check_end(self.settings_for(name), name)
        self._check_guards()

    def run(self) -> list[PositionResult]:
        """Execute all events, and return how each ended.

        Raises
        ------
        RtsmlmError
            If the stage does not reach a position.
        """
        runner = self._core.mda
        before = runner.set_engine(_Engine(self._core, self))
        try:
            runner.run(self._events())
        finally:
            if before is not None:
                runner.set_engine(before)
        return self.results

    def settings_for(self, channel: str) -> RunSettings:
        """Return the settings of a channel."""
        return load_over(self._settings, self._changes.get(channel, ()))

    # -- the events --------------------------------------------------------------------------

    def _events(self) -> Iterator[useq.MDAEvent]:
        for event in self._sequence:
            if self._stop.is_set() or any(result.tripped for result in self.results):
                return
            if self._key(event) in self._done:
                continue
            # The engine sets the preset of a channel that the core knows; the name goes along.
            named = event.replace(metadata={**event.metadata, KEY: event_channel(event)})
            yield named if self._core_knows(event) else named.replace(channel=None)

    def _key(self, event: useq.MDAEvent) -> tuple[int, str]:
        return event.index.get("p", 0), event_channel(event)

    def _core_knows(self, event: useq.MDAEvent) -> bool:
        channel = event.channel
        return channel is None or channel.config in self._core.getAvailableConfigs(channel.group)

    # -- one event ---------------------------------------------------------------------------

    def execute(self, event: useq.MDAEvent, channel: str) -> None:
        """Run a session at the present position."""
        name = self._name(event, channel)
        self._on_event(f"{name}: started")
        settings = self.settings_for(channel)
        camera = MicroManagerCamera(
            self._core, settings=settings.micromanager, acquisition=settings.acquisition
        )
        try:
            result = self._run_here(camera, settings, name)
        except RtsmlmError as error:
            result = PositionResult(name, "", str(error), False, 0, tripped=True)
        finally:
            camera.close()
        self.results.append(result)
        if result.ended_by and result.ok:
            self._done.add((event.index.get("p", 0), channel))
        self._on_event(f"{name}: {result.ended_by or 'round done'}, {result.localizations} rows")

    def _run_here(
        self, camera: MicroManagerCamera, settings: RunSettings, name: str
    ) -> PositionResult:
        lasers, stages = open_actuators(settings, camera)
        session = Session(
            camera,
            settings,
            folder=RunFolder.create(self._out, name),
            lasers=lasers,
            stages=stages,
            arm=self._arm,
            owns_devices=True,
            rehearsal=None if self._rehearsal is None else self._rehearsal.again(settings),
        )
        try:
            session.start(self._stop)
            while not session.wait(_POLL_S):
                if self._stop.is_set():
                    session.stop()
        finally:
            report = session.close()
        ended_by = report.ended_by or ("stopped by the user" if self._stop.is_set() else "")
        if report.failures:
            ended_by = report.failures[0]
        return PositionResult(
            name=name,
            folder=str(report.folder),
            ended_by=ended_by,
            ok=report.ok,
            localizations=report.localizations,
            tripped=session.tripped,
        )

    @staticmethod
    def _name(event: useq.MDAEvent, channel: str) -> str:
        parts = [f"{axis}{k:03d}" for axis, k in event.index.items() if axis in "pgtz"]
        text = "_".join([*parts, *([channel] if channel else [])])
        return "".join(c if c.isalnum() or c in "._-" else "-" for c in text) or "p000"

    # -- checks ------------------------------------------------------------------------------

    def _check_guards(self) -> None:
        """Refuse channel presets and properties that set a laser, as only its guard may."""
        guarded = {
            label
            for laser in self._settings.lasers.values()
            for label in (laser.device, laser.shutter, laser.pulse_device)
            if label is not None
        }
        for event in self._sequence:
            touched = {device for device, *_ in event.properties or ()}
            channel = event.channel
            if channel is not None and self._core_knows(event):
                data = self._core.getConfigData(channel.group, channel.config)
                touched |= {setting[0] for setting in data}
            if wrong := sorted(touched & guarded):
                raise ConfigError(
                    f"the sequence sets {', '.join(wrong)} by a channel preset or a property, but "
                    "lasers are set by their guards alone; remove them there, and give their "
                    "powers in [lasers] or in the metadata of the sequence"
                )

    def check_place(self, event: useq.MDAEvent) -> None:
        """Raise `DeviceError` if the stage is not at the event's position; the engine only warns.

        Raises
        ------
        DeviceError
            With the position and the target.
        """
        wanted = (event.x_pos, event.y_pos)
        if wanted == (None, None):
            return
        x_um, y_um = self._core.getXYPosition()
        there = (x_um, y_um)
        off = [abs(a - b) for a, b in zip(wanted, there, strict=True) if a is not None]
        if any(not math.isfinite(d) or d > _NEAR_UM for d in off):
            raise DeviceError(
                f"the stage is at {there} um instead of {wanted} um; check its limits and that "
                "nothing blocks it"
            )

    def as_dict(self) -> list[dict[str, object]]:
        """Return the results as plain data."""
        return [asdict(result) for result in self.results]


class _Engine(MDAEngine):
    """Moves as the engine of pymmcore-plus does; a session takes the frames."""

    def __init__(self, core: CMMCorePlus, run: PositionsRun) -> None:
        super().__init__(core, use_hardware_sequencing=False, restore_initial_state=False)
        self._run = run
        self._channel = ""

    def setup_event(self, event: useq.MDAEvent) -> None:
        self._channel = str(event.metadata.get(KEY, ""))
        super().setup_event(event)
        self._run.check_place(event)

    def exec_event(self, event: useq.MDAEvent) -> Iterator[Any]:
        self._run.execute(event, self._channel)
        return iter(())


def event_channel(event: useq.MDAEvent) -> str:
    """Return the name of an event's channel, empty where it has none."""
    return "" if event.channel is None else str(event.channel.config)


def load_sequence(path: Path) -> useq.MDASequence:
    """Read a useq sequence from YAML or JSON.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    if not path.is_file():
        raise ConfigError(f"there is no plan {path}; give a useq sequence (YAML or JSON)")
    try:
        return useq.MDASequence.from_file(path)
    except Exception as error:  # yaml, json and pydantic each raise their own
        raise ConfigError(f"{path} is no useq sequence: {error}") from error


def _channel_settings(sequence: useq.MDASequence) -> dict[str, tuple[str, ...]]:
    data = sequence.metadata.get(KEY, {})
    if not isinstance(data, dict) or not all(
        isinstance(texts, list) and all(isinstance(t, str) for t in texts)
        for texts in data.values()
    ):
        raise ConfigError(
            f'metadata.{KEY} of the sequence must hold lists of "section.key=value" by the name of '
            f"a channel, not {data!r}"
        )
    known = {event_channel(event) for event in sequence}
    if unknown := sorted(set(data) - known):
        raise ConfigError(
            f"metadata.{KEY} of the sequence names {', '.join(unknown)}, which is not one of its "
            "channels"
        )
    return {str(name): tuple(texts) for name, texts in data.items()}


def _check_end(settings: RunSettings, channel: str) -> None:
    stop, acquisition = settings.feedback.stop, settings.acquisition
    ends = stop.ends_by_itself or acquisition.frames or acquisition.seconds
    if not ends:
        where = f"channel {channel}" if channel else "the sequence"
        raise ConfigError(
            f"{where} would never end its first position: set feedback.stop.seconds, "
            "feedback.stop.localizations or acquisition.frames"
        )
