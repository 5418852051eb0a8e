"""Real-time single-molecule localization microscopy.

``rtsmlm.attach(core)`` localizes what a running Micro-Manager core records; the command line is
``rtsmlm live``. Importing this package has no side effect.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtsmlm.session.attach import attach
    from rtsmlm.session.session import Session

__all__ = ["Session", "__version__", "attach"]

__version__ = metadata.version("rtsmlm")


def __getattr__(name: str) -> Any:
    # On first use: a program that only asks for the version need not load numba.
    if name in {"Session", "attach"}:
        from rtsmlm.session.attach import attach
        from rtsmlm.session.session import Session

        return {"Session": Session, "attach": attach}[name]
    raise AttributeError(f"module 'rtsmlm' has no attribute {name!r}")
