"""Ticks of a logarithmic axis."""

from __future__ import annotations

import math
from typing import Any


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return ticks at 1, 2 and 5 times powers of ten, few enough to be read."""
    steps: tuple[int, ...] = (1, 2, 5) if high - low < 1.2 else (1, 3)
    if high - low > 3:
        steps = (1,)
    if high - low < 0.35:
        steps = tuple(range(1, 10))
    powers = range(math.floor(low), math.ceil(high) + 1)
    values: list[Any] = [step * 10.0**power for power in powers for step in steps]
    return [(math.log10(v), f"{v:g}") for v in values if low <= math.log10(v) <= high]
