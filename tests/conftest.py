"""Fixtures for all tests: reference data, a camera of spots, the guard against leaked threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.calibration import StatedCalibration
from rtsmlm.frames import CameraFrame
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream import control_files


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


class SpotCamera:
    """A camera of spots on noise, as fast as it is taken or at a rate, with faults on demand."""

    name = "SpotCamera"
    exposure_ms = 1.0

    def __init__(
        self,
        shape: tuple[int, int] = (64, 48),
        *,
        period_s: float = 0.0,
        index: Callable[[int], int] = lambda k: k,
        fault_at: int | None = None,
        fault: Callable[[np.ndarray], np.ndarray] | BaseException | None = None,
    ) -> None:
        self.shape = shape
        self.stated = StatedCalibration(
            pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, em_gain=1.0, read_noise_e=1.0
        )
        self.core = None
        self.closed = False
        self._period_s = period_s
        self._index = index
        self._fault_at = fault_at
        self._fault = fault
        rng = np.random.default_rng(1)
        y, x = np.mgrid[: shape[0], : shape[1]]
        self._frames = []
        for _ in range(8):
            mean = np.full(shape, 110.0)
            for _ in range(3):
                cy, cx = rng.uniform(8, shape[0] - 8), rng.uniform(8, shape[1] - 8)
                mean += 160 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.3**2))
            self._frames.append(rng.poisson(mean).astype(np.uint16))

    def pixels(self, k: int) -> np.ndarray:
        """The k-th frame."""
        return self._frames[k % len(self._frames)]

    def describe(self) -> dict[str, str]:
        return {"device": self.name}

    def stream(self, stop: threading.Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        k = 0
        while not stop.is_set() and (n_frames is None or k < n_frames):
            pixels = self.pixels(k)
            if self._fault_at is not None and k >= self._fault_at:
                if isinstance(self._fault, BaseException):
                    raise self._fault
                if self._fault is not None:
                    pixels = self._fault(pixels)
            if self._period_s:
                stop.wait(self._period_s)
            yield CameraFrame(pixels, self._index(k), time.perf_counter_ns())
            k += 1

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def private_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Keep tests away from the armed runs of the user: a folder of their own for the tokens."""
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    monkeypatch.setattr(control_files, "private_folder", lambda: folder)
    return folder


@pytest.fixture
def spot_camera() -> type[SpotCamera]:
    return SpotCamera


@pytest.fixture
def quick_settings(tmp_path: Path) -> Callable[..., RunSettings]:
    """Return a function that makes settings for a short run in this process."""

    def make(*overrides: str) -> RunSettings:
        return load(
            None,
            [
                f"results.out={tmp_path.as_posix()}",
                "results.name=run",
                "psf.sigma_nm=130",
                "localizer.name=gaussian-mle",
                "pipeline.process=false",
                "pipeline.when_behind=wait",
                "stream.address=tcp://127.0.0.1:*",
                *overrides,
            ],
        )

    return make
