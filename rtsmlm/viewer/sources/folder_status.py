"""FolderStatus: the small files of a run folder, as the messages that a stream would send."""

from __future__ import annotations

import json
import logging
import math
import time
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rtsmlm.errors import FileFormatError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.state import run_state
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.stream.messages import (
    DensityMessage,
    NoticeMessage,
    StatusMessage,
    ValidityMessage,
    read_message,
)
from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.sources.laser_tail import LaserTail

_LEDGER_SILENT_S = 3.0
"""A run that goes on writes its ledger about once a second."""

_NOTICES = TypeAdapter(tuple[NoticeMessage, ...])

_log = logging.getLogger(__name__)


class FolderStatus:
    """Settings, ledger, latency, validity and lasers of a run, read again when they change.

    Parameters
    ----------
    folder
        The run folder; no file of it need be there.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._marks: dict[Path, tuple[int, int]] = {}
        self._totals: LedgerTotals | None = None
        self._state: object = None  # what the ledger states of the run
        self._is_cut = False
        self._latency_ms: dict[str, dict[str, float]] = {}
        self._validity = ValidityMessage()
        self._warnings: tuple[str, ...] = ()
        self._notices: tuple[NoticeMessage, ...] = ()
        self.settings = SettingsPart()
        """Settings in force, as far as a window shows them."""
        self._lasers = LaserTail(folder.lasers)
        self._problems: list[str] = []
        self._is_new = False

    @property
    def finished(self) -> bool:
        """True if the run has written its last ledger, or was cut."""
        return self._totals is not None and (self._state != "running" or self._is_cut)

    def update(self) -> list[DensityMessage]:
        """Read what has changed and return new estimates of the density, oldest first."""
        folder = self._folder
        for path, take in (
            (folder.settings, self._take_settings),
            (folder.ledger, self._take_ledger),
            (folder.latency, self._take_latency),
            (folder.validity, self._take_validity),
        ):
            if not self._has_changed(path):
                continue
            self._is_new = True
            try:
                take(_read(path))
            except FileFormatError as error:
                _log.warning("%s", error)
                self._problems.append(str(error))
        self._find_cut()
        densities = self._lasers.read()
        self._is_new = self._is_new or self._lasers.is_new
        return densities

    def _find_cut(self) -> None:
        """Note that the run was cut, once its ledger has not been written for a while."""
        mark = self._marks.get(self._folder.ledger)
        if self._state != "running" or self._is_cut or mark is None:
            return
        if time.time() - mark[0] * 1e-9 < _LEDGER_SILENT_S:
            return
        state = run_state(self._folder.path)
        if state.stage == "cut" and state.note is not None:
            self._is_cut = True
            self._problems.append(state.note)

    def take_problem(self) -> str | None:
        """Return a sentence on a file that could not be read, once; else None."""
        return self._problems.pop(0) if self._problems else None

    def _has_changed(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except OSError:
            return False
        mark = (stat.st_mtime_ns, stat.st_size)
        is_new = self._marks.get(path) != mark
        self._marks[path] = mark
        return is_new

    def _take_settings(self, data: dict[str, Any]) -> None:
        run = data.pop("run", {})
        text = json.dumps(data, default=str)
        self.settings = read_message(SettingsPart, text, f"{self._folder.settings}")
        if isinstance(run, dict):
            texts = [*run.get("failures", []), *run.get("warnings", [])]
            self._warnings = tuple(map(str, texts))
            self._notices = _notices(run.get("notices"))

    def _take_ledger(self, data: dict[str, Any]) -> None:
        counts = {field.name: data.get(field.name, 0) for field in fields(LedgerTotals)}
        if not all(isinstance(count, int) for count in counts.values()):
            raise FileFormatError(f"{self._folder.ledger} has counts that are no whole numbers")
        self._totals = LedgerTotals(**counts)
        self._state = data.get("state")
        if self._state == "recovered" and (note := run_state(self._folder.path).note):
            self._problems.append(note)

    def _take_latency(self, data: dict[str, Any]) -> None:
        self._latency_ms = {
            name: {key: _number(value) for key, value in stage.items()}
            for name, stage in data.items()
            if isinstance(stage, Mapping)
        }

    def _take_validity(self, data: dict[str, Any]) -> None:
        try:
            self._validity = ValidityMessage.model_validate(data)
        except ValidationError as error:
            raise FileFormatError(
                f"{self._folder.validity} holds no verdict that can be read"
            ) from error

    def status(self, rows: int) -> StatusMessage | None:
        """Return the status of the run as far as its files have it.

        Parameters
        ----------
        rows
            Localizations so far.

        Returns
        -------
        :
            None where nothing is new, or no file has anything of it.
        """
        loop = self._lasers.loop
        if not self._is_new or (self._totals is None and loop is None):
            return None
        self._is_new = False
        totals = self._totals or LedgerTotals(0, 0, 0, 0, 0, 0, 0)
        total_ms = self._latency_ms.get("total", {})
        return StatusMessage(
            is_final=self.finished,
            totals=totals,
            frames_per_s=math.nan,
            localizations=rows,
            emitters_per_frame=rows / totals.localized if totals.localized else math.nan,
            p50_ms=total_ms.get("p50", math.nan),
            p99_ms=total_ms.get("p99", math.nan),
            backlog=0,
            recorder_backlog=0,
            model=self._validity.verdict,
            loop=loop,
            latency_ms=self._latency_ms,
            validity=self._validity,
            recording=False,
            disk_free_mb=math.nan,
            disk_mb_per_s=math.nan,
            exposure_ms=math.nan,
            warnings=self._warnings,
            notices=self._notices,
        )


def _notices(entries: Any) -> tuple[NoticeMessage, ...]:
    """Return the notices of a run.toml; none where they are missing or damaged."""
    try:
        return _NOTICES.validate_python(entries or ())
    except ValidationError as error:
        _log.warning("the notices of the run are damaged: %s", error)
        return ()


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def _read(path: Path) -> dict[str, Any]:
    """Return the entries of a TOML or JSON file.

    Raises
    ------
    FileFormatError
        If it cannot be read, or holds no entries.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise FileFormatError(f"{path} cannot be read: it holds no entries with names")
    return data
