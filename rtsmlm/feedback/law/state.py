"""What the law remembers from tick to tick, all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtsmlm.feedback.law.response import ResponseWatch
from rtsmlm.feedback.law.stopping import Exhaustion
from rtsmlm.feedback.law.thermal_floor import ThermalFloor
from rtsmlm.feedback.records import Event, State


@dataclass(slots=True)
class LawState:
    """Memory of `law.DensityLaw`."""

    power: float
    """In force since the last decision, in the unit of the laser; 0 is dark."""
    log_power: float
    """Where the law stands, also in the dark."""
    gain: float
    """Part of the logarithmic error that is corrected per tick; tuning changes it."""
    exhaustion: Exhaustion
    phase: State = "steer"
    smoothed: float | None = None
    """Running mean of the density, emitters per frame and um2; None starts anew."""
    drift: float = 0.0
    """Rise of the logarithm of the power per tick that the shrinking pool asks for."""
    lost_ticks: int = 0
    """Ticks in a row without a usable estimate."""
    crowded_ticks: int = 0
    calm_ticks: int = 0
    """Ticks left in which the power must not rise, after crowding."""
    floor: ThermalFloor = field(default_factory=ThermalFloor)
    response: ResponseWatch = field(default_factory=ResponseWatch)
    end_reason: str = ""
    """Why the law has come to its end."""
    reported: set[Event] = field(default_factory=set)
    """Events that are over and done with."""

    def once(self, event: Event) -> Event | None:
        """Return an event the first time, None after that."""
        if event in self.reported:
            return None
        self.reported.add(event)
        return event
