"""One property of a Micro-Manager device that holds a number: its value, its limits, its errors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from pymmcore_plus import CMMCorePlus, PropertyType

from rtsmlm.errors import DeviceError, sentence

STEP = 1e-4
"""Micro-Manager rounds properties of floating point to four decimals."""
_NUMBER = re.compile(r"\s*([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?)\s*(?:[%\w].*)?")


class NumberProperty:
    """A property with a number; every failure is a `DeviceError` that names it.

    Parameters
    ----------
    core
        The core that holds the device.
    owner
        What the device is in messages, such as "laser activation".
    device, name
        Labels of device and property.
    """

    def __init__(self, core: CMMCorePlus, owner: str, device: str, name: str) -> None:
        self._core = core
        self._owner = owner
        self.device, self.name = device, name

    def get(self) -> float:
        """Return the value.

        Raises
        ------
        DeviceError
            If the device does not answer, or with something that is no number.
        """
        text = get_text(self._core, self._owner, self.device, self.name)
        # A comma stands for the stop in some adapters, and some add the unit.
        match = _NUMBER.fullmatch(text)
        value = float(match[1].replace(",", ".")) if match else math.nan
        if not math.isfinite(value):
            raise DeviceError(
                f"{self._owner}: {self.device}.{self.name} is {text!r}, which is no number"
            )
        return value

    def put(self, value: float) -> None:
        """Set the value, rounded as Micro-Manager does.

        Raises
        ------
        DeviceError
            If the device refuses.
        """
        is_whole = self._ask(self._core.getPropertyType) == PropertyType.Integer
        text = str(round(value)) if is_whole else f"{value:.4f}"
        put_text(self._core, self._owner, self.device, self.name, text)

    def limits(self) -> tuple[float, float] | None:
        """Return the smallest and largest value, rounded inward; None if it states none.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        if not self._ask(self._core.hasPropertyLimits):
            return None
        low = inward(float(self._ask(self._core.getPropertyLowerLimit)), up=True)
        high = inward(float(self._ask(self._core.getPropertyUpperLimit)), up=False)
        # Both limits are the same when the adapter failed to ask the head: not a range.
        return (low, high) if low < high else None

    def _ask(self, question: Callable[[str, str], Any]) -> Any:
        try:
            return question(self.device, self.name)
        except Exception as error:  # vendor code
            raise DeviceError(
                f"{self._owner}: {self.device}.{self.name} cannot be asked: {one_line(error)}"
            ) from error


def get_text(core: CMMCorePlus, owner: str, device: str, name: str) -> str:
    """Return a property as text.

    Raises
    ------
    DeviceError
        If the device does not answer.
    """
    try:
        return str(core.getProperty(device, name))
    except Exception as error:  # vendor code
        raise DeviceError(f"{owner}: {device}.{name} cannot be read: {one_line(error)}") from error


def put_text(core: CMMCorePlus, owner: str, device: str, name: str, text: str) -> None:
    """Set a property.

    Raises
    ------
    DeviceError
        If the device refuses.
    """
    try:
        core.setProperty(device, name, text)
    except Exception as error:  # vendor code
        raise DeviceError(f"{owner}: {device}.{name} refused {text}: {one_line(error)}") from error


def inward(value: float, *, up: bool) -> float:
    """Round to four decimals, up or down, so that a limit stays inside itself."""
    nearest = round(value, 4)
    if up:
        return nearest if nearest >= value else round(nearest + STEP, 4)
    return nearest if nearest <= value else round(nearest - STEP, 4)


def within(value: float, low: float, high: float) -> float | None:
    """Return the value, moved by less than one step to be inside; None if it is further out."""
    if not math.isfinite(value):
        return None
    nearest = min(max(round(value, 4), low), high)
    return nearest if abs(nearest - value) <= STEP else None


def one_line(error: BaseException) -> str:
    """Return the text of an error, on one line and without a stop at the end."""
    text = sentence(str(error)).rstrip(".")
    # What would end a program has a text that says nothing, such as an exit code.
    return text if text and isinstance(error, Exception) else type(error).__name__
