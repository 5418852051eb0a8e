"""LaserAudit: what guards have done, as rows of `lasers.csv`."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.files.run.laser_log import LaserLog
from rtsmlm.safety.records import AuditRow


class LaserAudit:
    """Write a row for everything that was done to a laser or stage.

    Parameters
    ----------
    path
        `lasers.csv` of the run.
    start_ns
        When the run began, on the clock of `realtime.clock.now_ns`; times are counted from there.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """

    def __init__(self, path: Path, start_ns: int) -> None:
        self._start_ns = start_ns
        self._log = LaserLog(path)

    def note(self, row: AuditRow) -> None:
        """Append a row.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        context = row.context
        end_ns = context.t_exposure_end_ns
        self._log.write(
            {
                "t_s": (row.t_ns - self._start_ns) / 1e9,
                "actuator": row.actuator,
                "kind": row.kind,
                "wanted": row.wanted,
                "sent": row.sent,
                "unit": row.unit,
                "measured": row.measured,
                "dose": row.dose,
                "frame": context.frame,
                "latency_ms": None if end_ns is None else (row.t_ns - end_ns) / 1e6,
                "estimate_per_um2": context.estimate_per_um2,
                "std_per_um2": context.std_per_um2,
                "target_per_um2": context.target_per_um2,
                "state": context.state,
                "reason": context.reason,
            }
        )

    def close(self) -> None:
        """Close the file. Safe to call more than once."""
        self._log.close()
