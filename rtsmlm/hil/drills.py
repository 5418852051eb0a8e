"""All drills and checks by name, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from rtsmlm.errors import ConfigError, RtsmlmError
from rtsmlm.hil.camera_checks import camera_rate, latency, no_frame_lost
from rtsmlm.hil.dark_drills import dark_on_fault
from rtsmlm.hil.dark_faults import FAULTS
from rtsmlm.hil.laser_checks import cap_refused, laser_limits, read_back
from rtsmlm.hil.program_drills import PROGRAM_FAULTS, dark_on_program_fault
from rtsmlm.hil.result import DrillResult, NotForThisRig
from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.step_response import step_response
from rtsmlm.realtime.clock import now_ns

Run: TypeAlias = Callable[[HilRig], DrillResult]


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill or check."""

    name: str
    run: Run
    needs_light: bool = True
    """It is run only with --arm."""


DARK_DRILLS = (
    *(Drill(fault.name, partial(dark_on_fault, fault)) for fault in FAULTS),
    *(Drill(fault.name, partial(dark_on_program_fault, fault)) for fault in PROGRAM_FAULTS),
)
"""Light on, a fault, and the time until the lasers are dark."""

DRILLS = (
    Drill("camera-rate", camera_rate, needs_light=False),
    Drill("no-frame-lost", no_frame_lost, needs_light=False),
    Drill("latency", latency, needs_light=False),
    Drill("laser-limits", laser_limits, needs_light=False),
    Drill("cap-refused", cap_refused, needs_light=False),
    Drill("read-back", read_back),
    *DARK_DRILLS[: len(FAULTS)],
    Drill("step-response", step_response),
    # Last: the rig is closed for them.
    *DARK_DRILLS[len(FAULTS) :],
)


def named(names: Sequence[str]) -> list[Drill]:
    """Return drills by their names, all of them where none is named.

    Raises
    ------
    ConfigError
        If there is none of a name.
    """
    known = {drill.name: drill for drill in DRILLS}
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no drill {name!r}; there are {', '.join(known)}")
    return [drill for drill in DRILLS if not names or drill.name in names]


def run_drill(drill: Drill, rig: HilRig) -> DrillResult:
    """Run one; whatever goes wrong on the way is a failure of the drill, and the next can be run.

    Parameters
    ----------
    drill
        What to run.
    rig
        On what.
    """
    if drill.needs_light and not rig.arm:
        return DrillResult(drill.name, None, "not run: needs --arm")
    begin_ns = now_ns()
    try:
        result = drill.run(rig)
    except NotForThisRig as reason:
        result = DrillResult(drill.name, None, str(reason))
    except RtsmlmError as error:
        result = DrillResult(drill.name, False, str(error))
    return replace(result, seconds=(now_ns() - begin_ns) / 1e9)
