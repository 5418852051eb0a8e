"""The one place that imports Qt and pyqtgraph, so that both use the same binding."""

from __future__ import annotations

import os

import qtpy
from qtpy import QtCore, QtGui, QtWidgets

# Left to itself, pyqtgraph would take the first binding that it finds installed.
os.environ.setdefault("PYQTGRAPH_QT_LIB", qtpy.API_NAME)

import pyqtgraph as pg  # noqa: E402  # after its binding is settled

__all__ = ["QtCore", "QtGui", "QtWidgets", "pg"]
