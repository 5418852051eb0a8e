"""What pymmcore-plus logs as an error is said where it is one, and only there."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from pymmcore_plus import _discovery
from pymmcore_plus.experimental.unicore.devices._camera import CameraDevice

from rtsmlm.drivers.micromanager.adapters import adapter_advice, find_adapters, make_core
from rtsmlm.drivers.micromanager.core import load_core
from rtsmlm.errors import DeviceError
from rtsmlm.settings.camera import MicroManagerSettings


@pytest.fixture
def no_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_discovery, "discover_mm", lambda: iter(()))


@pytest.mark.usefixtures("no_adapters")
def test_a_core_without_device_adapters_is_made_without_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("pymmcore-plus")
    before = (list(logger.handlers), list(logger.filters), logger.level)

    make_core()

    assert find_adapters() is None
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert (list(logger.handlers), list(logger.filters), logger.level) == before


@pytest.mark.usefixtures("no_adapters")
@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("Device,Camera,DemoCamera,DCam", "pip install mm-test-adapters"),
        ("Device,Cobolt,Cobolt,Cobolt", "mmcore install"),
    ],
)
def test_a_configuration_without_its_adapters_says_what_installs_them(
    tmp_path: Path, line: str, advice: str
) -> None:
    path = tmp_path / "rig.cfg"
    path.write_text(f"{line}\n")

    with pytest.raises(DeviceError, match=rf"is not found here.*{advice}"):
        load_core(MicroManagerSettings(config=str(path)))


def test_a_configuration_of_python_devices_is_advised_no_adapters() -> None:
    assert adapter_advice([], "#py pyDevice,Camera,labname.devices,Camera\n") == ""


class Unplugged(CameraDevice):
    """A camera that does not start."""

    def initialize(self) -> None:
        raise RuntimeError("no camera on port 3")

    def dtype(self) -> type:
        return np.uint16

    def shape(self) -> tuple[int, int]:
        return 8, 8

    def get_exposure(self) -> float:
        return 1.0

    def set_exposure(self, exposure: float) -> None: ...

    def start_sequence(self, n: int | None, get_buffer: object) -> None: ...


def test_a_python_device_that_does_not_start_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "labname_unplugged", sys.modules[__name__])
    path = tmp_path / "rig.cfg"
    path.write_text("#py pyDevice,Camera,labname_unplugged,Unplugged\nProperty,Core,Initialize,1\n")
    settings = MicroManagerSettings(config=str(path), python_modules=("labname_unplugged",))

    with pytest.raises(DeviceError, match=r"device 'Camera': no camera on port 3$"):
        load_core(settings)

    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
