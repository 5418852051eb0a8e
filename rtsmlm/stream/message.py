"""Message: the base of all messages of the stream, and the numbers in them."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


def _nan_if_none(value: Any) -> Any:
    return math.nan if value is None else value


def _none_if_not_finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


Number = Annotated[
    float,
    BeforeValidator(_nan_if_none),
    PlainSerializer(_none_if_not_finite, return_type=float | None, when_used="json"),
]
"""NaN where it is not known."""
NotNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


class Message(BaseModel):
    """Base of all messages: frozen, and tolerant of values that it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)
