"""JSON that another program has sent, made harmless before anything is read of it."""

from __future__ import annotations

import json
import math
from typing import Any

from rtsmlm.errors import printable

_MOST_CHARACTERS = 2000
"""Of one text; a warning has some hundred."""
_MOST_OF_SCHEMA = 262_144
"""Of the schema of the rows, which is read by Arrow and never shown: it grows with the columns."""
_SCHEMA = "arrow_schema"
_MOST_INT = 2**63
_MOST_DEPTH = 20


def harmless(data: bytes | str) -> str:
    """Return the same JSON with printable texts and numbers that fit in 64 bits.

    A number that is not finite becomes null, which stands for one that is not known.

    Raises
    ------
    ValueError
        If it is no JSON, is nested too deeply, or has a whole number of more than 64 bits.
    """
    try:
        return json.dumps(_clean(json.loads(data), 0))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _clean(value: Any, depth: int) -> Any:
    if depth > _MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        return printable(value[:_MOST_CHARACTERS])
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        if abs(value) >= _MOST_INT:
            raise ValueError("a whole number has more than 64 bits")
        return value
    if isinstance(value, list):
        return [_clean(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {
            printable(key[:_MOST_CHARACTERS]): printable(v[:_MOST_OF_SCHEMA])
            if key == _SCHEMA and isinstance(v, str)
            else _clean(v, depth + 1)
            for key, v in value.items()
        }
    return value
