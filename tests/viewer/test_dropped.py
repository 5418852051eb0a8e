"""Files that are dropped on the window: what opens, what is offered, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.viewer.dropped import what_is
from rtsmlm.viewer.sources.open_source import open_source

TABLE = '"frame","x [nm]","y [nm]","intensity [photon]"\n1,150,250,900\n2,350,450,800\n'


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    run = tmp_path / "cell"
    run.mkdir()
    (run / "run.toml").touch()
    (run / "localizations.arrows").touch()
    (tmp_path / "empty").mkdir()
    for name in ("movie.tif", "rig.toml", "letter.docx"):
        (tmp_path / name).touch()
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    names = ("cell", "empty", "movie.tif", "rig.toml", "letter.docx", "table.csv", "gone.tif")
    return {name: tmp_path / name for name in names}


def test_what_is_dropped_is_known_by_its_name_and_what_lies_in_it(files: dict[str, Path]) -> None:
    kinds = {name: what_is(path).kind for name, path in files.items()}

    assert kinds == {
        "cell": "run", "empty": "wrong", "movie.tif": "movie", "rig.toml": "wrong",
        "letter.docx": "wrong", "table.csv": "table", "gone.tif": "wrong",
    }  # fmt: skip
    assert what_is(files["cell"] / "localizations.arrows").path == files["cell"]


def test_a_table_is_a_run_that_is_over_with_all_its_rows(files: dict[str, Path]) -> None:
    source = open_source(str(files["table.csv"]))

    first, second, third = source.poll(1), source.poll(1), source.poll(1)

    assert [update.connection for update in (first, second, third)] == ["live", "ended", "ended"]
    assert np.concatenate([update.rows[0].x_nm for update in (first, second)]).tolist() == [
        100,
        300,
    ]
    assert third.rows == []
    assert first.problem == "the table states no camera pixel; 100 nm are assumed"
    assert first.run is not None
    assert first.run.shape == (5, 4)
    with pytest.raises(FileFormatError):
        open_source(str(files["letter.docx"]))
    with pytest.raises(ConfigError, match="nor a run folder or table"):
        open_source(str(files["gone.tif"]))


class Started:
    """Notes the commands that are started, and ends them as the test wants."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.ends: list[Callable[[int, str], None]] = []

    def __call__(self, arguments: list[str], done: Callable[[int, str], None]) -> None:
        self.commands.append(arguments)
        self.ends.append(done)


@pytest.fixture
def dropping(open_window: Callable[..., Any]) -> tuple[Any, Started, list[str]]:
    window, started, failures = open_window(), Started(), []
    window.dropped._start = started
    window.dropped._report_failure = failures.append
    return window, started, failures


def drop(window: Any, *paths: Path) -> bool:
    """Drop files as the system does; return whether they were taken."""
    from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

    data = QtCore.QMimeData()
    data.setUrls([QtCore.QUrl.fromLocalFile(str(path)) for path in paths])
    action, none = QtCore.Qt.DropAction.CopyAction, QtCore.Qt.KeyboardModifier.NoModifier
    left = QtCore.Qt.MouseButton.LeftButton
    enter = QtGui.QDragEnterEvent(QtCore.QPoint(9, 9), action, data, left, none)
    QtWidgets.QApplication.sendEvent(window, enter)
    if not enter.isAccepted():
        return False
    event = QtGui.QDropEvent(QtCore.QPointF(9, 9), action, data, left, none)
    QtWidgets.QApplication.sendEvent(window, event)
    return True


def test_runs_and_tables_open_in_windows_of_their_own(
    dropping: tuple[Any, Started, list[str]], files: dict[str, Path]
) -> None:
    window, started, failures = dropping
    source = window.source

    assert drop(window, files["cell"], files["table.csv"])

    assert started.commands == [["view", str(files["cell"])], ["view", str(files["table.csv"])]]
    assert window.source is source  # what controls a run goes on
    started.ends[1](1, "error: table.csv is no table")
    assert failures == ["table.csv is no table"]


def test_a_movie_is_localized_when_the_user_says_so_and_shown_when_it_is_done(
    dropping: tuple[Any, Started, list[str]], files: dict[str, Path]
) -> None:
    window, started, _ = dropping
    drop(window, files["movie.tif"])
    assert started.commands == []
    window.dropped.question.done(window.dropped.question.StandardButton.No.value)
    assert started.commands == []

    drop(window, files["movie.tif"])
    window.dropped.question.done(window.dropped.question.StandardButton.Yes.value)

    out = files["movie.tif"].parent / "out" / "movie"
    assert started.commands == [["reconstruct", str(files["movie.tif"]), "--out", str(out)]]
    started.ends[0](0, "")
    assert started.commands[1:] == [["view", str(out)]]


def test_anything_else_is_one_clear_sentence(
    dropping: tuple[Any, Started, list[str]], files: dict[str, Path]
) -> None:
    window, started, failures = dropping

    drop(window, files["letter.docx"], files["rig.toml"], files["empty"])

    assert started.commands == []
    assert failures == [
        "letter.docx cannot be opened here: drop a run folder, a table of localizations or a movie",
        "rig.toml cannot be opened here: it is a configuration; run it with rtsmlm live rig.toml",
        "empty is neither a run folder nor a movie",
    ]
