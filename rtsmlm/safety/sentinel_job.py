"""SentinelJob and the orders that follow it: the lines of JSON from the owner to its sentinel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rtsmlm.drivers.micromanager.lasers_only import LaserConfiguration
from rtsmlm.settings.lasers import LaserSettings

READY = "ready"
"""The first line of the sentinel."""

OrderName = Literal["rehearse", "guard", "dismiss"]
"""rehearse: load the lasers, switch them off, release them, and answer how it went; guard: the run
begins, with the audit and what was found out; dismiss: all lasers are off, end."""


@dataclass(frozen=True, slots=True)
class SentinelJob:
    """What the sentinel has to know from the start; plain data, no path of a file to be opened."""

    configuration: LaserConfiguration
    lasers: Mapping[str, LaserSettings]
    heartbeat: str
    """Name of the shared memory with the counts."""
    owner_pid: int
    silence_s: float = 1.0

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps(
            {
                "configuration": asdict(self.configuration),
                "lasers": {k: laser.model_dump(mode="json") for k, laser in self.lasers.items()},
                "heartbeat": self.heartbeat,
                "owner_pid": self.owner_pid,
                "silence_s": self.silence_s,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> SentinelJob:
        """Read a job back."""
        data = json.loads(text)
        found = data.pop("configuration")
        configuration = LaserConfiguration(
            found["text"],
            found["source"],
            tuple(found["adapter_paths"]),
            tuple(found["python_modules"]),
        )
        lasers = {k: LaserSettings.model_validate(v) for k, v in data.pop("lasers").items()}
        return cls(configuration=configuration, lasers=lasers, **data)


@dataclass(frozen=True, slots=True)
class SentinelOrder:
    """One line to the sentinel after its job."""

    order: OrderName
    audit: str = ""
    """`lasers.csv` of the run; written to only after the lasers are off."""
    start_ns: int = 0
    """When the run began, on the clock of `realtime.clock.now_ns`."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit of each laser, for the audit."""
    beside_owner: tuple[str, ...] = ()
    """Lasers that can be reached while the owner has them open."""
    may_end_owner: bool = False
    """End an owner that is silent, for the lasers that cannot."""

    @property
    def audit_path(self) -> Path:
        """Path of the audit."""
        return Path(self.audit)

    def to_json(self) -> str:
        """Return the order as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SentinelOrder:
        """Read an order back."""
        data = json.loads(text)
        data["beside_owner"] = tuple(data["beside_owner"])
        return cls(**data)
