"""How far a run folder has come: whether its run goes on, has ended, or was cut."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.owner import owner_of

RUN_SO_FAR = "run"
"""Entry of the ledger of a run that goes on: PSF, rows, latency, validity and messages so far."""
CUT_AT = "cut_at_frame"
"""Entry of the ledger of a run that was recovered."""

_MOST_BYTES = 256 << 20

Stage: TypeAlias = Literal["none", "running", "cut", "ended", "recovered"]
"""none: no run in this folder; cut: it was killed, or the power failed; recovered: it was cut, and
its files were completed after that."""


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run has come."""

    stage: Stage
    last_frame: int = -1
    """The last frame that its ledger has; -1 for none."""
    folder: Path = Path()

    @property
    def note(self) -> str | None:
        """One sentence for who reads the files of a run that was cut; None for all others."""
        if self.stage == "cut":
            return (
                f"the run was cut at {self._frame}: what it recorded is not complete yet; "
                f"rtsmlm recover {self.folder} makes table, ledger and report of what there is"
            )
        if self.stage == "recovered":
            return f"the run was cut at {self._frame} and recovered afterwards"
        return None

    @property
    def _frame(self) -> str:
        return f"frame {self.last_frame}" if self.last_frame >= 0 else "its start"


def read_ledger(folder: RunFolder) -> dict[str, object] | None:
    """Return the entries of the ledger of a run; None where there is none that can be read."""
    try:
        if folder.ledger.stat().st_size > _MOST_BYTES:
            return None
        data = json.loads(folder.ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def run_state(path: Path) -> RunState:
    """Return how far the run in a folder has come; reads its ledger and its lock."""
    folder = RunFolder(path)
    ledger = read_ledger(folder)
    owner = owner_of(path)
    is_owned = owner is not None and owner.is_alive
    if ledger is None:
        has_run = any(file.exists() for file in folder.run_files)
        if not has_run:
            return RunState("running" if is_owned else "none", folder=path)
        return RunState("running" if is_owned else "cut", folder=path)
    camera = ledger.get("camera")
    last = camera - 1 if isinstance(camera, int) else -1
    state = ledger.get("state")
    if state == "recovered":
        cut_at = ledger.get(CUT_AT)
        return RunState("recovered", cut_at if isinstance(cut_at, int) else last, path)
    if state != "running":
        return RunState("ended", last, path)
    return RunState("running" if is_owned else "cut", last, path)


def cut_note(path: Path) -> str | None:
    """Return one sentence if a file or folder is of a run that was cut; None for all others."""
    for folder in (path, path.parent):
        if RunFolder(folder).settings.is_file():
            return run_state(folder).note
    return None
