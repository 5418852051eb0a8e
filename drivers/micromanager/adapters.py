"""Device adapters: where they are found, a core that knows them, and what to do without them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pymmcore_plus import find_micromanager
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.library_log import without_library_errors

DEMO_PACKAGE = "pip install mm-test-adapters"
"""A small package from PyPI with the adapters of `DEMO_ADAPTERS`, without Micro-Manager."""
DEMO_ADAPTERS = frozenset({"DemoCamera", "NotificationTester", "SequenceTester", "Utilities"})
FOR_CAMERAS = "mmcore install"


def make_core(adapter_paths: Sequence[str | Path] = ()) -> UniMMCore:
    """Return a core without devices.

    Parameters
    ----------
    adapter_paths
        Folders of device adapters; none takes the Micro-Manager that is found, if there is one.
    """
    with without_library_errors():
        return UniMMCore(adapter_paths=[str(path) for path in adapter_paths])


def find_adapters() -> str | None:
    """Return the folder of the device adapters that are found without settings, or None."""
    with without_library_errors():
        return find_micromanager()


def adapter_advice(adapter_paths: Sequence[Path], configuration: str) -> str:
    """Return what to do where a configuration could not be loaded; empty if it needs no adapter.

    Parameters
    ----------
    adapter_paths
        Folders that the settings name.
    configuration
        Text of the Micro-Manager configuration.
    """
    lines = re.findall(r"^\s*Device\s*,[^,]*,([^,]*),", configuration, re.MULTILINE)
    needed = {library.strip() for library in lines}
    if not needed:
        return ""
    if adapter_paths:
        return "See which adapters fit this release of pymmcore with: mmcore list"
    if found := find_adapters():
        return f"Device adapters are taken from {found}; see others with: mmcore list"
    if needed & DEMO_ADAPTERS:
        more = "" if needed <= DEMO_ADAPTERS else f"; those of real devices with: {FOR_CAMERAS}"
        return f"Install the adapters of the demo camera with: {DEMO_PACKAGE}{more}"
    return f"No Micro-Manager was found; install its device adapters with: {FOR_CAMERAS}"
