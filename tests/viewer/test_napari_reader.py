"""What napari is given of a run folder or a table, and that its dock is narrow enough."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
from rtsmlm.viewer import napari_reader
from rtsmlm.viewer.napari_reader import get_reader

MANIFEST = Path(napari_reader.__file__).with_name("napari.yaml")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a run folder of so many rows."""

    def make(n: int, **columns: Any) -> Path:
        folder = tmp_path / "cell-3"
        folder.mkdir()
        at = np.arange(n, dtype=np.float64)
        rows = Localizations.from_columns(
            {"frame": at.astype(np.int64), "x_nm": 1000 * at, "y_nm": 2000 * at, **columns}
        )
        with ArrowStreamFile(folder / "localizations.arrows", {"pixel_nm": 100.0}) as file:
            file.put(rows)
        return folder

    return make


def read(path: Path) -> tuple[np.ndarray, dict[str, Any], str]:
    reader = get_reader(str(path))
    assert reader is not None
    (layer,) = reader(str(path))
    return layer


def test_a_run_folder_is_points_in_um_with_its_columns(run: Callable[..., Path]) -> None:
    points, more, kind = read(run(3))

    assert kind == "points"
    assert points.tolist() == [[0, 0], [2, 1], [4, 2]]  # y before x
    assert more["name"] == "cell-3"
    assert more["features"]["frame"].tolist() == [0, 1, 2]
    assert more["units"] == ("um", "um")


def test_depth_is_the_first_axis(run: Callable[..., Path]) -> None:
    points, more, _ = read(run(2, z_nm=np.array([-500.0, 500.0])))

    assert points.tolist() == [[-0.5, 0, 0], [0.5, 2, 1]]
    assert len(more["units"]) == 3


def test_of_many_rows_a_part_is_shown_and_said(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(napari_reader, "MOST_POINTS", 10)

    points, more, _ = read(run(25))

    assert len(points) == 9
    assert more["name"] == "cell-3, 1 row of 3"
    assert more["metadata"]["rtsmlm"]["rows"] == 25


def test_what_is_no_table_is_left_to_other_readers(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("hello\n", encoding="utf-8")

    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(tmp_path / "notes.csv")]) is None
    assert get_reader(str(tmp_path / "gone.csv")) is None


def test_the_manifest_names_what_there_is() -> None:
    found = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["contributions"]
    commands = {one["id"]: one["python_name"] for one in found["commands"]}

    for name in commands.values():
        module, _, attribute = name.partition(":")
        if module.endswith("napari_reader"):
            assert callable(getattr(importlib.import_module(module), attribute))
    used = [one["command"] for kind in ("readers", "widgets") for one in found[kind]]
    assert set(used) == set(commands)


def test_the_dock_fits_beside_the_picture(app: Any, tmp_path: Path) -> None:
    from pymmcore_plus import CMMCorePlus

    from rtsmlm.viewer.widget import RtsmlmWidget

    widget = RtsmlmWidget(mmcore=CMMCorePlus(), settings_file=tmp_path / "w.ini")
    try:
        widget.show()
        app.processEvents()
        assert widget.minimumSizeHint().width() <= 450
        widget.resize(450, 700)
        app.processEvents()
        assert widget.width() == 450
        off = widget.live.header.off
        assert widget.rect().contains(off.mapTo(widget, off.rect().bottomRight()))
    finally:
        widget.shut_down()
        widget.close()
