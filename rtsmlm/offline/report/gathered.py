"""What the files of a run folder say, each read on its own: one that is damaged costs itself alone.

`drift.csv` has a column `frame` and one or more whose names end in `_nm`; `statistics.json` is an
object of numbers and texts, with their units in their names.
"""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_METADATA_BYTES
from rtsmlm.files.run.drift_file import DRIFT_FILE
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.files.run.statistics import STATISTICS_FILE

F64 = NDArray[np.float64]

_MOST_DRIFT_BYTES = 256 << 20


@dataclass
class LaserTrace:
    """What was sent to one laser."""

    unit: str
    t_s: list[float] = field(default_factory=list)
    power: list[float] = field(default_factory=list)


@dataclass
class LaserStory:
    """What `lasers.csv` says of a run."""

    traces: dict[str, LaserTrace] = field(default_factory=dict)
    """By name of the laser or stage."""
    frame: list[float] = field(default_factory=list)
    """Frames at which the density was estimated."""
    estimate: list[float] = field(default_factory=list)
    """Emitters per frame and um2, as long as `frame`."""
    target: list[float] = field(default_factory=list)
    """What was to be held, as long as `frame`; NaN where there was no target."""
    trips: list[str] = field(default_factory=list)
    """Reasons for which a laser was switched off."""


def lasers_of(path: Path) -> LaserStory:
    """Return what was done to the lasers of a run, as far as the file is whole."""
    story = LaserStory()
    try:
        for row in read_laser_log(path):
            _add_row(story, row)
    except FileFormatError:  # none was written, or it was cut in the middle
        pass
    return story


def _add_row(story: LaserStory, row: Mapping[str, str]) -> None:
    t_s, power = _float(row["t_s"]), _float(row["sent"] or row["measured"])
    if math.isfinite(t_s) and math.isfinite(power):
        trace = story.traces.setdefault(row["actuator"], LaserTrace(row["unit"]))
        trace.t_s.append(t_s)
        trace.power.append(power)
    frame, estimate = _float(row["frame"]), _float(row["estimate_per_um2"])
    if math.isfinite(frame) and math.isfinite(estimate):
        story.frame.append(frame)
        story.estimate.append(estimate)
        story.target.append(_float(row["target_per_um2"]))
    if row["kind"] == "trip" and row["reason"]:
        story.trips.append(f"{row['actuator']}: {row['reason']}")


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass(frozen=True)
class Drift:
    """How the sample moved."""

    frame: F64
    """Shape (n,)."""
    axes_nm: dict[str, F64]
    """By name of the axis, each (n,)."""


def drift_of(path: Path) -> Drift | None:
    """Return the drift of a run; None where none was written, or nothing of it can be read."""
    rows: list[list[float]] = []
    try:
        if path.stat().st_size > _MOST_DRIFT_BYTES:
            return None
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(line for line in file if not line.startswith("#"))
            names = [name.strip() for name in next(lines, [])]
            for line in lines:
                values = [_float(text) for text in line]
                if len(values) == len(names):  # the last line may be cut
                    rows.append(values)
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    axes = [k for k, name in enumerate(names) if name in _DRIFT_AXES]
    if "frame" not in names or not axes or not rows:
        return None
    table = np.array(rows, np.float64)
    table = table[np.isfinite(table[:, names.index("frame")])]
    if not len(table):
        return None
    columns = {_DRIFT_AXES[names[k]]: table[:, k] for k in axes}
    # Without depth the file has z as 0 throughout.
    known = {axis: column for axis, column in columns.items() if _says_something(axis, column)}
    return Drift(table[:, names.index("frame")], known) if known else None


def _says_something(axis: str, column: F64) -> bool:
    finite = column[np.isfinite(column)]
    return len(finite) > 0 and (axis != "z" or bool(finite.any()))


_DRIFT_AXES = {
    **{f"{axis}_nm": axis for axis in "xyz"},
    **{f"d{axis}_nm": axis for axis in "xyz"},
    **{f"drift_{axis}_nm": axis for axis in "xyz"},
}


@dataclass
class Gathered:
    """What the files beside the table say of a run."""

    folder: Path
    settings_text: str = ""
    """`run.toml`, or why it cannot be read."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The same as a mapping; empty where it cannot be read."""
    lasers: LaserStory = field(default_factory=LaserStory)
    drift: Drift | None = None
    statistics: dict[str, Any] = field(default_factory=dict)

    def part(self, *names: str) -> dict[str, Any]:
        """Return a section of the settings; an empty one where there is none."""
        at: object = self.settings
        for name in names:
            at = at.get(name) if isinstance(at, Mapping) else None
        return dict(at) if isinstance(at, Mapping) else {}

    def number(self, *names: str) -> float:
        """Return a number of the settings; NaN where there is none."""
        value = self.part(*names[:-1]).get(names[-1])
        return number_of(value)


def number_of(value: object) -> float:
    """Return a number that a file states; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


def gather(folder: Path) -> Gathered:
    """Return what the small files of a run folder say, whatever is missing or damaged."""
    try:
        text = (folder / "run.toml").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        text = f"run.toml cannot be read: {error.strerror or error}"
    try:
        settings = tomllib.loads(text)
    except ValueError:
        settings = {}
    return Gathered(
        folder,
        text,
        settings,
        lasers_of(folder / "lasers.csv"),
        drift_of(folder / DRIFT_FILE),
        json_of(folder / STATISTICS_FILE),
    )


def json_of(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where there is none that can be read."""
    try:
        if path.stat().st_size > MAX_METADATA_BYTES:
            return {}
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
