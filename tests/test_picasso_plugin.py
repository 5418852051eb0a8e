"""The plugin of Picasso reads a run as Picasso has its rows, also while the table grows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations

EXAMPLE = Path(__file__).parents[1] / "examples" / "picasso_rtsmlm.py"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the plugin, with stand-ins for what Picasso brings along."""
    if importlib.util.find_spec("pandas") is None:
        monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    toolkit = SimpleNamespace(QtCore=SimpleNamespace(), QtWidgets=SimpleNamespace(QMainWindow=None))
    monkeypatch.setitem(sys.modules, "PyQt6", toolkit)
    assert EXAMPLE.name == "picasso_rtsmlm.py"
    spec = importlib.util.spec_from_file_location("picasso_rtsmlm", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.undo()  # Arrow looks for pandas, too
    return module


def test_a_run_is_in_pixels_with_what_picasso_needs(plugin: ModuleType, tmp_path: Path) -> None:
    rows = Localizations.from_columns(
        {
            "frame": np.array([0, 7]), "x_nm": np.array([500.0, 900.0]),
            "y_nm": np.array([250.0, 9000.0]), "std_x_nm": np.array([10.0, 10.0]),
            "std_y_nm": np.array([20.0, 20.0]), "photons": np.array([900.0, 800.0]),
        }
    )  # fmt: skip
    metadata = {"pixel_nm": 100.0, "shape": [64, 48]}
    with ArrowStreamFile(tmp_path / "localizations.arrows", metadata) as file:
        file.put(rows)

    found, info = plugin.columns_of(str(tmp_path))

    first = [found[name][0] for name in ("frame", "x", "y", "lpx", "lpy", "photons")]
    assert first == pytest.approx([0, 5.0, 2.5, 0.1, 0.2, 900])
    assert len(found["x"]) == 1  # the other lies outside the field, where Picasso takes none
    assert (info["Width"], info["Height"], info["Frames"], info["Pixelsize"]) == (48, 64, 8, 100)


def test_a_table_that_is_being_written_gives_the_rows_that_are_whole(
    plugin: ModuleType, tmp_path: Path
) -> None:
    table = tmp_path / "localizations.arrows"
    with ArrowStreamFile(table, {"pixel_nm": 100.0, "shape": [64, 48]}) as file:
        for k in range(3):
            at = np.full(10, 500.0 + k)
            file.put(
                Localizations.from_columns(
                    {"frame": np.full(10, k), "x_nm": at, "y_nm": at, "std_x_nm": at / 50,
                     "std_y_nm": at / 50}
                )
            )  # fmt: skip
    whole = table.read_bytes()

    table.write_bytes(whole[: len(whole) - 200])

    assert len(plugin.columns_of(str(tmp_path))[0]["x"]) == 20
