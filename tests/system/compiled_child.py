"""Runs a session and writes which functions were compiled or loaded after its start.

Its own interpreter: in one that has run other tests, all would be there already.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from rtsmlm.session.session import Session
from rtsmlm.settings.load import load

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import SpotCamera  # type: ignore[import-not-found]

N_FRAMES = 150


class OtherSpots(SpotCamera):  # type: ignore[misc]
    """Frames of which some are empty, some have one spot, and some are crowded in one place."""

    def __init__(self) -> None:
        super().__init__((96, 96), period_s=0.004)
        rng = np.random.default_rng(5)
        y, x = np.mgrid[:96, :96]
        self._frames = []
        for n in (0, 1, 2, 6, 30):
            mean = np.full((96, 96), 110.0)
            for _ in range(n):
                cy, cx = rng.uniform(0, 96, 2) if n < 30 else rng.uniform(30, 50, 2)
                mean += 160 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.5**2))
            self._frames.append(rng.poisson(mean).astype(np.uint16))


def overloads() -> dict[str, int]:
    """Return how many variants of each compiled function of ours there are."""
    found: dict[str, int] = {}
    for thing in gc.get_objects():
        if isinstance(thing, Dispatcher) and thing.py_func.__module__.startswith("rtsmlm."):
            name = f"{thing.py_func.__module__}.{thing.py_func.__qualname__}"
            found[name] = found.get(name, 0) + len(thing.overloads)
    return found


def graphs() -> list[int]:
    """Count the graphs that OpenVINO compiles from now on."""
    import openvino

    count = [0]
    original = openvino.Core.compile_model

    def compile_model(*arguments: Any, **more: Any) -> Any:
        count[0] += 1
        return original(*arguments, **more)

    openvino.Core.compile_model = compile_model
    return count


def main(out: str, *overrides: str) -> None:
    """Run, and write what is compiled while frames come."""
    compiled = graphs()
    settings = load(
        None,
        [
            f"results.out={out}", "results.name=run", "pipeline.process=false",
            f"acquisition.frames={N_FRAMES}", "stream.address=tcp://127.0.0.1:*", *overrides,
        ],
    )  # fmt: skip
    session = Session(OtherSpots(), settings)
    session.start()
    before, n_graphs = overloads(), compiled[0]
    session.wait(120)
    later = {name: n - before.get(name, 0) for name, n in overloads().items()}
    n_later = compiled[0] - n_graphs
    report = session.close()
    found = {
        "functions": sorted(name for name, n in later.items() if n),
        "graphs_before": n_graphs,
        "graphs_later": n_later,
        "graphs": compiled[0],
        "localized": report.totals.localized if report.ok and report.totals else 0,
    }
    Path(out, "compiled.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
