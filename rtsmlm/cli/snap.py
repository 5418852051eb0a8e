"""One frame between two runs."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import tifffile
from rich.markup import escape

from rtsmlm.cli.console import console
from rtsmlm.session.devices import open_camera
from rtsmlm.settings.run import RunSettings


def take_frame(settings: RunSettings) -> Path:
    """Take one frame into a file beside the runs, and return its path."""
    camera = open_camera(settings)
    try:
        [frame] = camera.stream(threading.Event(), 1)
        folder = settings.results.out
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"snap_{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}.tif"
        tifffile.imwrite(path, frame.pixels)
    finally:
        camera.close()
    console.print(f"snap     {escape(str(path))}")
    return path.absolute()
