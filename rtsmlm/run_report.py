"""How a run is going, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rtsmlm.feedback.records import LoopStatus
from rtsmlm.ledger import LedgerTotals


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment, for a status line or a window."""

    totals: LedgerTotals
    frames_per_s: float
    localizations: int
    emitters_per_frame: float
    p50_ms: float
    p99_ms: float
    backlog: int
    """Frames in the ring."""
    recorder_backlog: int
    model: str = ""
    """What the validity meter says, in two or three words; nothing where it is off."""
    loop: LoopStatus | None = None
    """Laser and density; None where no laser is steered."""


def status_message(status: RunStatus, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return a status as plain JSON data for the stream; NaN becomes None.

    Parameters
    ----------
    status
        The run at this moment.
    more
        Further entries: latency per stage, validity, disk, warnings.
    """
    loop = status.loop
    data = asdict(status) | {"loop": None, **more}
    if loop is not None:
        estimate = None if loop.estimate is None else loop.estimate.as_dict()
        powers = dict(loop.powers)
        plain = {f.name: getattr(loop, f.name) for f in fields(loop)}
        data["loop"] = plain | {"estimate": estimate, "powers": powers}
    plain_data: dict[str, Any] = _without_nan(data)
    return plain_data


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return value


@dataclass(slots=True)
class RunReport:
    """How a run ended."""

    folder: Path
    verdict: str = ""
    """One line about the ledger."""
    totals: LedgerTotals | None = None
    localizations: int = 0
    latency_ms: dict[str, Any] = field(default_factory=dict)
    validity: dict[str, Any] = field(default_factory=dict)
    """Figures of the validity meter; empty where it is off."""
    stream_address: str | None = None
    ended_by: str = ""
    """Which stop criterion ended the acquisition, if one did."""
    warnings: list[str] = field(default_factory=list)
    """Sentences that a person should read."""
    failures: list[str] = field(default_factory=list)
    """Why the run counts as failed; empty if it does not."""

    @property
    def ok(self) -> bool:
        """True if nothing failed and every frame is accounted for."""
        done = self.totals is not None and self.totals.balances and self.totals.in_ring == 0
        return done and not self.failures
