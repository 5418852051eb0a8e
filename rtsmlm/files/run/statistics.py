"""`statistics.json` of a run: what was made of its rows, one object for each kind of figure.

Keys are `drift`, `linking` and `resolution`; names end with their unit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtsmlm.files.limits import MAX_METADATA_BYTES
from rtsmlm.files.run.folder import write_text

STATISTICS_FILE = "statistics.json"


def state_statistics(folder: Path, kind: str, values: Mapping[str, Any] | None) -> None:
    """Put the figures of one kind into the file, and leave the others; None takes them out.

    A number that is not finite is left out.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    path = folder / STATISTICS_FILE
    stated = _stated(path)
    stated.pop(kind, None)
    if values is not None:
        stated[kind] = {
            name: value
            for name, value in values.items()
            if not isinstance(value, float) or math.isfinite(value)
        }
    if stated:
        write_text(path, json.dumps(stated, indent=2) + "\n")
    else:
        path.unlink(missing_ok=True)


def _stated(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_METADATA_BYTES:
            return {}
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return stated if isinstance(stated, dict) else {}
