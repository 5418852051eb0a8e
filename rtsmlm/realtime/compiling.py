"""What is being compiled at this moment, for those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_COMPILING = "numba:compile"


@contextmanager
def on_compiling(tell: Callable[[str], None], package: str = "rtsmlm") -> Iterator[None]:
    """Call `tell` with the name of each function of a package that numba begins to compile.

    What is kept from an earlier run is loaded and not compiled.

    Parameters
    ----------
    tell
        Called in the thread that compiles.
    package
        Functions of others, which are compiled on the way, are not told.
    """
    from numba.core import event

    class Teller(event.Listener):
        def on_start(self, event: Any) -> None:
            function = event.data["dispatcher"].py_func
            if function.__module__.partition(".")[0] == package:
                tell(function.__name__.lstrip("_"))

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener(_COMPILING, Teller()):
        yield
