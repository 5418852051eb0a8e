"""A laser that Micro-Manager does not know, for rtsmlm.

`Port` stands for a serial port: replace it by pyserial or by the library of the maker. The rest is
the adapter, a plain class with the shape of `rtsmlm.protocols.Actuator`. It is opened in the
process of the run and, should that process die, once more in the sentinel, which switches it off.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rtsmlm.errors import DeviceError
from rtsmlm.plugins import CoreSource
from rtsmlm.settings.lasers import LaserSettings


class Port:
    """A laser head at the end of a serial line; here its state is a text file."""

    def __init__(self, path: Path, answer_s: float) -> None:
        self._path, self.answer_s = path, answer_s
        if not path.exists():
            path.write_text("power 1.0\nemission off\n", encoding="utf-8")

    def ask(self, command: str) -> str:
        """Send `power 12.5`, `emission on`, or `power?`, and return the answer."""
        lines = self._path.read_text(encoding="utf-8").splitlines()
        state = dict(line.split() for line in lines)
        if command.endswith("?"):
            return state[command[:-1]]
        name, value = command.split()
        state[name] = value
        text = "".join(f"{key} {word}\n" for key, word in state.items())
        self._path.write_text(text, encoding="utf-8")
        return "OK"

    def close(self) -> None:
        """Release the line. The light stays as it is, as with most heads."""


class MyLaser:
    """The adapter: what rtsmlm asks of a laser. A guard calls it, and nothing else does."""

    unit = "mW"

    def __init__(self, name: str, port: Port) -> None:
        self.name, self._port = name, port

    def limits(self) -> tuple[float, float]:
        """Return least and greatest power; the cap of the settings must lie between."""
        return 1.0, 100.0

    def set(self, value: float) -> None:
        """Set the power, then switch emission on."""
        self._ask(f"power {value:.3f}")
        self._ask("emission on")

    def make_safe(self) -> list[str]:
        """Lower the power and switch emission off; try both, and return what failed."""
        failed = []
        for command in ("power 1.0", "emission off"):
            try:
                self._ask(command)
            except DeviceError as error:
                failed.append(str(error))
        return failed

    def setpoint(self) -> float:
        """Return the power that is set; 0 while emission is off."""
        return float(self._ask("power?")) if self._ask("emission?") == "on" else 0.0

    def readback(self) -> float | None:
        """Return the measured power; None, since this head measures none."""
        return None

    def fault(self) -> str | None:
        """Return an open interlock or a fault of the head; None, since it reports none."""
        return None

    def close(self) -> None:
        """Release the port; the light stays as it is."""
        with suppress(OSError):
            self._port.close()

    def _ask(self, command: str) -> str:
        try:
            return self._port.ask(command)
        except (OSError, ValueError, KeyError) as error:  # whatever the library raises
            raise DeviceError(f"{self.name} did not answer to {command!r}: {error}") from error


def open_laser(name: str, settings: LaserSettings, core: CoreSource) -> MyLaser:
    """Open the laser as it is; named in pyproject.toml under `rtsmlm.laser`.

    `core` gives the Micro-Manager core to a driver that needs one. This one does not call it.
    """
    answer_s = float(settings.options.get("answer_s", 0.5))
    try:
        return MyLaser(name, Port(Path(settings.device), answer_s))
    except OSError as error:
        raise DeviceError(f"{name} did not open at {settings.device}: {error}") from error
