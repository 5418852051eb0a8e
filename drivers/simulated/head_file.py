"""State of a simulated laser head in a file, so that its light outlives the program that lit it.

The file is JSON whose values have a fixed width, as the registers of a head do: each is written
alone and in one piece. A program that is stopped or killed half-way never brings back light that
another one has switched off.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from rtsmlm.errors import DeviceError

_FIELDS = ("power_mw", "on", "set_mw", "set_on")
_WIDTH = 12


@dataclass(frozen=True, slots=True)
class HeadState:
    """What a head emits, and what it was set to; the two differ only while it does not obey."""

    power_mw: float = 1.0
    on: bool = False
    set_mw: float = 1.0
    set_on: bool = False

    @property
    def light_mw(self) -> float:
        """Power that is emitted."""
        return self.power_mw if self.on else 0.0


class Head(Protocol):
    """Where the state of a head is kept."""

    def read(self) -> HeadState:
        """Return the state."""
        ...

    def put_power(self, power_mw: float, *, set_too: bool = True, obey: bool = True) -> None:
        """Write the power: the one that is set, the one that is emitted, or both."""
        ...

    def put_on(self, on: bool, *, set_too: bool = True, obey: bool = True) -> None:
        """Write whether it emits: as it is set, as it is, or both."""
        ...


class HeadMemory:
    """A head that ends with its program.

    Parameters
    ----------
    least_mw
        Its power at the start; it is dark.
    """

    def __init__(self, least_mw: float) -> None:
        self._state = HeadState(power_mw=least_mw, set_mw=least_mw)

    def read(self) -> HeadState:
        """Return the state."""
        return self._state

    def put_power(self, power_mw: float, *, set_too: bool = True, obey: bool = True) -> None:
        """Write the power: the one that is set, the one that is emitted, or both."""
        old = self._state
        self._state = replace(
            old,
            power_mw=power_mw if obey else old.power_mw,
            set_mw=power_mw if set_too else old.set_mw,
        )

    def put_on(self, on: bool, *, set_too: bool = True, obey: bool = True) -> None:
        """Write whether it emits: as it is set, as it is, or both."""
        old = self._state
        self._state = replace(old, on=on if obey else old.on, set_on=on if set_too else old.set_on)


class HeadFile:
    """The registers of one head.

    Parameters
    ----------
    path
        The file. Where there is none, one of a dark head is made.
    least_mw
        Power of a head that is plugged in for the first time.

    Raises
    ------
    DeviceError
        If the file is one of something else, or cannot be written.
    """

    def __init__(self, path: Path, least_mw: float) -> None:
        self.path = path
        dark = HeadState(power_mw=least_mw, set_mw=least_mw)
        state = read_head(path) or dark
        if _text(state) != _raw(path):
            self._replace(_text(state))

    def read(self) -> HeadState:
        """Return the state; that of a dark head where the file is gone.

        Raises
        ------
        DeviceError
            If the file is one of something else.
        """
        return read_head(self.path) or HeadState()

    def put_power(self, power_mw: float, *, set_too: bool = True, obey: bool = True) -> None:
        """Write the power: the one that is set, the one that is emitted, or both.

        Raises
        ------
        DeviceError
            If the file cannot be written.
        """
        self._put("set_mw" if set_too else None, "power_mw" if obey else None, power_mw)

    def put_on(self, on: bool, *, set_too: bool = True, obey: bool = True) -> None:
        """Write whether it emits: as it is set, as it is, or both.

        Raises
        ------
        DeviceError
            If the file cannot be written.
        """
        self._put("set_on" if set_too else None, "on" if obey else None, on)

    def _put(self, echo: str | None, truth: str | None, value: float | bool) -> None:
        # The light first: the answer never runs ahead of what it is about.
        for name in (truth, echo):
            if name is not None:
                self._write(_offset(name), _padded(value))

    def _write(self, offset: int, text: str) -> None:
        try:
            with self.path.open("r+b", buffering=0) as file:
                file.seek(offset)
                file.write(text.encode("ascii"))
        except OSError as error:
            raise DeviceError(f"the state file {self.path} cannot be written: {error}") from error

    def _replace(self, text: str) -> None:
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(text, encoding="ascii")
            partial.replace(self.path)
        except OSError as error:
            raise DeviceError(f"the state file {self.path} cannot be written: {error}") from error


def read_head(path: Path) -> HeadState | None:
    """Return the state of a head; None where there is no file.

    Raises
    ------
    DeviceError
        If the file is not that of a head.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        power_mw, on = float(data["power_mw"]), bool(data["on"])
        return HeadState(
            power_mw, on, float(data.get("set_mw", power_mw)), bool(data.get("set_on", on))
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeviceError(f"{path} is no state file of a laser: {error}") from error


def _padded(value: float | bool) -> str:
    text = str(value).lower() if isinstance(value, bool) else f"{value:.6f}"
    return text.rjust(_WIDTH)


def _text(state: HeadState) -> str:
    values = asdict(state)
    return "{" + ", ".join(f'"{name}": {_padded(values[name])}' for name in _FIELDS) + "}\n"


def _offset(name: str) -> int:
    return _text(HeadState()).index(f'"{name}": ') + len(f'"{name}": ')


def _raw(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
