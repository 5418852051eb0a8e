"""Localize what another program records: its core, its camera, its settings.

The core here is that of a pymmcore-plus program with the simulated microscope. In napari, in a
script or in your own acquisition it is the one that you have; rtsmlm unloads nothing of it.

    python examples/attach.py
"""

from __future__ import annotations

import sys

from pymmcore_plus.experimental.unicore import UniMMCore

import rtsmlm
from rtsmlm.settings.load import packaged


def main(*overrides: str) -> None:
    """Record 300 frames of 128 x 128 pixels; `overrides` as with `rtsmlm live --set`."""
    core = UniMMCore()
    core.loadSystemConfiguration(str(packaged("sim_microscope.cfg")))
    core.setProperty("Camera", "Width", 128)
    core.setProperty("Camera", "Height", 128)
    core.setExposure(10)

    session = rtsmlm.attach(
        core, overrides=("acquisition.frames=300", "psf.sigma_nm=130", *overrides)
    )
    while not session.wait(0.5):  # your program goes on; here it only prints
        status = session.status()
        print(f"{status.totals.localized} frames, {status.localizations} localizations")
    report = session.close()

    print(report.verdict)
    print(f"table, image and report: {report.folder}")
    core.unloadAllDevices()


if __name__ == "__main__":
    main(*sys.argv[1:])
