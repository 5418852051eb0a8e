"""A key is seen at once: what takes time is done beside the event loop, or in short pieces."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from rtsmlm.viewer.commands import LasersOff

_COMPILED = """
import gc

import numpy as np
from numba.core.dispatcher import Dispatcher

from rtsmlm.localizations import Localizations
from rtsmlm.render.filter import Filter
from rtsmlm.render.store import CHUNK
from rtsmlm.viewer.live_picture import Appearance, LivePicture, warm_up
from rtsmlm.viewer.widgets.viewport import Viewport


def compiled():
    # Of the functions of ours; those that they are made of come with them.
    found = (d for d in gc.get_objects() if isinstance(d, Dispatcher))
    return {(d.py_func.__module__, d.py_func.__name__, str(s))
            for d in found if d.py_func.__module__.startswith("rtsmlm")
            for s in d.signatures}


warm_up()
before = compiled()
n, rng = 2 * CHUNK + 100, np.random.default_rng(0)
rows = Localizations.from_columns({
    "frame": np.arange(n), "x_nm": rng.uniform(0, 25600, n), "y_nm": rng.uniform(0, 25600, n),
    "z_nm": rng.normal(0, 100, n), "photons": rng.gamma(4, 250, n), "channel": np.zeros(n),
})
picture = LivePicture()
picture.begin((256, 256), 100.0)
for k in range(0, n, 5000):
    picture.add([rows.take(slice(k, k + 5000))])
for mode in ("gaussian", "histogram", "shifted-histogram"):
    for color in ("none", "frame", "photons", "z_nm", "channel"):
        for shown in (Filter(), Filter(photons=(500.0, 1500.0))):
            picture.restyle(mode=mode, color=color, shown=shown)
            for nm_per_px in (200.0, 50.0, 11.0, 3.0, 0.7):
                for budget_ms in (0.0, 0.0, 5.0, None):
                    viewport = Viewport(12_000.0, 12_000.0, nm_per_px)
                    picture.render(viewport, (320, 200), Appearance(), budget_ms)
picture.close()
print(sorted(compiled() - before))
"""


def test_a_key_acts_while_the_run_cannot_be_read(
    open_window: Callable[..., Any], control: Any, source: Any, app: Any
) -> None:
    from rtsmlm.viewer.widgets.qt import QtCore, QtGui

    window = open_window(control)
    began, may_end = threading.Event(), threading.Event()
    poll = source.poll

    def slow_poll(most_rows: int = 0) -> Any:
        began.set()
        assert may_end.wait(60.0)
        return poll(most_rows)

    source.poll = slow_poll
    window.refresher.tick()
    assert began.wait(60.0)
    key, none = QtCore.Qt.Key.Key_F12, QtCore.Qt.KeyboardModifier.NoModifier
    stroke = QtGui.QKeyEvent(QtCore.QEvent.Type.KeyPress, key, none)
    QtCore.QCoreApplication.postEvent(window.super_res.canvas, stroke)
    app.processEvents()
    assert control.asked == [LasersOff()]

    window.refresher.tick()
    may_end.set()
    assert window.refresher.reading.finish(60.0)


def test_no_piece_of_work_compiles_anything_once_the_window_is_ready() -> None:
    """Compiling takes seconds, in which no key is seen; it belongs in the thread that warms up."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _COMPILED],
        capture_output=True, text=True, env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_drawing_and_taking_rows_are_cut_into_pieces_of_some_hundredths_of_a_second() -> None:
    """The bounds that the code asks for; how long a busy machine takes for them is its matter."""
    from rtsmlm.viewer.live_picture import BUDGET_MS
    from rtsmlm.viewer.update_reader import WANTED_S, UpdateReader

    assert BUDGET_MS <= 50
    assert WANTED_S <= 0.05
    reader = UpdateReader()
    try:
        update: Any = type("Update", (), {"rows": [range(100_000)]})()
        reader._most_rows = 100_000
        reader.learn(update, spent_s=10 * WANTED_S)
        assert reader._most_rows == 10_000, "a piece that took too long makes the next one smaller"
    finally:
        reader.close()
