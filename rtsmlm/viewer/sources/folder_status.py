"""FolderStatus: what the small files of a run folder tell, in the words of the stream."""

from __future__ import annotations

import csv
import json
import logging
import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.laser_log import COLUMNS

_MOST_BYTES = 1 << 20
"""Of the laser audit at once: some seven thousand rows."""

_log = logging.getLogger(__name__)


class FolderStatus:
    """Settings, ledger, latency, validity and lasers of a run, read again when they change."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._seen: dict[Path, tuple[int, int]] = {}
        self._ledger: dict[str, Any] = {}
        self._latency: dict[str, Any] = {}
        self._validity: dict[str, Any] = {}
        self._run: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        """Settings in force, as `run.toml` holds them."""
        self.lasers = LaserTail(folder.lasers)
        self._is_new = False

    @property
    def finished(self) -> bool:
        """True if the run has written its accounts, which it does last."""
        return bool(self._ledger)

    def look(self) -> list[dict[str, Any]]:
        """Read what has changed and return new estimates of the density, oldest first."""
        folder = self._folder
        if self._changed(folder.settings):
            self.settings = _read(folder.settings)
            self._run = self.settings.pop("run", {})
            self._is_new = True
        for path, name in (
            (folder.ledger, "_ledger"),
            (folder.latency, "_latency"),
            (folder.validity, "_validity"),
        ):
            if self._changed(path):
                setattr(self, name, _read(path))
                self._is_new = True
        densities = self.lasers.read()
        self._is_new = self._is_new or self.lasers.is_new
        return densities

    def _changed(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except OSError:
            return False
        mark = (stat.st_mtime_ns, stat.st_size)
        is_new = self._seen.get(path) != mark
        self._seen[path] = mark
        return is_new

    def status(self, rows: int) -> dict[str, Any] | None:
        """Return a status with the entries of `run_report.status_message` that files tell.

        Parameters
        ----------
        rows
            Localizations so far.

        Returns
        -------
        :
            None where nothing is new, or nothing is told.
        """
        loop = self.lasers.loop
        if not self._is_new or not (self._ledger or loop):
            return None
        self._is_new = False
        total = self._latency.get("total", {})
        localized = self._ledger.get("localized")
        return {
            "totals": {k: v for k, v in self._ledger.items() if isinstance(v, int | float)},
            "frames_per_s": None,
            "localizations": rows,
            "emitters_per_frame": rows / localized if localized else None,
            "p50_ms": total.get("p50"),
            "p99_ms": total.get("p99"),
            "backlog": 0,
            "recorder_backlog": 0,
            "model": self._validity.get("verdict", ""),
            "loop": loop,
            "latency_ms": self._latency,
            "validity": self._validity,
            "warnings": [*self._run.get("failures", []), *self._run.get("warnings", [])],
        }


class LaserTail:
    """What a growing `lasers.csv` tells of lasers and density.

    Parameters
    ----------
    path
        The file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._frame = -1
        self._powers: dict[str, float] = {}
        self._armed = False
        self.loop: dict[str, Any] | None = None
        """As `run_report.status_message` tells it; None before a laser was steered."""
        self.is_new = False
        """True if the last `read` found rows."""

    def read(self) -> list[dict[str, Any]]:
        """Return the new rows as estimates of the density, oldest first.

        Returns
        -------
        :
            As `DensityEstimate.as_dict`, None for what the file does not hold, and besides
            `powers` of all lasers by name and `target_per_um2`.
        """
        lines = self._lines()
        self.is_new = bool(lines)
        told = (self._hear(row) for row in csv.DictReader(lines, COLUMNS) if row["t_s"] != "t_s")
        return [entry for entry in told if entry is not None]

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

    def _hear(self, row: Mapping[str, str | None]) -> dict[str, Any] | None:
        sent, frame = _number(row["sent"]), _number(row["frame"])
        name, kind = row["actuator"] or "", row["kind"]
        if name and row["dose"] and sent is not None:  # a stage has no dose
            self._powers[name] = sent
        self._armed = self._armed or kind == "arm"
        if frame is None:
            if self.loop is not None:
                self.loop = {**self.loop, "powers": dict(self._powers)}
                if name == self.loop["laser"]:
                    reason = row["reason"] if kind == "trip" else self.loop["tripped"]
                    self.loop |= {"power": sent, "tripped": None if kind == "reset" else reason}
            return None
        self._frame = max(self._frame, int(frame))
        entry = self._estimate(row, int(frame))
        self.loop = {
            "laser": name,
            "unit": row["unit"] or "",
            "power": sent,
            "cap": None,
            "wanted": _number(row["wanted"]),
            "armed": self._armed,
            "tripped": row["reason"] if kind == "trip" else None,
            "state": row["state"] or "",
            "dose": _number(row["dose"]),
            "target_per_um2": entry["target_per_um2"],
            "estimate": entry,
            "powers": entry["powers"],
        }
        return entry

    def _estimate(self, row: Mapping[str, str | None], frame: int) -> dict[str, Any]:
        t_s, late_ms = _number(row["t_s"]), _number(row["latency_ms"])
        end_ns = None if t_s is None else round(t_s * 1e9 - (late_ms or 0.0) * 1e6)
        entry: dict[str, Any] = dict.fromkeys(field.name for field in fields(DensityEstimate))
        return entry | {
            "last_frame": frame,
            "t_exposure_end_ns": end_ns,
            "mean_per_um2": _number(row["estimate_per_um2"]),
            "std_per_um2": _number(row["std_per_um2"]),
            "crowded": False,
            "target_per_um2": _number(row["target_per_um2"]),
            "powers": dict(self._powers),
        }


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read: %s", path, error)
        return {}
    return data if isinstance(data, dict) else {}
