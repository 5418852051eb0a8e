"""The one place that imports Qt and pyqtgraph, so that both use the same binding."""

from __future__ import annotations

import os
import sys

import qtpy
from qtpy import QtCore, QtGui, QtWidgets

from rtsmlm.errors import ConfigError

# Left to itself, pyqtgraph would take the first binding that it finds installed.
os.environ.setdefault("PYQTGRAPH_QT_LIB", qtpy.API_NAME)

import pyqtgraph as pg  # after its binding is settled

__all__ = ["QtCore", "QtGui", "QtWidgets", "pg"]

_CALLS = 100


def _refuse_if_deadly() -> None:
    """Refuse a binding that takes a reference to None with every call, as PySide6 6.12.0 does.

    Python before 3.12 dies of it after some minutes, and with it the program that embeds this.
    """
    thing = QtCore.QObject()
    before = sys.getrefcount(None)
    for _ in range(_CALLS):
        thing.setObjectName("")
    if sys.version_info < (3, 12) and sys.getrefcount(None) < before - _CALLS // 2:
        raise ConfigError(
            f"{qtpy.API_NAME} {qtpy.QT_VERSION} would crash Python "
            f"{sys.version_info.major}.{sys.version_info.minor} after some minutes; install "
            "another: pip install 'PySide6-Essentials<6.12'"
        )


_refuse_if_deadly()
