"""Drills on whole programs: faults from outside, and the lasers are watched from outside, too."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.errors import RtsmlmError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.hil.host_program import FORKED
from rtsmlm.hil.outside import Moment
from rtsmlm.hil.programs import Program, end_process, host_program, live_program
from rtsmlm.hil.result import DrillResult, NotForThisRig
from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.simulated_heads import config_text, with_one_owner
from rtsmlm.settings.run import RunSettings

_NOTE_S = 3.0
_LATER_S = 1.2
_MORE_S = 2.0
"""How long beyond the limit it is watched, so that the report can tell how late it was."""

Start = Callable[[HilRig, str], AbstractContextManager[Program]]


@dataclass(frozen=True, slots=True)
class ProgramFault:
    """One fault of a whole program, and what must come of it."""

    name: str
    start: Start
    inject: Callable[[Program], Moment]
    limit_s: Callable[[HilRig], float]
    """From the fault to dark, all lasers."""
    reason: str
    """What the audit of the steered laser has to state, as a part of it."""
    after: Callable[[Program], str]
    """Ends the program, or lets it go on; returns what is wrong with that."""
    posix_only: bool = False


def dark_on_program_fault(fault: ProgramFault, rig: HilRig) -> DrillResult:
    """Run one drill: light on, the fault, all lasers dark, the reason in the audit.

    Raises
    ------
    RtsmlmError
        If there is no light to begin with.
    NotForThisRig
        If the fault cannot be provoked here.
    """
    if fault.posix_only and sys.platform == "win32":
        raise NotForThisRig("not applicable: Windows has no such signal")
    if not rig.traits_of(rig.steered).outlives_process:
        raise NotForThisRig("not applicable: the laser is simulated and ends with its process")
    limit_s = fault.limit_s(rig)
    with fault.start(rig, fault.name) as program:
        light, moment = program.light, fault.inject(program)
        dark_s = light.wait_dark(moment, limit_s + _MORE_S)
        reason = light.wait_for_row(rig.steered, moment, fault.reason, _NOTE_S)
        wrong = fault.after(program)
        again = light.dark_after_s(moment) > dark_s
    faults = [
        f"dark {dark_s:.2f} s after it" if not dark_s <= limit_s else "",
        "it came on again" if again else "",
        "" if reason else f"lasers.csv does not give the reason ({fault.reason or 'any'})",
        wrong,
        light.still_on(),
        _recording(program),
    ]
    return _judge(fault.name, [f for f in faults if f], dark_s, limit_s, reason)


def _judge(name: str, faults: list[str], dark_s: float, limit_s: float, reason: str) -> DrillResult:
    good = f"dark {dark_s:.2f} s later (limit {limit_s:g} s): {reason}"
    bad = f"{'; '.join(faults)} (limit {limit_s:g} s)"
    details = {"dark_s": dark_s, "limit_s": limit_s, "reason": reason}
    return DrillResult(name, not faults, bad if faults else good, details)


def _recording(program: Program) -> str:
    """Return what is wrong with the raw recording that the program left."""
    settings = program.rig.settings
    if not settings.record.raw:
        return ""
    try:
        with open_movie(program.folder.path, settings.movie) as movie:
            return "" if movie.n_frames > 0 else "its recording is empty"
    except RtsmlmError as error:
        return f"its recording cannot be read: {error}"


# -- what is done to a program: each returns when it was done ------------------------------------


def _press_ctrl_c(program: Program) -> Moment:
    moment = Moment()
    program.press_ctrl_c()
    return moment


def _signal(name: str) -> Callable[[Program], Moment]:
    def send(program: Program) -> Moment:
        moment = Moment()
        program.send(getattr(signal, name))
        return moment

    return send


def _order(text: str) -> Callable[[Program], Moment]:
    def order(program: Program) -> Moment:
        moment = Moment()
        program.order(text)
        return moment

    return order


def _kill(program: Program) -> Moment:
    moment = Moment()
    program.process.kill()
    return moment


def _freeze_terminal(program: Program) -> Moment:
    if program.terminal is not None:
        program.terminal.freeze()
    program.rig.pause(_LATER_S)  # until it has something to print
    return _signal("SIGTERM")(program)


def _kill_with_fork(program: Program) -> Moment:
    program.order("fork")
    for _ in range(500):
        if _forked(program):
            break
        program.rig.pause(0.01)
    return _kill(program)


def _forked(program: Program) -> int:
    """Return the number of the process that the host has forked; 0 as long as there is none."""
    path = program.folder.path
    path = path.with_name(f"{path.name}.{FORKED}")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return int(text or 0)


def _move_configuration_and_kill(program: Program) -> Moment:
    path = program.config.with_suffix(".cfg")
    path.rename(path.with_suffix(".moved"))
    return _kill(program)


def _with_own_configuration(rig: HilRig, name: str) -> AbstractContextManager[Program]:
    """Start `rtsmlm live` with a copy of the configuration that may be moved."""
    return live_program(rig, name, edit=lambda settings, config: _own(settings, config, str))


def _with_one_owner(rig: HilRig, name: str) -> AbstractContextManager[Program]:
    """Start `rtsmlm live` on lasers whose ports no other program can open beside it."""
    if any(rig.known_traits(laser).light_file is None for laser in rig.settings.lasers):
        raise NotForThisRig("for simulated lasers: ports of real ones are as they are")
    labels = [laser.device for laser in rig.settings.lasers.values()]

    def edit(settings: RunSettings, config: Path) -> RunSettings:
        return _own(settings, config, lambda text: with_one_owner(text, labels))

    return live_program(rig, name, edit=edit)


def _own(settings: RunSettings, config: Path, change: Callable[[str], str]) -> RunSettings:
    """Return the settings with a Micro-Manager configuration of their own beside them."""
    path = config.with_suffix(".cfg").resolve()
    path.write_text(change(config_text(settings)), encoding="utf-8")
    micromanager = settings.micromanager.model_copy(update={"config": str(path)})
    return settings.model_copy(update={"micromanager": micromanager})


def _in_terminal(rig: HilRig, name: str) -> AbstractContextManager[Program]:
    return live_program(rig, name, in_terminal=True)


# -- what has to come of it --------------------------------------------------------------------


def _ends(*codes: int) -> Callable[[Program], str]:
    """Return what waits for the end of the program, with one of these exit codes."""

    def wait(program: Program) -> str:
        code = program.wait_end()
        if code is None:
            return "the program did not end"
        return "" if code in codes else f"the program ended with code {code}"

    return wait


def _is_gone(program: Program) -> str:
    return "" if program.wait_end() is not None else "the program did not end"


def _is_gone_with_fork(program: Program) -> str:
    if pid := _forked(program):
        end_process(pid)
    return _is_gone(program)


def _goes_on_dark(program: Program) -> str:
    """Let it go on: its lasers stay dark, and it ends in order when it is asked to.

    A program whose laser has a port with one owner was ended instead.
    """
    if program.process.poll() is not None:
        return ""
    if hasattr(signal, "SIGCONT"):
        program.send(signal.SIGCONT)
    program.rig.pause(_LATER_S)
    if not program.light.all_dark:
        return "a laser came on when it went on"
    program.press_ctrl_c()
    return _is_gone(program)


def _stays_dark_and_ends(program: Program) -> str:
    """Wait until a host has its interpreter back; it is asked to end then."""
    program.rig.pause(_LATER_S)
    program.order("last-line")
    return _is_gone(program)


def _by_program(rig: HilRig) -> float:
    return rig.limits.dark_s


def _by_sentinel(rig: HilRig) -> float:
    return rig.limits.sentinel_s


def _after_silence(rig: HilRig) -> float:
    return rig.settings.safety.silence_s + rig.limits.sentinel_s


PROGRAM_FAULTS = (
    ProgramFault("ctrl-c", live_program, _press_ctrl_c, _by_program, "", _ends(0, 130)),
    ProgramFault(
        "ctrl-z", live_program, _signal("SIGTSTP"), _by_program, "", _goes_on_dark, posix_only=True
    ),
    ProgramFault(
        "terminal-frozen",
        _in_terminal,
        _freeze_terminal,
        _by_program,
        "",
        _ends(0, 143),
        posix_only=True,
    ),
    ProgramFault(
        "program-stopped",
        live_program,
        _signal("SIGSTOP"),
        _after_silence,
        "no beat",
        _goes_on_dark,
        posix_only=True,
    ),
    ProgramFault(
        "port-held",
        _with_one_owner,
        _signal("SIGSTOP"),
        _after_silence,
        "which was ended",
        _is_gone,
        posix_only=True,
    ),
    ProgramFault("program-killed", live_program, _kill, _by_sentinel, "sentinel", _is_gone),
    ProgramFault(
        "configuration-moved",
        _with_own_configuration,
        _move_configuration_and_kill,
        _by_sentinel,
        "sentinel",
        _is_gone,
    ),
    ProgramFault("host-exception", host_program, _order("exception"), _by_program, "", _is_gone),
    ProgramFault("host-last-line", host_program, _order("last-line"), _by_program, "", _is_gone),
    ProgramFault("host-ctrl-c", host_program, _press_ctrl_c, _by_program, "", _is_gone),
    ProgramFault(
        "host-blocked",
        host_program,
        _order("hold"),
        _after_silence,
        "no beat",
        _stays_dark_and_ends,
    ),
    ProgramFault(
        "child-left-behind",
        host_program,
        _kill_with_fork,
        _by_sentinel,
        "sentinel",
        _is_gone_with_fork,
        posix_only=True,
    ),
)
"""Every fault of a program as a whole; see `dark_drills` for those from within."""
