"""A laser whose light is a file: it shines on when the program that steered it is dead."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from pymmcore_plus.experimental.unicore.devices._shutter import ShutterDevice

from rtsmlm.drivers.simulated.properties import add_property, to_bool
from rtsmlm.errors import DeviceError

_MIN_MW, _MAX_MW = 1.0, 100.0


def light_mw(path: Path) -> float:
    """Return the power that a laser of this file emits, in mW; 0 where there is no file.

    Raises
    ------
    DeviceError
        If the file is not one of a `FileLaser`.
    """
    power_mw, is_on = _read(path)
    return power_mw if is_on else 0.0


class FileLaser(ShutterDevice):
    """A laser head whose state is kept in a JSON file: `power_mw` and `on`.

    For drills: kill the process, then read the file as one would check the bench. Like an
    OBIS it has a least power, is dark with `State` 0 only, keeps what it was when it is loaded
    again, and is not switched off by unloading. Set `StateFile` first, in the .cfg file or after
    loading; without it the head is dark and takes no command.
    """

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None
        add_property(
            self,
            "StateFile",
            str,
            lambda: "" if self._path is None else str(self._path),
            self._set_path,
        )
        add_property(
            self,
            "PowerSetpoint",
            float,
            lambda: self._state()[0],
            self.set_power_mw,
            limits=(_MIN_MW, _MAX_MW),
        )
        add_property(
            self,
            "State",
            int,
            lambda: int(self._state()[1]),
            lambda value: self.set_open(to_bool(value)),
            choices=("0", "1"),
        )
        add_property(self, "Minimum Laser Power", float, lambda: _MIN_MW)
        add_property(self, "Maximum Laser Power", float, lambda: _MAX_MW)

    def get_open(self) -> bool:
        """Return True if the head emits."""
        return self._state()[1]

    def set_open(self, open: bool) -> None:  # noqa: A002 - the name is the base class's
        """Switch emission on or off.

        Raises
        ------
        DeviceError
            If the file cannot be written.
        """
        self._write(self._state()[0], open)

    def set_power_mw(self, power_mw: float) -> None:
        """Set the power of the head.

        Raises
        ------
        DeviceError
            If the head cannot give this power, or the file cannot be written.
        """
        if not (math.isfinite(power_mw) and _MIN_MW <= power_mw <= _MAX_MW):
            raise DeviceError(
                f"laser asked for {power_mw} mW; the head gives {_MIN_MW} to {_MAX_MW} mW "
                "(State 0 is dark)"
            )
        self._write(float(power_mw), self._state()[1])

    def _set_path(self, path: str) -> None:
        self._path = Path(path) if path else None
        # A head that is plugged in for the first time is dark.
        if self._path is not None and not self._path.exists():
            self._write(_MIN_MW, False)

    def _state(self) -> tuple[float, bool]:
        # UniMMCore reads all properties while it loads a .cfg file, before StateFile is set.
        return (_MIN_MW, False) if self._path is None else _read(self._path)

    def _write(self, power_mw: float, is_on: bool) -> None:
        if self._path is None:
            raise DeviceError("the file laser has no file yet; set its property StateFile first")
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps({"power_mw": power_mw, "on": is_on}), encoding="utf-8")
            partial.replace(self._path)
        except OSError as error:
            raise DeviceError(f"the state file {self._path} cannot be written: {error}") from error


def _read(path: Path) -> tuple[float, bool]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return float(state["power_mw"]), bool(state["on"])
    except FileNotFoundError:
        return _MIN_MW, False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeviceError(f"{path} is no state file of a laser: {error}") from error
