"""A laser whose light is a file: it shines on when the program that steered it is dead."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pymmcore_plus.experimental.unicore.devices._shutter import ShutterDevice

from rtsmlm.drivers.simulated.head_faults import NO_FAULTS, Call, HeadFaults, read_faults
from rtsmlm.drivers.simulated.head_file import Head, HeadFile, HeadState, read_head
from rtsmlm.drivers.simulated.port_lock import PortLock
from rtsmlm.drivers.simulated.properties import add_property, to_bool
from rtsmlm.errors import DeviceError

_HANG_POLL_S = 0.02


def light_mw(path: Path) -> float:
    """Return the power that a laser of this file emits, in mW; 0 where there is no file.

    Raises
    ------
    DeviceError
        If the file is not one of a `FileLaser`.
    """
    state = read_head(path)
    return 0.0 if state is None else state.light_mw


class FileLaser(ShutterDevice):
    """A laser head whose state is kept in a JSON file: `power_mw` and `on`.

    For drills: kill the process, then read the file as one would check the bench. Like an
    OBIS it has a least power, is dark with `State` 0 only, keeps what it was when it is loaded
    again, and is not switched off by unloading. Set `StateFile` first, in the .cfg file or after
    loading; without it the head is dark and takes no command. With `Exclusive` 1 its port has one
    owner at a time, and loading it a second time fails.

    `PowerMeasured_mW` is a photodiode in the beam. What can go wrong with the head is switched on
    from outside, by a file beside that of its state; see `head_faults`.

    Parameters
    ----------
    min_mw, max_mw
        Limits of the head.
    """

    def __init__(self, min_mw: float = 1.0, max_mw: float = 100.0) -> None:
        super().__init__()
        self._min_mw, self._max_mw = min_mw, max_mw
        self._path: Path | None = None
        self._head: Head | None = None
        self._port: PortLock | None = None
        self._is_exclusive = False
        self._n_metered = 0
        self._add_port()
        self._add_light()

    def _add_port(self) -> None:
        add_property(
            self,
            "StateFile",
            str,
            lambda: "" if self._path is None else str(self._path),
            self._set_path,
        )
        add_property(
            self,
            "Exclusive",
            int,
            lambda: int(self._is_exclusive),
            self._set_exclusive,
            choices=("0", "1"),
        )

    def _add_light(self) -> None:
        limits = (self._min_mw, self._max_mw)
        add_property(
            self, "PowerSetpoint", float, self._setpoint_mw, self.set_power_mw, limits=limits
        )
        add_property(
            self,
            "State",
            int,
            lambda: int(self.get_open()),
            lambda value: self.set_open(to_bool(value)),
            choices=("0", "1"),
        )
        add_property(self, "PowerMeasured_mW", float, self._measured_mw)
        add_property(self, "Interlock", str, self._interlock)
        add_property(self, "Minimum Laser Power", float, lambda: self._min_mw)
        add_property(
            self,
            "Maximum Laser Power",
            float,
            lambda: math.nan if self._faults().most_nan else self._max_mw,
        )

    def shutdown(self) -> None:
        """Release the port; the head stays as it is."""
        if self._port is not None:
            self._port.release()
            self._port = None

    def get_open(self) -> bool:
        """Return True if the head answers that it emits.

        Raises
        ------
        DeviceError
            If the head does not answer.
        """
        with self._call("read") as faults:
            return self._state().set_on if faults.echo_mw is None else faults.echo_mw > 0

    def set_open(self, open: bool) -> None:  # noqa: A002 - the name is the base class's
        """Switch emission on or off.

        Raises
        ------
        DeviceError
            If the head does not answer, or its file cannot be written.
        """
        with self._call("set" if open else "off") as faults:
            head = self._ready_head()
            if not open and faults.ignore_off:
                head.put_on(False, obey=False)
            else:
                self._put(head.put_on, open, faults.late_s)

    def set_power_mw(self, power_mw: float) -> None:
        """Set the power of the head.

        Raises
        ------
        DeviceError
            If the head does not answer, cannot give this power, or its file cannot be written.
        """
        with self._call("set") as faults:
            if not (math.isfinite(power_mw) and self._min_mw <= power_mw <= self._max_mw):
                raise DeviceError(
                    f"{self._title} asked for {power_mw} mW; the head gives {self._min_mw} to "
                    f"{self._max_mw} mW (State 0 is dark)"
                )
            self._put(self._ready_head().put_power, float(power_mw), faults.late_s)

    def _put(self, put: Callable[..., None], value: float | bool, late_s: float) -> None:
        if late_s == 0:
            put(value)
            return
        put(value, obey=False)
        later = threading.Timer(late_s, put, (value,), {"set_too": False})
        later.daemon = True  # a head that obeys late keeps no program from ending
        later.start()

    def _setpoint_mw(self) -> float:
        with self._call("read") as faults:
            return self._state().set_mw if not faults.echo_mw else faults.echo_mw

    def _measured_mw(self) -> float | str:
        with self._call("read") as faults:
            if faults.meter_gone == "error":
                raise DeviceError("the power meter does not answer")
            if faults.meter_gone != "none":
                return math.nan if faults.meter_gone == "nan" else ""
            metered_mw = faults.metered_mw(self._state().light_mw, self._n_metered)
            self._n_metered += 1
            return metered_mw

    def _interlock(self) -> str:
        with self._call("read") as faults:
            return faults.interlock

    @property
    def _title(self) -> str:
        return "laser"

    # -- port and file -----------------------------------------------------------------------

    def _set_path(self, path: str) -> None:
        self._path = Path(path) if path else None
        # A head that is plugged in for the first time is dark.
        if self._path is not None:
            self._head = HeadFile(self._path, self._min_mw)
        self._take_port()

    def _set_exclusive(self, value: object) -> None:
        self._is_exclusive = to_bool(value)
        self._take_port()

    def _take_port(self) -> None:
        self.shutdown()
        if self._is_exclusive and self._path is not None:
            self._port = PortLock(self._path.with_name(f"{self._path.name}.port"))

    def _ready_head(self) -> Head:
        if self._head is None:
            raise DeviceError("the file laser has no file yet; set its property StateFile first")
        return self._head

    def _state(self) -> HeadState:
        # UniMMCore reads all properties while it loads a .cfg file, before StateFile is set.
        return (
            HeadState(self._min_mw, set_mw=self._min_mw)
            if self._head is None
            else (self._head.read())
        )

    # -- faults ------------------------------------------------------------------------------

    def _faults(self) -> HeadFaults:
        return NO_FAULTS if self._path is None else read_faults(self._path)

    @contextmanager
    def _call(self, kind: Call) -> Iterator[HeadFaults]:
        """Go through a call with what is wrong at its start."""
        faults = self._faults()
        if faults.refuses(kind):
            raise DeviceError("the head refuses (fault of a drill)")
        if faults.hangs(kind):
            self._hang(kind, faults.hang_s)
        yield faults
        if faults.hangs(kind) and faults.fail_after_hang:
            raise DeviceError("the head did not answer in time (fault of a drill)")

    def _hang(self, kind: Call, hang_s: float) -> None:
        until_s = time.monotonic() + hang_s
        # The fault may be switched off again: a test does not leave a thread behind.
        while time.monotonic() < until_s and self._faults().hangs(kind):
            time.sleep(_HANG_POLL_S)
