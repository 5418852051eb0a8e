"""Whole programs for drills: `rtsmlm live --arm`, and a host program that uses `rtsmlm.attach`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import tomli_w

from rtsmlm.errors import DeviceError
from rtsmlm.files.run.folder import RunFolder, write_text
from rtsmlm.hil.outside import OutsideView
from rtsmlm.hil.result import NotForThisRig
from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.terminal import FreezableTerminal
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings.run import RunSettings

_START_S = 120.0
_END_S = 60.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Program:
    """A program of its own with all lasers of the rig on."""

    rig: HilRig
    process: subprocess.Popen[bytes]
    folder: RunFolder
    config: Path
    """Its run configuration."""
    light: OutsideView
    terminal: FreezableTerminal | None = None
    """Where it prints, if that is a terminal."""

    def send(self, number: int) -> None:
        """Send a signal; one that has ended gets none."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """Do what Ctrl-C in its terminal does."""
        self.send(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))

    def order(self, text: str) -> None:
        """Write a line to a host program, which acts on it."""
        stream = self.process.stdin
        if stream is None:
            raise DeviceError("this program takes no orders")
        stream.write(f"{text}\n".encode())
        stream.flush()

    def wait_end(self, timeout_s: float = _END_S) -> int | None:
        """Return its exit code; None if it does not end."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None


Edit: TypeAlias = Callable[[RunSettings, Path], RunSettings]
"""Changes the settings of a run; gets the path at which they are going to lie."""


@contextmanager
def live_program(
    rig: HilRig, name: str, *, edit: Edit | None = None, in_terminal: bool = False
) -> Iterator[Program]:
    """Start `rtsmlm live --arm` on the rig and wait for its light; it is gone in the end.

    Parameters
    ----------
    rig
        It is closed meanwhile: a port belongs to one process.
    name
        Name of the run.
    edit
        Changes the settings, which are those of drills.
    in_terminal
        Let it print to a terminal of its own.
    """
    with _prepared(rig, name, edit) as (folder, config):
        command = ["-m", "rtsmlm.cli", "live", str(config), "--headless", "--arm", "--out"]
        with _started(rig, [*command, str(folder.path)], folder, config, in_terminal) as program:
            yield program


@contextmanager
def host_program(rig: HilRig, name: str, *, edit: Edit | None = None) -> Iterator[Program]:
    """Start a host program that attaches to its own core; see `live_program`."""
    with _prepared(rig, name, edit) as (folder, config):
        command = ["-m", "rtsmlm.hil.host_program", str(config), str(folder.path)]
        with _started(rig, command, folder, config, False) as program:
            yield program


@contextmanager
def _prepared(rig: HilRig, name: str, edit: Edit | None) -> Iterator[tuple[RunFolder, Path]]:
    """Write the configuration of a run and close the rig."""
    if not rig.arm:
        raise NotForThisRig("it needs --arm")
    rig.steered  # noqa: B018 - raises where there is none
    settings = rig.drill_settings()
    rig.close()
    folder = RunFolder(_free(rig.folder / "runs", name))
    rig.last_run = folder
    config = folder.path.with_name(f"{folder.path.name}.toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    if edit is not None:
        settings = edit(settings, config)
    data = settings.model_dump(mode="json", exclude_none=True, exclude={"run"})
    write_text(config, tomli_w.dumps(data))
    yield folder, config


@contextmanager
def _started(
    rig: HilRig, command: Sequence[str], folder: RunFolder, config: Path, in_terminal: bool
) -> Iterator[Program]:
    log = config.with_suffix(".log")
    terminal = FreezableTerminal(log) if in_terminal else None
    with OutsideView(rig, folder) as light, log.open("ab") as file:
        output = file.fileno() if terminal is None else terminal.fileno
        process = subprocess.Popen(
            [sys.executable, "-P", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        program = Program(rig, process, folder, config, light, terminal)
        try:
            _wait_lit(program, log)
            rig.pause(rig.fault_delay_s)
            yield program
        finally:
            _end(program)
            if terminal is not None:
                terminal.close()


def _wait_lit(program: Program, log: Path) -> None:
    until_ns = now_ns() + round(_START_S * 1e9)
    while not program.light.is_lit:
        if program.process.poll() is not None or now_ns() > until_ns:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise DeviceError(
                f"the program gave no light within {_START_S:g} s: "
                f"{said[-1] if said else 'it printed nothing'} ({log})"
            )
        program.rig.pause(_POLL_S)


def _end(program: Program) -> None:
    """End the program, whatever state it is in."""
    process = program.process
    if process.poll() is None:
        if hasattr(signal, "SIGCONT"):
            program.send(signal.SIGCONT)
        process.terminate()
        if program.wait_end() is None:
            process.kill()
            process.wait(_END_S)
    if process.stdin is not None:
        with suppress(OSError):  # it has ended with a line of ours unread
            process.stdin.close()


def _free(out: Path, name: str) -> Path:
    path, n = out / name, 2
    while path.exists() or path.with_name(f"{path.name}.toml").exists():
        path, n = out / f"{name}_{n}", n + 1
    return path


def end_process(pid: int) -> None:
    """Kill a process that a drill has left behind."""
    with suppress(OSError):
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
