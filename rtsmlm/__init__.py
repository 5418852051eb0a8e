"""Real-time single-molecule localization microscopy.

``rtsmlm.attach(core)`` localizes what a running Micro-Manager core records; the command line is
``rtsmlm live``. Importing this package loads nothing heavy: the names of ``__all__`` are the public
interface, and each is imported when it is first asked for. Its one side effect is where compiled
code is kept, if the package lies in a folder that is read-only.

The root holds the vocabulary that every other folder may import: ``errors``, ``frames``,
``localizations``, ``calibration``, ``protocols`` and ``plugins``. Nothing else is added here.
"""

from __future__ import annotations

import sys
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

# `python -m rtsmlm...` puts the current folder before everything that is installed: a file there,
# such as one that came with a recording, would be imported in place of the module of its name.
# Taken out here, since this package is imported before the module that is named, and before more.
if not sys.flags.safe_path and sys.argv[:1] == ["-m"]:
    _asked = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
    if _asked and _asked[0].partition(".")[0] == "rtsmlm":
        del sys.path[0]

from rtsmlm.realtime.compiled_code import keep_compiled_code

if TYPE_CHECKING:
    from rtsmlm.calibration import CameraCalibration
    from rtsmlm.errors import RtsmlmError
    from rtsmlm.files.movies import open_movie
    from rtsmlm.files.tables import read_table
    from rtsmlm.frames import FrameBatch
    from rtsmlm.localizations import Localizations
    from rtsmlm.session.attach import attach
    from rtsmlm.session.session import Session
    from rtsmlm.settings import load
    from rtsmlm.stream import Subscriber

__all__ = [
    "CameraCalibration",
    "FrameBatch",
    "Localizations",
    "RtsmlmError",
    "Session",
    "Subscriber",
    "__version__",
    "attach",
    "load",
    "open_movie",
    "read_table",
]

__version__ = metadata.version("rtsmlm")
keep_compiled_code(__path__[0], __version__)

_HOMES = {
    "CameraCalibration": "rtsmlm.calibration",
    "FrameBatch": "rtsmlm.frames",
    "Localizations": "rtsmlm.localizations",
    "RtsmlmError": "rtsmlm.errors",
    "Session": "rtsmlm.session.session",
    "Subscriber": "rtsmlm.stream",
    "attach": "rtsmlm.session.attach",
    "load": "rtsmlm.settings",
    "open_movie": "rtsmlm.files.movies",
    "read_table": "rtsmlm.files.tables",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rtsmlm' has no attribute {name!r}")
