"""Errors that pymmcore-plus logs where nothing is wrong, or where rtsmlm reports them itself.

A core without device adapters is no error: the simulated microscope needs none. Where adapters
are needed, loading a device raises. A Python device that does not start is only logged by
pymmcore-plus; `refuse_logged_failures` makes it the error that it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rtsmlm.errors import DeviceError, sentence

_SEARCH = "pymmcore-plus"
_START = "pymmcore_plus.experimental.unicore._device_manager"
_REPORTED_BY_US = frozenset({"_discovery", "_device_manager"})
"""Modules of pymmcore-plus: the search for Micro-Manager, and the start of Python devices."""


@contextmanager
def without_library_errors() -> Iterator[list[str]]:
    """Leave out errors that pymmcore-plus logs, where a core is made or devices are loaded.

    Its other messages stay, and so does its logger as a host program has set it up.

    Yields
    ------
    :
        One sentence for each exception that was logged in place of being raised.
    """
    failures: list[str] = []

    def passes(record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR or record.module not in _REPORTED_BY_US:
            return True
        if record.exc_info and record.exc_info[1] is not None:
            failures.append(f"{sentence(record.getMessage())}: {record.exc_info[1]}")
        return False

    loggers = [logging.getLogger(name) for name in (_SEARCH, _START)]
    for logger in loggers:
        logger.addFilter(passes)
    try:
        yield failures
    finally:
        for logger in loggers:
            logger.removeFilter(passes)


@contextmanager
def refuse_logged_failures() -> Iterator[None]:
    """Raise `DeviceError` after devices were loaded, if one failed and was only logged."""
    with without_library_errors() as failures:
        yield
    if failures:
        raise DeviceError("; ".join(failures))
