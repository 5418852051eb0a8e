"""`rtsmlm doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from rtsmlm import plugins
from rtsmlm.cli.console import console
from rtsmlm.cli.window import why_no_window
from rtsmlm.drivers.micromanager.gating import PAGE, devices_of_text, gating_of
from rtsmlm.engines.selection import localizer_names
from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.folder import free_mb, machine, versions
from rtsmlm.frames import CameraFrame
from rtsmlm.hil.simulated_heads import config_text
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.settings.load import load

_DISK_TEST_MB = 256
_ENOUGH_DISK_MB_S = 60  # 512x512 at 100 frames/s is 52 MB/s
_ENOUGH_FREE_MB = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    what: str
    found: str
    good: bool
    remedy: str = ""
    """What to do; empty where nothing is to be done."""


def doctor(
    config: Annotated[
        Path | None, typer.Argument(help="Run configuration of a rig, whose lasers are looked at.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder whose disk is tested.")] = Path("out"),
) -> None:
    """Check the installation: versions, devices, engines, disk speed, what is missing."""
    table = Table(title="rtsmlm doctor", show_lines=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    with console.status("looking around and testing the disk ..."):
        findings = [*examine(out), _gating(config)]
    for finding in findings:
        mark = "[green]ok[/]" if finding.good else "[yellow]![/]"
        table.add_row(mark, finding.what, escape(finding.found), escape(finding.remedy))
    console.print(table)
    console.print("versions: " + ", ".join(f"{k} {v}" for k, v in versions().items()))
    broken = [f.what for f in findings if not f.good and f.remedy.startswith("needed")]
    if broken:
        raise typer.Exit(1)


def examine(out: Path) -> Iterator[Finding]:
    """Yield the findings, one after the other."""
    about = machine()
    yield Finding(
        "machine", f"{about['processor']}, {about['cores']} cores, {about['system']}", True
    )
    checks: tuple[Callable[[], Finding], ...] = (
        _core,
        _micro_manager,
        _simulator,
        _localizers,
        _networks,
        _window,
        _shared_memory,
        _ring_speed,
        lambda: _disk(out),
    )
    for check in checks:
        yield check()
    yield from _faster_engines()
    for name in plugins.names("rtsmlm.camera"):
        yield _camera_driver(name)


def _core() -> Finding:
    from rtsmlm.drivers.micromanager.adapters import make_core

    core = make_core()
    return Finding(
        "Micro-Manager core", f"{core.getVersionInfo()}, {core.getAPIVersionInfo()}", True
    )


def _micro_manager() -> Finding:
    from rtsmlm.drivers.micromanager.adapters import DEMO_PACKAGE, FOR_CAMERAS, find_adapters

    found = find_adapters()
    if found and "mm_test_adapters" not in found:
        return Finding("device adapters", found, True)
    if found:
        return Finding(
            "device adapters",
            "the demo adapters (mm-test-adapters) only",
            True,
            f"for real cameras: {FOR_CAMERAS}, or set micromanager.adapter_paths",
        )
    return Finding(
        "device adapters",
        "none; the simulated microscope works without",
        True,
        f"for real cameras: {FOR_CAMERAS}; for the demo camera: {DEMO_PACKAGE}",
    )


def _simulator() -> Finding:
    from rtsmlm.session.devices import open_camera

    try:
        camera = open_camera(load(Path("demo.toml")))
    except RtsmlmError as error:
        return Finding("simulated microscope", str(error), False, "needed: reinstall rtsmlm")
    height, width = camera.shape
    camera.close()
    return Finding("simulated microscope", f"{camera.name}, {width}x{height}", True)


def _camera_driver(name: str) -> Finding:
    try:
        plugins.find_camera(name)
    except RtsmlmError as error:
        return Finding(f"camera driver {name}", str(error), False, "update that package")
    return Finding(f"camera driver {name}", "loads", True)


def _localizers() -> Finding:
    names = localizer_names()
    return Finding(
        "localizers", ", ".join(names), bool(names), "" if names else "needed: reinstall"
    )


def _networks() -> Finding:
    from rtsmlm.engines.openvino import best_precision
    from rtsmlm.engines.runtimes import AUTO, engine_of

    engine = engine_of(AUTO)
    if engine != "openvino":
        return Finding("networks", f"run on {engine}, on the GPU", True)
    precision = best_precision()
    remedy = "" if precision != "f32" else "a processor with VNNI or AMX is twice as fast"
    return Finding("networks", f"run on OpenVINO, on the CPU, {precision}", True, remedy)


def _faster_engines() -> Iterator[Finding]:
    """Yield why each engine that is faster than the one that runs would not."""
    from rtsmlm.engines.runtimes import ORDER, why_not

    for engine in ORDER:
        if not (reason := why_not(engine)):
            return
        yield Finding(f"engine {engine}", f"not used: {reason}", True)


def _window() -> Finding:
    why_not = why_no_window()
    if why_not is None:
        return Finding("window", "rtsmlm live opens it", True)
    return Finding(
        "window", f"none, {why_not}", True, "runs need none; elsewhere rtsmlm view opens it on them"
    )


def _gating(config: Path | None) -> Finding:
    """Tell whether the lasers of a rig follow the exposure signal; loads no device."""
    what = "gating of the lasers"
    if config is None:
        return Finding(
            what,
            f"not known; gate them by the camera's exposure signal ({PAGE})",
            True,
            "rtsmlm doctor rig.toml looks at a rig",
        )
    settings = load(config)
    devices = devices_of_text(config_text(settings), settings.micromanager.properties)
    found = gating_of(devices, settings.lasers, settings.micromanager.camera or "")
    return Finding(what, found.sentence, not found.not_known)


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")  # noqa: S108  # where Linux keeps it; other systems have no limit
    if sys.platform != "linux" or not folder.is_dir():
        return Finding("shared memory", "as much as there is memory", True)
    free = shutil.disk_usage(folder).free / 2**20
    good = free > 256
    return Finding(
        "shared memory",
        f"{free:.0f} MB free",
        good,
        "" if good else "give the container more (--shm-size=1g), or lower pipeline.ring_mb",
    )


def _ring_speed() -> Finding:
    pixels = np.zeros((512, 512), np.uint16)
    n = 400
    with FrameRing.create(pixels.shape, 64) as ring:
        start = now_ns()
        for k in range(n):
            ring.push(CameraFrame(pixels, k, start))
            ring.release(1)
        seconds = (now_ns() - start) / 1e9
    return Finding("frame ring", f"{n / seconds:.0f} frames/s of 512x512", True)


def _disk(out: Path) -> Finding:
    block = np.random.default_rng(0).integers(0, 2**16, 2**19, dtype=np.uint16).tobytes()
    folder = out
    while not folder.is_dir():
        folder = folder.parent
    free = free_mb(folder)
    if free < 2 * _DISK_TEST_MB:
        return Finding("disk", f"{free:.0f} MB free", False, "needed: free the disk of results.out")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="rtsmlm-disk-test-") as file:
            start = now_ns()
            for _ in range(_DISK_TEST_MB):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            speed = _DISK_TEST_MB / ((now_ns() - start) / 1e9)
    except OSError as error:
        return Finding("disk", f"{folder.resolve()}: {error}", False, "needed: a writable folder")
    hints = []
    if speed < _ENOUGH_DISK_MB_S:
        hints.append("record to a faster disk (results.out)")
    if free < _ENOUGH_FREE_MB:
        hints.append("make room")
    text = f"{folder.resolve()}: writes {speed:.0f} MB/s, {free / 1000:.0f} GB free"
    return Finding("disk", text, not hints, "; ".join(hints))
