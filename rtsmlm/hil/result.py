"""DrillResult: what one drill or check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What one drill or check found."""

    name: str
    passed: bool | None
    """None where it was not run, or does not apply to this rig; `what` states why."""
    what: str
    """One sentence with the measured figure and its limit."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain data: figures, and the course of a step response."""
    seconds: float = 0.0
    """How long it took."""

    @property
    def failed(self) -> bool:
        """True if it was run and found something wrong."""
        return self.passed is False

    @property
    def word(self) -> str:
        """One word for it: passed, failed, not run."""
        return {True: "passed", False: "failed", None: "not run"}[self.passed]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "result": self.word,
            "what": self.what,
            "seconds": round(self.seconds, 3),
            "details": dict(self.details),
        }


class NotForThisRig(Exception):
    """Raised by a drill that does not apply; its text states why."""
