"""Pictures of the window for the documentation: `python -m rtsmlm.viewer.screenshot OUT`.

Runs the simulated microscope with the loop closed for some seconds and shows its stream, so that
the pictures stay true.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SECONDS = 45.0
"""Of the run; compiling included."""
_READY_S = 60.0
_SHARE = 0.6
"""Of the run, from its first rows on: it must not be over."""
_SIZE = (1280, 800)
_RATIO = "2"
_PORT = 5791


def main(arguments: list[str] | None = None) -> int:
    """Write window-dark.png and window-light.png; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rtsmlm.viewer.screenshot", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of the run")
    parser.add_argument("--ratio", default=_RATIO, help="pixels of the picture per pixel")
    parser.add_argument("--size", type=int, nargs=2, default=_SIZE, help="width and height")
    given = parser.parse_args(arguments)
    # Before Qt is loaded; a screen is neither needed nor disturbed.
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = given.ratio
    with tempfile.TemporaryDirectory(prefix="rtsmlm-") as folder:
        run = _start_run(Path(folder), given.seconds)
        try:
            done = _take(given.out, Path(folder), given.seconds, tuple(given.size), run)
        finally:
            run.terminate()
            run.wait()
    return 0 if done else 1


def _start_run(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "rtsmlm.cli", "live", "hil_sim.toml", "--arm"]
    command += ["--headless", "--seconds", f"{seconds:g}", "--out", str(folder / "demo")]
    for text in ("localizer.name=gaussian-mle", f"stream.address=tcp://127.0.0.1:{_PORT}"):
        command += ["--set", text]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _take(
    out: Path, folder: Path, seconds: float, size: tuple[int, int], run: subprocess.Popen[bytes]
) -> bool:
    """Show the run, then save the pictures while it goes on; False if there were no rows."""
    from rtsmlm.viewer.app import application, open_window
    from rtsmlm.viewer.sources.open_source import open_source

    class Clicks:
        """A control, so that the buttons show as usable."""

        def ask(self, command: Any) -> None:
            """Do nothing."""

    app = application()
    window = open_window(
        open_source(f"tcp://127.0.0.1:{_PORT}"), Clicks(), settings_file=folder / "window.ini"
    )
    window.walk_through.hide()
    window.resize(*size)
    until_s = time.monotonic() + _READY_S
    while time.monotonic() < until_s and run.poll() is None:
        app.processEvents()
        run_began = window.series.curves["emitters"].points()[0].size > 0
        if run_began and until_s - time.monotonic() > seconds:
            until_s = time.monotonic() + _SHARE * seconds
    out.mkdir(parents=True, exist_ok=True)
    for theme in ("dark", "light"):
        window.set_theme(theme)
        window.report("")
        _settle(app, window)
        window.grab().save(str(out / f"window-{theme}.png"))
    pyramid = window.super_res.drawing.picture.pyramid
    has_rows = pyramid is not None and pyramid.n_inside > 0
    window.close()
    return has_rows


def _settle(app: Any, window: Any) -> None:
    until_s = time.monotonic() + 1.5
    while time.monotonic() < until_s:
        app.processEvents()
    window.refresher.tick()


if __name__ == "__main__":
    sys.exit(main())
