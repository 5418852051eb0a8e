"""Drills on the whole command in a process of its own: Ctrl-C, and a death without a word."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import tomli_w

from rtsmlm import plugins
from rtsmlm.drivers.micromanager.lasers_only import core_of_lasers, read_configuration
from rtsmlm.drivers.simulated.file_laser import light_mw
from rtsmlm.errors import DeviceError, FileFormatError
from rtsmlm.files.run.folder import RunFolder, write_text
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.hil.result import DrillResult, NotForThisRig
from rtsmlm.hil.rig import HilRig
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings.run import RunSettings

_START_S = 120.0
_END_S = 60.0
_NOTE_S = 3.0
_POLL_S = 0.02


def ctrl_c(rig: HilRig) -> DrillResult:
    """Stop the live command from the keyboard, and see when its lasers were dark."""
    limit_s = rig.limits.dark_s
    with _live(rig, "ctrl-c") as (process, folder):
        t_ns, t_utc = now_ns(), datetime.now(UTC)
        _press_ctrl_c(process)
        dark_s = _seen_dark(rig, folder, t_ns, t_utc, limit_s + 2.0)
        code = process.wait(_END_S)
    reason = _reason(rig, folder, lambda row: row["kind"] == "dark")
    left_on = _still_on(rig, folder)
    faults = [
        f"dark {dark_s:.2f} s after Ctrl-C" if not dark_s <= limit_s else "",
        "lasers.csv does not record the shutdown" if not reason else "",
        f"the command ended with code {code}" if code not in (0, 130) else "",
        left_on,
    ]
    return _judge("ctrl-c", [f for f in faults if f], dark_s, limit_s, reason)


def killed(rig: HilRig) -> DrillResult:
    """Kill the live command, and see the sentinel turn its lasers dark."""
    if not rig.traits_of(rig.steered).outlives_process:
        raise NotForThisRig("not applicable: the laser is simulated and ends with its process")
    limit_s = rig.limits.sentinel_s
    with _live(rig, "killed") as (process, folder):
        t_ns, t_utc = now_ns(), datetime.now(UTC)
        process.kill()
        process.wait(_END_S)
        dark_s = _seen_dark(rig, folder, t_ns, t_utc, limit_s + 5.0, by="sentinel")
    reason = _reason(rig, folder, lambda row: "sentinel" in row["reason"])
    left_on = _still_on(rig, folder)
    faults = [
        f"dark {dark_s:.2f} s after the death" if not dark_s <= limit_s else "",
        "lasers.csv does not record the sentinel" if not reason else "",
        left_on,
    ]
    return _judge("program-killed", [f for f in faults if f], dark_s, limit_s, reason)


def _judge(name: str, faults: list[str], dark_s: float, limit_s: float, reason: str) -> DrillResult:
    good = f"dark {dark_s:.2f} s later (limit {limit_s:g} s): {reason}"
    bad = f"{'; '.join(faults)} (limit {limit_s:g} s)"
    details = {"dark_s": dark_s, "limit_s": limit_s, "reason": reason}
    return DrillResult(name, not faults, bad if faults else good, details)


@contextmanager
def _live(rig: HilRig, name: str) -> Iterator[tuple[subprocess.Popen[bytes], RunFolder]]:
    """Start `rtsmlm live --arm` on the rig and wait for its light; it is gone in the end."""
    settings = rig.drill_settings()
    if not rig.arm:
        raise NotForThisRig("it needs --arm")
    rig.steered  # noqa: B018 - raises where there is none
    rig.close()  # a port belongs to one process
    folder = RunFolder(_free(rig.folder / "runs", name))
    config = rig.folder / "runs" / f"{folder.path.name}.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    data = settings.model_dump(mode="json", exclude_none=True, exclude={"run"})
    write_text(config, tomli_w.dumps(data))
    command = [sys.executable, "-P", "-m", "rtsmlm.cli", "live", str(config), "--headless", "--arm"]
    with config.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--out", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    try:
        _wait(rig, lambda: _is_lit(rig, folder), process, config.with_suffix(".log"))
        yield process, folder
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_END_S)


def _free(out: Path, name: str) -> Path:
    path, n = out / name, 2
    while path.exists():
        path, n = out / f"{name}_{n}", n + 1
    return path


def _press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))


def _wait(
    rig: HilRig, done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path
) -> None:
    until_ns = now_ns() + round(_START_S * 1e9)
    while not done():
        if process.poll() is not None or now_ns() > until_ns:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise DeviceError(
                f"the live command gave no light within {_START_S:g} s: "
                f"{said[-1] if said else 'it printed nothing'} ({log})"
            )
        rig.pause(_POLL_S)


def _is_lit(rig: HilRig, folder: RunFolder) -> bool:
    return any(float(row["sent"] or 0) > 0 for row in _rows(folder, rig.steered))


def _seen_dark(
    rig: HilRig,
    folder: RunFolder,
    t_ns: int,
    t_utc: datetime,
    limit_s: float,
    by: str = "",
) -> float:
    """Return when the steered laser was dark, in s: by its light where it is seen, else by log."""
    light = rig.known_traits(rig.steered).light_file
    while (now_ns() - t_ns) / 1e9 < limit_s:
        if light is not None and light_mw(light) == 0.0:
            return (now_ns() - t_ns) / 1e9
        if light is None:
            for row in _rows(folder, rig.steered):
                when = datetime.fromisoformat(row["time_utc"])
                if when >= t_utc and row["kind"] in ("dark", "trip") and by in row["reason"]:
                    return (when - t_utc).total_seconds()
        rig.pause(_POLL_S)
    return math.inf


def _still_on(rig: HilRig, folder: RunFolder) -> str:
    """Ask lasers that outlive a process whether they are on; return what is wrong."""
    settings: RunSettings = rig.settings
    outlive = {
        name: laser
        for name, laser in settings.lasers.items()
        if rig.known_traits(name).outlives_process
    }
    if not outlive:
        return ""
    with core_of_lasers(read_configuration(settings.micromanager), outlive.values()) as core:
        for name, laser in outlive.items():
            actuator = plugins.find_laser(laser.driver)(name, laser, core)
            power = actuator.setpoint()
            actuator.close()
            if power != 0.0:
                return f"{name} is still at {power:g} when it is asked afterwards"
    return ""


def _reason(rig: HilRig, folder: RunFolder, is_it: Callable[[dict[str, str]], bool]) -> str:
    """Return the reason of the end in the log; the sentinel writes after it has acted."""
    until_ns = now_ns() + round(_NOTE_S * 1e9)
    while True:
        for row in _rows(folder, rig.steered):
            if is_it(row):
                return row["reason"]
        if now_ns() > until_ns:
            return ""
        rig.pause(_POLL_S)


def _rows(folder: RunFolder, laser: str) -> list[dict[str, str]]:
    if not folder.lasers.is_file():
        return []
    try:
        return [row for row in read_laser_log(folder.lasers) if row["actuator"] == laser]
    except FileFormatError:  # its first line is being written
        return []
