"""What is new in a run, and the `Source` that a window asks for it; no Qt here.

The window polls its source when it has time, so that a slow window never delays the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import Localizations

Connection = Literal["waiting", "live", "silent", "lost", "ended"]
"""waiting: nobody has answered yet; live: news within the last seconds; silent: none for longer;
lost: the connection broke, rows that came are kept, and it is tried again; ended: the run is over
and all its rows are here."""


@dataclass(frozen=True, slots=True)
class CameraImage:
    """The newest camera frame."""

    index: int
    pixels: NDArray[np.uint16]
    """ADU, shape (height, width), after binning."""
    binning: int
    """Camera pixels a side that went into one."""


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """What is new since the last poll."""

    connection: Connection
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the run tells of itself: run, shape [height, width], pixel_nm, settings."""
    restarted: bool = False
    """Forget all rows: they come again, from the first."""
    rows: Sequence[Localizations] = ()
    status: Mapping[str, Any] | None = None
    """The newest status, as `run_report.status_message` makes it; None if none is new."""
    densities: Sequence[Mapping[str, Any]] = ()
    """Estimates, oldest first, as `feedback.records.DensityEstimate.as_dict`."""
    frame: CameraImage | None = None
    behind_bytes: int = 0
    """Bytes of the table that are known to be there and are not here yet."""


class Source(Protocol):
    """Where news come from: a stream, a run folder, a session of this process."""

    @property
    def name(self) -> str:
        """What to call it in the title of a window."""
        ...

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        """Return what is new, at once; at most about so many rows, the rest comes next time.

        Never raises: what goes wrong shows in `RunUpdate.connection`.
        """
        ...

    def close(self) -> None:
        """Let go of it. Safe to call more than once."""
        ...
