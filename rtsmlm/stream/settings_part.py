"""SettingsPart: the settings of a run that its stream states, because a window shows them."""

from __future__ import annotations

from rtsmlm.settings.channels import UNDECIDED
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.message import Message


class _ExperimentPart(Message):
    sample: str = ""
    operator: str = ""
    notes: str = ""
    has_operator: bool = False
    """One is named in the configuration, and not stated here."""


class _AcquisitionPart(Message):
    exposure_ms: float | None = None
    frames: int | None = None
    seconds: float | None = None


class _MicroManagerPart(Message):
    roi: tuple[int, int, int, int] | None = None
    """x, y, width and height on the chip."""


class _RecordPart(Message):
    raw: bool = True


class _FeedbackPart(Message):
    gain: float | None = None
    tick_s: float | None = None
    max_local_per_um2: float | None = None


class _ViewPart(Message):
    name: str = ""
    region: tuple[int, int, int, int] = (0, 0, 0, 0)
    """x, y, width and height on the frame."""


class _ChannelsPart(Message):
    names: tuple[str, ...] = ()
    views: tuple[_ViewPart, ...] = ()

    @property
    def corner(self) -> tuple[int, int]:
        """Column and row of the frame that rows count from: those of the first view."""
        return self.views[0].region[:2] if self.views else (0, 0)

    def name_of(self, channel: int) -> str:
        """Return what to call a channel of the table."""
        names = self.names or tuple(view.name for view in self.views)
        if channel < len(names):
            return names[channel]
        return "not decided" if channel == UNDECIDED and names else f"channel {channel}"


class SettingsPart(Message):
    """The settings of a run that a window shows, by section and name as in the TOML file."""

    experiment: _ExperimentPart = _ExperimentPart()
    acquisition: _AcquisitionPart = _AcquisitionPart()
    micromanager: _MicroManagerPart = _MicroManagerPart()
    record: _RecordPart = _RecordPart()
    feedback: _FeedbackPart = _FeedbackPart()
    channels: _ChannelsPart = _ChannelsPart()

    @classmethod
    def of(cls, settings: RunSettings) -> SettingsPart:
        """Return the part of the settings that a window shows."""
        return cls.model_validate(settings)

    def published(self) -> SettingsPart:
        """Return what a stream states of it: no name of a person, and no notes."""
        stated = _ExperimentPart(
            sample=self.experiment.sample, has_operator=bool(self.experiment.operator)
        )
        return self.model_copy(update={"experiment": stated})
