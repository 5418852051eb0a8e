"""Helpers to give a simulated device its properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pymmcore_plus.experimental.unicore.devices._device_base import Device


class Choices(tuple[str, ...]):
    """Allowed values that accept 1, "1", 1.0 and "1.0000" alike, as Micro-Manager does."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return plain(value) in tuple(self)


def plain(value: object) -> str:
    """Return a property value as text, whole numbers without decimals."""
    if isinstance(value, bool):
        return str(int(value))
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    return str(int(number)) if number.is_integer() else str(number)


def to_int(value: object) -> int:
    """Return a property value as a whole number."""
    return round(float(str(value)))


def to_bool(value: object) -> bool:
    """Return a 0/1 property value as a truth value."""
    return plain(value) == "1"


def add_property(
    device: Device,
    name: str,
    kind: type,
    get: Callable[[], Any],
    put: Callable[[Any], None] | None = None,
    *,
    limits: tuple[float, float] | None = None,
    choices: Sequence[str] | None = None,
) -> None:
    """Register a property of one device instance; without `put` it can only be read.

    Parameters
    ----------
    device
        Whose property it is.
    name
        Name that users and configuration files see.
    kind
        float, int or str.
    get, put
        Read and write the value; `put` gets it already checked.
    limits
        Smallest and largest value.
    choices
        All values there are.
    """
    device.register_property(
        name,
        property_type=kind,
        getter=lambda _device: get(),
        setter=None if put is None else lambda _device, value: put(value),
        limits=limits,
        allowed_values=Choices(choices) if choices is not None else None,
        is_read_only=put is None,
    )
