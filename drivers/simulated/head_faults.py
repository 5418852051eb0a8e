"""Faults of a simulated laser head that are switched on from outside, while another program has it.

They lie beside the state file, in `<state file>.faults.json`, and are read at every call: a drill
or a test writes them, the head obeys them in whichever process it is open.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from rtsmlm.errors import DeviceError

Call = Literal["none", "read", "set", "off", "any"]
"""Which calls a fault concerns: questions, commands that give light, the command that ends it."""
Gone = Literal["none", "nan", "text", "error"]
"""How the power meter fails: it tells NaN, a text without a number, or it does not answer."""


@dataclass(frozen=True, slots=True)
class HeadFaults:
    """What is wrong with a head; by default nothing."""

    hang: Call = "none"
    """These calls do not return for `hang_s`; then the head obeys."""
    hang_s: float = 10.0
    fail_after_hang: bool = False
    """Such a call raises in the end, although the head has obeyed."""
    refuse: Call = "none"
    """These calls raise, and change nothing."""
    late_s: float = 0.0
    """The light follows a command so much later; the head answers at once."""
    ignore_off: bool = False
    """The command to go off is taken, and the light stays on."""
    echo_mw: float | None = None
    """The set point that is answered, whatever was set; 0 answers that emission is off."""
    meter_factor: float = 1.0
    """The power meter tells so many times the light."""
    meter_pattern: str = "1"
    """In which of its answers it does, one after the other and again: "11000" is 2 of 5."""
    meter_gone: Gone = "none"
    interlock: Literal["OK", "OPEN"] = "OK"
    """What the head answers; the light itself is not cut."""
    most_nan: bool = False
    """The head tells NaN as its highest power."""

    def __post_init__(self) -> None:
        """Check what may come from a file.

        Raises
        ------
        DeviceError
            If a value is none of those that there are.
        """
        choices = (
            ("hang", self.hang, get_args(Call)),
            ("refuse", self.refuse, get_args(Call)),
            ("meter_gone", self.meter_gone, get_args(Gone)),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise DeviceError(f"fault {name} is {value!r}; it is one of {', '.join(allowed)}")
        if not self.meter_pattern or set(self.meter_pattern) - {"0", "1"}:
            raise DeviceError(
                f"fault meter_pattern is {self.meter_pattern!r}; it is made of 0 and 1"
            )
        for name, seconds in (("hang_s", self.hang_s), ("late_s", self.late_s)):
            if not 0 <= seconds < math.inf:
                raise DeviceError(f"fault {name} is {seconds}; it is 0 s or more")

    def hangs(self, call: Call) -> bool:
        """Return True if such a call does not return for a while."""
        return self.hang in (call, "any")

    def refuses(self, call: Call) -> bool:
        """Return True if such a call raises."""
        return self.refuse in (call, "any")

    def metered_mw(self, light_mw: float, n_before: int) -> float:
        """Return what the power meter tells.

        Parameters
        ----------
        light_mw
            The light that there is.
        n_before
            How many answers it gave before.
        """
        wrong = self.meter_pattern[n_before % len(self.meter_pattern)] == "1"
        return light_mw * self.meter_factor if wrong else light_mw


NO_FAULTS = HeadFaults()


def faults_path(state: Path) -> Path:
    """Return where the faults of a head lie, by its state file."""
    return state.with_name(f"{state.name}.faults.json")


def read_faults(state: Path) -> HeadFaults:
    """Return the faults that are switched on.

    Raises
    ------
    DeviceError
        If the file holds something else.
    """
    path = faults_path(state)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return NO_FAULTS
    except (OSError, ValueError) as error:
        raise DeviceError(f"{path} holds no faults of a laser: {error}") from error
    known = {field.name for field in fields(HeadFaults)}
    if not isinstance(data, dict) or (unknown := set(data) - known):
        raise DeviceError(
            f"{path} holds no faults of a laser"
            + (f": unknown {', '.join(sorted(unknown))}" if isinstance(data, dict) else "")
        )
    return HeadFaults(**data)


def write_faults(state: Path, faults: HeadFaults = NO_FAULTS) -> None:
    """Switch faults on, in place of those there were; without any, all is well again.

    Parameters
    ----------
    state
        State file of the head.
    faults
        What is wrong from now on.
    """
    path = faults_path(state)
    if faults == NO_FAULTS:
        path.unlink(missing_ok=True)
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(asdict(faults)), encoding="utf-8")
    partial.replace(path)
