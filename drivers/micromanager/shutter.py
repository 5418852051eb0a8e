"""Shutters of Micro-Manager in front of a laser, and the AutoShutter that would move them."""

from __future__ import annotations

import logging

from pymmcore_plus import CMMCorePlus

from rtsmlm.drivers.micromanager.property import one_line
from rtsmlm.errors import DeviceError

logger = logging.getLogger(__name__)


class Shutter:
    """A shutter; every failure is a `DeviceError` that names it.

    Parameters
    ----------
    core
        The core that holds it.
    owner
        What it is in front of, in messages.
    device
        Its label.
    """

    def __init__(self, core: CMMCorePlus, owner: str, device: str) -> None:
        self._core, self._owner, self._device = core, owner, device

    def is_open(self) -> bool:
        """Return True if light passes.

        Raises
        ------
        DeviceError
            If it does not answer.
        """
        try:
            return bool(self._core.getShutterOpen(self._device))
        except Exception as error:  # vendor code
            raise DeviceError(
                f"{self._owner}: shutter {self._device} cannot be read: {one_line(error)}"
            ) from error

    def open(self) -> None:
        """Let light pass.

        Raises
        ------
        DeviceError
            If it refuses.
        """
        self._move(is_open=True)

    def close(self) -> None:
        """Let no light pass.

        Raises
        ------
        DeviceError
            If it refuses.
        """
        self._move(is_open=False)

    def _move(self, *, is_open: bool) -> None:
        try:
            self._core.setShutterOpen(self._device, is_open)
        except Exception as error:  # vendor code
            raise DeviceError(
                f"{self._owner}: shutter {self._device} does not "
                f"{'open' if is_open else 'close'}: {one_line(error)}"
            ) from error


def take_from_auto_shutter(core: CMMCorePlus, owner: str, devices: set[str]) -> bool:
    """Switch the core's AutoShutter off if it moves one of these devices.

    It would open and close them with every image, against the guard that drives them.

    Parameters
    ----------
    core
        The core.
    owner
        What is steered, in the log.
    devices
        Labels of the laser and its shutter.

    Returns
    -------
    bool
        True if it was switched off.

    Raises
    ------
    DeviceError
        If the core refuses.
    """
    try:
        current = str(core.getShutterDevice())
        if not (current and core.getAutoShutter()):
            return False
        if not devices & {current, *_within(core, current)}:
            return False
        core.setAutoShutter(False)
    except Exception as error:  # vendor code
        raise DeviceError(
            f"{owner}: AutoShutter cannot be switched off: {one_line(error)}"
        ) from error
    logger.warning(
        "AutoShutter is switched off: it would open and close %s with every image while %s is "
        "steered",
        current,
        owner,
    )
    return True


def _within(core: CMMCorePlus, shutter: str) -> set[str]:
    """Return the labels that a shutter made of others (package Utilities) has as properties."""
    names = core.getDevicePropertyNames(shutter)
    if str(core.getDeviceLibrary(shutter)) != "Utilities":
        return set()
    return {str(core.getProperty(shutter, name)) for name in names}
