"""A compute node without microscope, window or image formats trains, exports and measures speed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytest.importorskip("torch", reason="training needs torch")

pytestmark = pytest.mark.slow

INSTALLED = (
    "numpy", "scipy", "numba", "torch", "onnx", "safetensors", "pydantic", "pyarrow", "pyzmq",
    "typer", "rich", "tifffile", "h5py", "tomli-w", "platformdirs",
)  # fmt: skip
"""What is on the node, with what these need themselves."""

HIDING = """
import importlib.machinery, sys

HIDDEN = frozenset({hidden!r})


class Hiding(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return importlib.machinery.PathFinder.find_spec(name, path, target)


sys.meta_path[:] = [
    Hiding if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path
]
"""

RECIPE = """
name = "small"
[network]
size = "XS"
[simulation]
crop_px = 32
density = [0.5, 1.0]
sigma_px = [1.1, 1.2]
computed_fraction = 0.0
[training]
steps = 2
batch_windows = 2
held_out_windows = 4
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def canonical(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def with_needs(names: tuple[str, ...]) -> set[str]:
    """Return the distributions and all that they require here, without extras."""
    found: set[str] = set()
    waiting = [canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            texts = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on another system only
        needs = [Requirement(text) for text in texts]
        waiting += [
            canonical(need.name)
            for need in needs
            if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    return found


def hidden_modules() -> list[str]:
    """Return the names that cannot be imported on the node, though they are installed here."""
    there = with_needs(INSTALLED) | {"rtsmlm"}
    modules = importlib.metadata.packages_distributions()
    return sorted(
        name for name, owners in modules.items() if not there & {canonical(o) for o in owners}
    )


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs the command line where only `INSTALLED` can be imported.

    Processes that the command starts find as little.
    """
    folder = tmp_path_factory.mktemp("node")
    text = HIDING.format(hidden=hidden_modules())
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(folder), "RTSMLM_DEBUG": "1"},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    return run


def test_the_node_holds_neither_devices_nor_window_nor_other_engines(node: Run) -> None:
    names = ["openvino", "pymmcore_plus", "useq", "zarr", "ome_writers", "yaml", "qtpy", "PySide6"]

    done = node("-c", f"import importlib.util as u; print([u.find_spec(n) for n in {names}])")

    assert done.stdout.strip() == str([None] * len(names)), done.stderr


def test_a_recipe_becomes_a_model_folder(node: Run, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    work, model = tmp_path / "work", tmp_path / "model"

    trained = node("-m", "rtsmlm.cli", "train", tmp_path / "recipe.toml", "--out", work)
    assert trained.returncode == 0, trained.stderr
    (checkpoint,) = work.glob("checkpoint.*")
    exported = node("-m", "rtsmlm.cli", "export", checkpoint, "--out", model)

    assert exported.returncode == 0, exported.stderr
    assert {"manifest.toml", "model.onnx", "model.safetensors"} <= {
        file.name for file in model.iterdir()
    }


ONE_RATE = """
from rtsmlm.bench.speed import measure
from rtsmlm.cli import main

measure.MOST_STEPS = 1
main()
"""
"""The bench, whose search for the highest rate ends after its first step."""


def test_speed_is_measured_with_torch(node: Run, tmp_path: Path) -> None:
    figures = tmp_path / "speed.json"

    done = node(
        "-c", ONE_RATE, "bench", "--engine", "torch", "--localizer", "flagship-2d-fast",
        "--size", "32", "--frames", "50", "--rate", "20", "--json", figures,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads(figures.read_text(encoding="utf-8"))
    assert "torch" in measured["runs"]
    assert measured["localizations_per_s"] > 0


def test_an_engine_that_is_not_installed_is_named_with_what_to_install(node: Run) -> None:
    done = node(
        "-m", "rtsmlm.cli", "bench", "--engine", "openvino", "--size", "32", "--frames", "50"
    )

    assert done.returncode == 1
    assert "openvino" in done.stderr
    assert "pip install openvino" in done.stderr
