"""LaserTail: the loop and the density out of a growing `lasers.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from rtsmlm.files.run.laser_log import COLUMNS
from rtsmlm.stream.messages import DensityMessage, LoopMessage

_MOST_BYTES = 1 << 20
"""Of the file at once: some seven thousand rows."""


class LaserTail:
    """Reads on where it was; a row that is being written waits for its end.

    Parameters
    ----------
    path
        The file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._powers: dict[str, float] = {}
        self._armed = False
        self._before: tuple[int, float] | None = None
        self._frame_s = math.nan
        self.frame = -1
        """Newest frame of an estimate."""
        self.loop: LoopMessage | None = None
        """The newest state; None before a laser was steered."""
        self.is_new = False
        """True if the last `read` found rows."""

    def read(self) -> list[DensityMessage]:
        """Return the new rows with an estimate of the density, oldest first."""
        lines = self._lines()
        self.is_new = bool(lines)
        rows = (row for row in csv.DictReader(lines, COLUMNS) if row["t_s"] != "t_s")
        found = [self._take(row) for row in rows]
        return [density for density in found if density is not None]

    def _lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_MOST_BYTES)
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode("utf-8", errors="replace").splitlines()

    def _take(self, row: Mapping[str, str | None]) -> DensityMessage | None:
        sent, frame = _number(row["sent"]), _number(row["frame"])
        name, kind = row["actuator"] or "", row["kind"]
        if name and row["dose"] and math.isfinite(sent):  # a stage has no dose
            self._powers[name] = sent
        self._armed = self._armed or kind == "arm"
        if math.isnan(frame):
            self._take_action(row, sent)
            return None
        self.frame = max(self.frame, int(frame))
        density = self._density(row, int(frame))
        self.loop = LoopMessage(
            laser=name,
            unit=row["unit"] or "",
            power=sent,
            cap=math.nan,
            wanted=_number(row["wanted"]),
            armed=self._armed,
            tripped=(row["reason"] or "") if kind == "trip" else None,
            state=row["state"] or "",
            dose=_number(row["dose"]),
            target_per_um2=density.target_per_um2,
            powers=density.powers,
        )
        return density

    def _take_action(self, row: Mapping[str, str | None], sent: float) -> None:
        """Take a row without an estimate: armed, tripped, reset, another laser."""
        if self.loop is None:
            return
        changes: dict[str, object] = {"powers": dict(self._powers)}
        if row["actuator"] == self.loop.laser:
            changes["power"] = sent
            if row["kind"] == "trip":
                changes["tripped"] = row["reason"] or ""
            elif row["kind"] == "reset":
                changes["tripped"] = None
        self.loop = self.loop.model_copy(update=changes)

    def _density(self, row: Mapping[str, str | None], frame: int) -> DensityMessage:
        t_s, late_ms = _number(row["t_s"]), _number(row["latency_ms"])
        late_ms = 0.0 if math.isnan(late_ms) else late_ms
        return DensityMessage(
            last_frame=frame,
            power_frame=self._frame_of_command(frame, t_s, late_ms / 1e3),
            t_exposure_end_ns=None if math.isnan(t_s) else round(t_s * 1e9 - late_ms * 1e6),
            mean_per_um2=_number(row["estimate_per_um2"]),
            std_per_um2=_number(row["std_per_um2"]),
            target_per_um2=_number(row["target_per_um2"]),
            powers=dict(self._powers),
        )

    def _frame_of_command(self, frame: int, t_s: float, late_s: float) -> int | None:
        """Return the frame that the camera took when a power was set.

        That power rests on an earlier frame, by as much as the estimate was late.
        """
        end_s = t_s - late_s
        if self._before is not None and frame > self._before[0]:
            self._frame_s = (end_s - self._before[1]) / (frame - self._before[0])
        self._before = frame, end_s
        if not self._frame_s > 0:  # NaN too
            return None
        return frame + round(late_s / self._frame_s)


def _number(text: str | None) -> float:
    """Return a number; NaN for an empty or damaged field."""
    try:
        value = float(text or "nan")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
