"""Fixtures for all tests: random numbers, reference data, and the guard against leaked threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def data_dir() -> Callable[[str], Path]:
    """Return a function that gives the folder of a reference data set, or skips."""

    def find(name: str) -> Path:
        root = os.environ.get("RTSMLM_DATA")
        if not root:
            pytest.skip("needs the reference data: set RTSMLM_DATA to its folder")
        folder = Path(root).resolve() / name
        if not folder.exists():
            pytest.skip(f"needs the reference data set {name!r} in RTSMLM_DATA={root}")
        return folder

    return find


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread of ours running."""
    yield
    deadline = time.monotonic() + 2.0
    while ours := [t.name for t in threading.enumerate() if t.name.startswith("rtsmlm-")]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads left running: {', '.join(ours)}")
        time.sleep(0.01)
