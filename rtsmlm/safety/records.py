"""What guards note: what a command rests on, and what was done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

AuditKind = Literal[
    "arm",
    "command",
    "unchanged",
    "monitor",
    "refused",
    "trip",
    "dark",
    "unconfirmed",
    "confirmed",
    "reset",
    "dose",
]
"""arm: commands are allowed; command: sent to the device; unchanged: nothing was sent, as the
change is too small or its estimate too old; monitor: what would have been sent, were it armed;
refused: not sent, and context; trip: ordered to go dark, and latched; dark: ordered to go dark in
the order of leaving, or as light was found; unconfirmed: not seen dark in time after such an order;
confirmed: seen dark after all; reset: a latch was lifted; dose: the sum so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """What a command rests on."""

    reason: str
    frame: int | None = None
    """Newest frame that it rests on."""
    t_exposure_end_ns: int | None = None
    """When its exposure ended."""
    estimate_per_um2: float = math.nan
    std_per_um2: float = math.nan
    target_per_um2: float = math.nan
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of `lasers.csv`."""

    t_ns: int
    """On the clock of `realtime.clock.now_ns`."""
    actuator: str
    kind: AuditKind
    wanted: float
    """What was asked for, in `unit`; NaN where nothing was."""
    sent: float
    """Last value sent to the device; 0 is dark."""
    unit: str
    measured: float = math.nan
    """What the device measures, where it does."""
    dose: float = math.nan
    """Power times seconds so far."""
    context: CommandContext
