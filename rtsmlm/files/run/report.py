"""How a run is going, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.realtime.ledger import LedgerTotals

NoticeLevel: TypeAlias = Literal["information", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence on a run, with its time and how grave it is."""

    time_s: float
    """Seconds since 1970, UTC."""
    level: NoticeLevel
    text: str


@dataclass(slots=True)
class RunReport:
    """How a run ended."""

    folder: Path
    verdict: str = ""
    """One line about the ledger."""
    totals: LedgerTotals | None = None
    localizations: int = 0
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    validity: dict[str, object] = field(default_factory=dict)
    """Figures of the validity meter; empty where it is off."""
    counts: FrameCounts | None = None
    """Saturated pixels, and frames of one value or repeated; None where they were not counted."""
    stream_address: str | None = None
    ended_by: str = ""
    """Which stop criterion ended the acquisition, if one did."""
    warnings: list[str] = field(default_factory=list)
    """Sentences that a person should read."""
    notices: list[Notice] = field(default_factory=list)
    """Warnings, failures, and what went as it was wanted, in the order of time."""
    failures: list[str] = field(default_factory=list)
    """Why the run counts as failed; empty if it does not."""

    @property
    def ok(self) -> bool:
        """True if nothing failed and every frame is accounted for."""
        done = self.totals is not None and self.totals.balances and self.totals.in_ring == 0
        return done and not self.failures
