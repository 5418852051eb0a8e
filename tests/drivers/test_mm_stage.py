"""One axis of a stage: it moves within its range, and rest leaves it where it is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from pymmcore_plus import CMMCorePlus, DeviceType
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.drivers.micromanager.stage import MicroManagerStage
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.protocols import Actuator
from rtsmlm.settings.lasers import StageSettings
from rtsmlm.settings.load import packaged

LABELS = {"hil_sim.cfg": ("ZStage", "XYStage"), "hil_mm_demo.cfg": ("Z", "XY")}


@pytest.fixture(params=LABELS)
def core(request: pytest.FixtureRequest) -> Iterator[CMMCorePlus]:
    adapters = pytest.importorskip("mm_test_adapters").device_adapter_path()
    core = UniMMCore(adapter_paths=[adapters])
    core.loadSystemConfiguration(packaged(request.param))
    yield core
    release_core(core)


def stage_of(core: CMMCorePlus, axis: str, **stated: float) -> MicroManagerStage:
    device = core.getFocusDevice() if axis == "z" else core.getXYStageDevice()
    settings = StageSettings.model_validate({"device": device, "axis": axis} | stated)
    return MicroManagerStage(core, "focus", settings)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_it_moves_one_axis_within_its_range_and_rests_where_it_is(
    core: CMMCorePlus, axis: str
) -> None:
    core.setPosition(3.0)
    core.setXYPosition(10.0, 20.0)
    core.waitForSystem()
    start_um = {"x": 10.0, "y": 20.0, "z": 3.0}[axis]
    stage: Actuator = stage_of(core, axis)
    assert (stage.name, stage.unit) == ("focus", "um")
    assert stage.setpoint() == pytest.approx(start_um, abs=0.01)
    assert stage.limits() == pytest.approx((start_um - 2, start_um + 2), abs=0.01)

    stage.set(start_um + 1.5)
    core.waitForSystem()

    where = {"x": core.getXYPosition()[0], "y": core.getXYPosition()[1], "z": core.getPosition()}
    asked = {"x": 10.0, "y": 20.0, "z": 3.0} | {axis: start_um + 1.5}
    assert where == pytest.approx(asked, abs=0.02)
    assert stage.make_safe() == []
    assert stage.setpoint() == pytest.approx(start_um + 1.5, abs=0.02)
    assert stage.limits() == pytest.approx((start_um - 2, start_um + 2), abs=0.01)
    assert stage.readback() is stage.fault() is None


@pytest.mark.parametrize("value", [math.nan, math.inf, 5.2, -5.2])
def test_what_is_out_of_range_moves_nothing(core: CMMCorePlus, value: float) -> None:
    stage = stage_of(core, "z", range_um=5.0)
    before = core.getPosition()

    with pytest.raises(DeviceError, match=r"stage focus was asked for .* -5 to 5 um, 5 um either"):
        stage.set(value)

    assert core.getPosition() == before


@pytest.mark.parametrize(("axis", "kind"), [("z", "focus drive"), ("x", "XY stage")])
def test_a_device_without_that_axis_is_refused(core: CMMCorePlus, axis: str, kind: str) -> None:
    wrong = core.getXYStageDevice() if axis == "z" else core.getFocusDevice()

    with pytest.raises(ConfigError, match=f"{wrong} is no {kind}, but axis {axis} needs"):
        MicroManagerStage(
            core, "focus", StageSettings.model_validate({"device": wrong, "axis": axis})
        )
    with pytest.raises(ConfigError, match="no device 'Lift' is loaded"):
        MicroManagerStage(core, "focus", StageSettings(device="Lift"))


class StuckCore:
    """A stage that moves for ever and cannot be stopped."""

    stops = 0

    def getLoadedDevices(self) -> tuple[str, ...]:
        return ("Z",)

    def getDeviceLibrary(self, label: str) -> str:
        return "Lab"

    getDeviceName = getDeviceLibrary

    def getDevicePropertyNames(self, label: str) -> tuple[str, ...]:
        return ()

    def getDeviceType(self, label: str) -> DeviceType:
        return DeviceType.StageDevice

    def getPosition(self, label: str) -> float:
        return 1.0

    def setPosition(self, label: str, position: float) -> None:
        raise RuntimeError("motor\nstalled.")

    def deviceBusy(self, label: str) -> bool:
        return True

    def stop(self, label: str) -> None:
        self.stops += 1
        raise RuntimeError("not supported")


def test_failures_are_told_in_one_line_and_rest_never_raises() -> None:
    core = StuckCore()
    stage = MicroManagerStage(core, "focus", StageSettings(device="Z"))  # type: ignore[arg-type]

    with pytest.raises(DeviceError, match=r"Z did not move to 1\.5 um: motor stalled$"):
        stage.set(1.5)

    assert stage.make_safe() == ["stage focus could not be stopped: not supported"]
    assert core.stops == 1
